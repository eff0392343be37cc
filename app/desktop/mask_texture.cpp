#include "app/desktop/mask_texture.h"

#include <epoxy/gl.h>

#include <algorithm>

namespace attelier::desktop {
namespace {

constexpr int64_t kBlock = 2048;   // a multiple of the mask's tiles
constexpr int kTilesAtOnce = 256;  // of 64 KB: what a frame can send

unsigned make_texture(int64_t width, int64_t height) {
  unsigned id = 0;
  glGenTextures(1, &id);
  glBindTexture(GL_TEXTURE_2D, id);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
  const int white_with_alpha[] = {GL_ONE, GL_ONE, GL_ONE, GL_RED};
  glTexParameteriv(GL_TEXTURE_2D, GL_TEXTURE_SWIZZLE_RGBA, white_with_alpha);
  const std::vector<uint8_t> blank(static_cast<size_t>(width * height));
  glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_R8, static_cast<int>(width), static_cast<int>(height), 0, GL_RED, GL_UNSIGNED_BYTE, blank.data());
  return id;
}

}  // namespace

MaskTexture::~MaskTexture() { clear(); }

void MaskTexture::clear() {
  for (const Block& block : blocks_)
    if (block.id != 0) glDeleteTextures(1, &block.id);
  blocks_.clear();
}

void MaskTexture::make(int64_t width, int64_t height) {
  clear();
  shown_ = Mask(width, height);
  for (int64_t y = 0; y < height; y += kBlock)
    for (int64_t x = 0; x < width; x += kBlock) blocks_.push_back({0, x, y, std::min(kBlock, width - x), std::min(kBlock, height - y)});
}

bool MaskTexture::update(const Mask& mask) {
  if (mask.width() != shown_.width() || mask.height() != shown_.height()) make(mask.width(), mask.height());
  static const Mask::Tile kBlank{};
  int left = kTilesAtOnce;
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  for (Block& block : blocks_) {
    bool bound = false;
    for (int64_t y = block.y; y < block.y + block.height; y += Mask::kTile)
      for (int64_t x = block.x; x < block.x + block.width; x += Mask::kTile) {
        const int64_t column = x / Mask::kTile, row = y / Mask::kTile;
        const Mask::Tile* const tile = mask.tile(column, row);
        if (tile == shown_.tile(column, row)) continue;
        if (left-- == 0) {
          glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
          return false;
        }
        if (block.id == 0) block.id = make_texture(block.width, block.height);
        else if (!bound) glBindTexture(GL_TEXTURE_2D, block.id);
        bound = true;
        glPixelStorei(GL_UNPACK_ROW_LENGTH, static_cast<int>(Mask::kTile));
        glTexSubImage2D(GL_TEXTURE_2D, 0, static_cast<int>(x - block.x), static_cast<int>(y - block.y), static_cast<int>(std::min(Mask::kTile, block.x + block.width - x)),
                        static_cast<int>(std::min(Mask::kTile, block.y + block.height - y)), GL_RED, GL_UNSIGNED_BYTE, tile == nullptr ? kBlank.data() : tile->data());
        shown_.share_tile(column, row, mask);
      }
  }
  glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
  return true;
}

void MaskTexture::draw(ImDrawList& list, ImVec2 from, ImVec2 to, bool sharp, ImU32 colour) {
  const float across = (to.x - from.x) / static_cast<float>(shown_.width()), down = (to.y - from.y) / static_cast<float>(shown_.height());
  for (const Block& block : blocks_) {
    if (block.id == 0) continue;
    glBindTexture(GL_TEXTURE_2D, block.id);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, sharp ? GL_NEAREST : GL_LINEAR);
    const ImVec2 a = {from.x + across * static_cast<float>(block.x), from.y + down * static_cast<float>(block.y)};
    list.AddImage(reinterpret_cast<ImTextureID>(static_cast<intptr_t>(block.id)), a, {a.x + across * static_cast<float>(block.width), a.y + down * static_cast<float>(block.height)}, {0, 0},
                  {1, 1}, colour);
  }
}

}  // namespace attelier::desktop
