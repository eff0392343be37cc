// An 8-bit mask whose copies share their tiles until one of them is painted on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/media/image.h"

namespace attelier {

/// 255 = repaint. A tile that was never painted takes no memory and reads as 0.
class Mask {
 public:
  static constexpr int64_t kTile = 256;
  using Tile = std::array<uint8_t, kTile * kTile>;  // row-major; beyond the mask's edge unused

  Mask() = default;
  Mask(int64_t width, int64_t height);
  /// Any picture; colours by their luma.
  explicit Mask(const Image& image);

  int64_t width() const { return width_; }
  int64_t height() const { return height_; }
  int64_t columns() const { return (width_ + kTile - 1) / kTile; }
  int64_t rows() const { return (height_ + kTile - 1) / kTile; }
  /// No size, or nothing painted.
  bool is_blank() const;

  uint8_t at(int64_t x, int64_t y) const;
  /// The tile's pixels, nullptr if it was never painted.
  const Tile* tile(int64_t column, int64_t row) const { return tiles_[static_cast<size_t>(row * columns() + column)].get(); }
  /// The tile for painting: made, or copied where another mask shares it.
  Tile& writable_tile(int64_t column, int64_t row);
  /// Takes over one tile of a mask of the same size; both share it.
  void share_tile(int64_t column, int64_t row, const Mask& other);
  /// Gray, one channel.
  Image to_image() const;

  /// How many tiles are not the same as in `other` (all, if the sizes differ), by identity: those that one of the two holds alone.
  size_t different_tiles(const Mask& other) const;
  /// By pixels.
  bool operator==(const Mask& other) const;

 private:
  int64_t width_ = 0, height_ = 0;
  std::vector<std::shared_ptr<Tile>> tiles_;
};

}  // namespace attelier
