#include "app/session/mask.h"

#include <algorithm>
#include <atomic>

#include "core/base/error.h"

namespace attelier {

Mask::Mask(int64_t width, int64_t height) : width_(width), height_(height) {
  if (width < 0 || height < 0 || width > 65536 || height > 65536) fail(ExitCode::kBadInput, "a mask of {}x{} pixels cannot be made; sides are at most 65536", width, height);
  tiles_.resize(static_cast<size_t>(columns() * rows()));
}

Mask::Mask(const Image& image) : Mask(image.width, image.height) {
  const Image gray = image.channels == 1 ? image : to_gray(to_rgb(image));
  for (int64_t y = 0; y < height_; ++y) {
    const uint8_t* line = gray.pixels.data() + y * width_;
    for (int64_t x = 0; x < width_; x += kTile) {
      const int64_t length = std::min(kTile, width_ - x);
      if (std::all_of(line + x, line + x + length, [](uint8_t value) { return value == 0; })) continue;
      std::copy_n(line + x, length, writable_tile(x / kTile, y / kTile).data() + (y % kTile) * kTile);
    }
  }
}

bool Mask::is_blank() const {
  return std::all_of(tiles_.begin(), tiles_.end(), [](const auto& tile) { return !tile || std::all_of(tile->begin(), tile->end(), [](uint8_t value) { return value == 0; }); });
}

uint8_t Mask::at(int64_t x, int64_t y) const {
  const Tile* pixels = tile(x / kTile, y / kTile);
  return pixels == nullptr ? 0 : (*pixels)[static_cast<size_t>((y % kTile) * kTile + x % kTile)];
}

Mask::Tile& Mask::writable_tile(int64_t column, int64_t row) {
  std::shared_ptr<Tile>& tile = tiles_[static_cast<size_t>(row * columns() + column)];
  if (!tile)
    tile = std::make_shared<Tile>();
  else if (tile.use_count() > 1)
    tile = std::make_shared<Tile>(*tile);
  else
    std::atomic_thread_fence(std::memory_order_acquire);  // another thread may have let go of it just now
  return *tile;
}

void Mask::share_tile(int64_t column, int64_t row, const Mask& other) {
  const auto index = static_cast<size_t>(row * columns() + column);
  tiles_[index] = other.tiles_[index];
}

Image Mask::to_image() const {
  Image image{width_, height_, 1, std::vector<uint8_t>(static_cast<size_t>(width_ * height_))};
  for (int64_t y = 0; y < height_; ++y)
    for (int64_t x = 0; x < width_; x += kTile)
      if (const Tile* pixels = tile(x / kTile, y / kTile))
        std::copy_n(pixels->data() + (y % kTile) * kTile, std::min(kTile, width_ - x), image.pixels.data() + y * width_ + x);
  return image;
}

size_t Mask::different_tiles(const Mask& other) const {
  const auto held = [](const Mask& mask) { return static_cast<size_t>(std::count_if(mask.tiles_.begin(), mask.tiles_.end(), [](const auto& tile) { return tile != nullptr; })); };
  if (width_ != other.width_ || height_ != other.height_) return held(*this) + held(other);
  size_t count = 0;
  for (size_t i = 0; i < tiles_.size(); ++i)
    if (tiles_[i] != other.tiles_[i]) count += (tiles_[i] ? 1 : 0) + (other.tiles_[i] ? 1 : 0);
  return count;
}

bool Mask::operator==(const Mask& other) const {
  if (width_ != other.width_ || height_ != other.height_) return false;
  const auto blank = [](const auto& tile) { return !tile || std::all_of(tile->begin(), tile->end(), [](uint8_t value) { return value == 0; }); };
  for (size_t i = 0; i < tiles_.size(); ++i) {
    const auto &a = tiles_[i], &b = other.tiles_[i];
    if (a == b) continue;
    if (a && b ? *a != *b : !blank(a) || !blank(b)) return false;
  }
  return true;
}

}  // namespace attelier
