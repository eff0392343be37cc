// A picture on the graphics card, in tiles where it is larger than a texture may be. Lives and dies on the thread of the window.
#pragma once

#include <imgui.h>

#include <memory>
#include <vector>

#include "core/media/image.h"

namespace attelier::desktop {

class Texture {
 public:
  Texture() = default;
  explicit Texture(const Image& image);
  ~Texture();
  Texture(Texture&& other) noexcept { swap(other); }
  Texture& operator=(Texture&& other) noexcept {
    swap(other);
    return *this;
  }

  bool empty() const { return tiles_.empty(); }
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }
  /// What it takes on the graphics card, which in software is the program's own memory: four bytes a pixel, and a third more for the smaller levels.
  int64_t bytes() const { return empty() ? 0 : width_ * height_ * 16 / 3; }
  /// Pixels x..x+w, y..y+h of the same picture anew; `image` is the whole picture.
  void update(const Image& image, int64_t x, int64_t y, int64_t w, int64_t h);
  /// Draws the whole picture between two corners; `sharp` = whole pixels instead of smooth ones.
  void draw(ImDrawList& list, ImVec2 from, ImVec2 to, bool sharp, ImU32 tint = IM_COL32_WHITE);
  /// Draws it as large as it fits into a square, in its middle.
  void draw_within(ImDrawList& list, ImVec2 corner, float side);

 private:
  struct Tile {
    unsigned id;
    int64_t x, y, width, height;
  };
  void swap(Texture& other) noexcept {
    std::swap(tiles_, other.tiles_);
    std::swap(width_, other.width_);
    std::swap(height_, other.height_);
    std::swap(sharp_, other.sharp_);
  }
  void upload(const Image& image, const Tile& tile, int64_t x, int64_t y, int64_t w, int64_t h) const;

  std::vector<Tile> tiles_;
  int64_t width_ = 0, height_ = 0;
  bool sharp_ = false;
};

}  // namespace attelier::desktop
