#include "app/desktop/texture.h"

#include <epoxy/gl.h>

#include <algorithm>
#include <cstring>

namespace attelier::desktop {
namespace {

constexpr int64_t kTile = 2048;

/// Pixels x..x+w, y..y+h as RGBA rows.
std::vector<uint8_t> rgba(const Image& image, int64_t x, int64_t y, int64_t w, int64_t h) {
  std::vector<uint8_t> pixels(static_cast<size_t>(w * h * 4));
  for (int64_t row = 0; row < h; ++row) {
    const uint8_t* in = image.pixels.data() + ((y + row) * image.width + x) * image.channels;
    uint8_t* out = pixels.data() + row * w * 4;
    if (image.channels == 4) {
      std::memcpy(out, in, static_cast<size_t>(w * 4));
      continue;
    }
    for (int64_t i = 0; i < w; ++i, in += image.channels, out += 4) {
      out[0] = in[0];
      out[1] = in[image.channels == 3 ? 1 : 0];
      out[2] = in[image.channels == 3 ? 2 : 0];
      out[3] = 255;
    }
  }
  return pixels;
}

}  // namespace

Texture::Texture(const Image& image) : width_(image.width), height_(image.height) {
  for (int64_t y = 0; y < height_; y += kTile)
    for (int64_t x = 0; x < width_; x += kTile) {
      Tile tile{0, x, y, std::min(kTile, width_ - x), std::min(kTile, height_ - y)};
      glGenTextures(1, &tile.id);
      glBindTexture(GL_TEXTURE_2D, tile.id);
      glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
      glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
      glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR_MIPMAP_LINEAR);
      glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
      glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, static_cast<int>(tile.width), static_cast<int>(tile.height), 0, GL_RGBA, GL_UNSIGNED_BYTE, nullptr);
      upload(image, tile, tile.x, tile.y, tile.width, tile.height);
      tiles_.push_back(tile);
    }
}

Texture::~Texture() {
  for (const Tile& tile : tiles_) glDeleteTextures(1, &tile.id);
}

void Texture::upload(const Image& image, const Tile& tile, int64_t x, int64_t y, int64_t w, int64_t h) const {
  const std::vector<uint8_t> pixels = rgba(image, x, y, w, h);
  glBindTexture(GL_TEXTURE_2D, tile.id);
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  glTexSubImage2D(GL_TEXTURE_2D, 0, static_cast<int>(x - tile.x), static_cast<int>(y - tile.y), static_cast<int>(w), static_cast<int>(h), GL_RGBA, GL_UNSIGNED_BYTE, pixels.data());
  glGenerateMipmap(GL_TEXTURE_2D);
}

void Texture::update(const Image& image, int64_t x, int64_t y, int64_t w, int64_t h) {
  for (const Tile& tile : tiles_) {
    const int64_t left = std::max(x, tile.x), top = std::max(y, tile.y), right = std::min(x + w, tile.x + tile.width), bottom = std::min(y + h, tile.y + tile.height);
    if (left < right && top < bottom) upload(image, tile, left, top, right - left, bottom - top);
  }
}

void Texture::draw(ImDrawList& list, ImVec2 from, ImVec2 to, bool sharp, ImU32 tint) {
  const float across = (to.x - from.x) / static_cast<float>(width_), down = (to.y - from.y) / static_cast<float>(height_);
  for (const Tile& tile : tiles_) {
    if (sharp != sharp_) {
      glBindTexture(GL_TEXTURE_2D, tile.id);
      glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, sharp ? GL_NEAREST : GL_LINEAR);
    }
    const ImVec2 a = {from.x + across * static_cast<float>(tile.x), from.y + down * static_cast<float>(tile.y)};
    const ImVec2 b = {a.x + across * static_cast<float>(tile.width), a.y + down * static_cast<float>(tile.height)};
    list.AddImage(reinterpret_cast<ImTextureID>(static_cast<intptr_t>(tile.id)), a, b, {0, 0}, {1, 1}, tint);
  }
  sharp_ = sharp;
}

void Texture::draw_within(ImDrawList& list, ImVec2 corner, float side) {
  const auto longest = static_cast<float>(std::max(width_, height_));
  const ImVec2 size = {side * static_cast<float>(width_) / longest, side * static_cast<float>(height_) / longest};
  const ImVec2 from = {corner.x + (side - size.x) / 2, corner.y + (side - size.y) / 2};
  draw(list, from, {from.x + size.x, from.y + size.y}, false);
}

}  // namespace attelier::desktop
