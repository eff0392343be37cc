#include "app/desktop/tile_cache.h"

#include <epoxy/gl.h>

#include <algorithm>

namespace attelier::desktop {
namespace {

constexpr int64_t kMostTextures = (int64_t{1} << 30) / (kTileSide * kTileSide * 4);  // 1 GiB
constexpr size_t kMostUnused = 32;
constexpr std::chrono::duration<double> kUploadTime{0.008};  // a frame

}  // namespace

TileCache::~TileCache() {
  for (const auto& [serial, one] : pictures_)
    for (const auto& [index, tile] : one.tiles) glDeleteTextures(1, &tile.texture);
  for (const unsigned texture : unused_) glDeleteTextures(1, &texture);
}

void TileCache::begin_frame() {
  ++frame_;
  spent_ = {};
  complete_ = true;
  std::erase_if(pictures_, [this](const auto& one) {
    if (!one.second.picture.expired()) return false;
    for (const auto& [index, tile] : one.second.tiles) unused_.push_back(tile.texture);
    return true;
  });
  for (; unused_.size() > kMostUnused; unused_.pop_back(), --textures_) glDeleteTextures(1, &unused_.back());
}

TileCache::Tile* TileCache::find(Tiles& tiles, const TileIndex& index) {
  const auto found = tiles.tiles.find(index);
  if (found == tiles.tiles.end()) return nullptr;
  found->second.frame = frame_;
  return &found->second;
}

unsigned TileCache::free_texture() {
  unsigned texture = 0;
  if (unused_.empty() && textures_ >= kMostTextures) {
    // The tile that was not drawn for the longest time gives up its texture.
    Tiles* owner = nullptr;
    std::map<TileIndex, Tile>::iterator oldest;
    for (auto& [serial, one] : pictures_)
      for (auto tile = one.tiles.begin(); tile != one.tiles.end(); ++tile)
        if (tile->second.frame < frame_ && (owner == nullptr || tile->second.frame < oldest->second.frame)) {
          owner = &one;
          oldest = tile;
        }
    if (owner != nullptr) {
      unused_.push_back(oldest->second.texture);
      owner->tiles.erase(oldest);
    }
  }
  if (!unused_.empty()) {
    texture = unused_.back();
    unused_.pop_back();
    return texture;
  }
  glGenTextures(1, &texture);
  glBindTexture(GL_TEXTURE_2D, texture);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
  glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, static_cast<int>(kTileSide), static_cast<int>(kTileSide), 0, GL_RGBA, GL_UNSIGNED_BYTE, nullptr);
  ++textures_;
  return texture;
}

TileCache::Tile* TileCache::upload(Tiles& tiles, const Picture& picture, const TileIndex& index) {
  const auto began = std::chrono::steady_clock::now();
  read_tile(index.level == 0 ? picture.image : picture.smaller[static_cast<size_t>(index.level - 1)], index, rgba_);
  const unsigned texture = free_texture();
  glBindTexture(GL_TEXTURE_2D, texture);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
  glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, static_cast<int>(kTileSide), static_cast<int>(kTileSide), GL_RGBA, GL_UNSIGNED_BYTE, rgba_.data());
  Tile& tile = tiles.tiles[index];
  tile = {texture, frame_, false};
  spent_ += std::chrono::steady_clock::now() - began;
  return &tile;
}

void TileCache::draw(ImDrawList& list, const SharedPicture& picture, ImVec2 from, ImVec2 to, bool sharp) {
  const Image& image = picture->image;
  const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
  const double across = (static_cast<double>(to.x) - from.x) / width, down = (static_cast<double>(to.y) - from.y) / height;
  const ImVec2 clip_from = list.GetClipRectMin(), clip_to = list.GetClipRectMax();
  const auto levels = static_cast<int64_t>(picture->smaller.size()) + 1;
  Tiles& tiles = pictures_[picture->serial];
  tiles.picture = picture;
  // The coarsest tile comes first and stays: something is always there to show.
  const TileIndex whole{levels - 1, 0, 0};
  if (find(tiles, whole) == nullptr) upload(tiles, *picture, whole);
  for (const TileIndex& wanted : tiles_over(level_for(std::min(across, down), levels), image.width, image.height, (clip_from.x - from.x) / across, (clip_from.y - from.y) / down,
                                            (clip_to.x - from.x) / across, (clip_to.y - from.y) / down)) {
    TileIndex shown = wanted;
    Tile* tile = find(tiles, shown);
    if (tile == nullptr && spent_ < kUploadTime) tile = upload(tiles, *picture, shown);
    if (tile == nullptr) complete_ = false;
    while (tile == nullptr) tile = find(tiles, shown = shown.parent());
    if (tile->sharp != sharp) {
      glBindTexture(GL_TEXTURE_2D, tile->texture);
      glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, sharp ? GL_NEAREST : GL_LINEAR);
      tile->sharp = sharp;
    }
    const auto left = static_cast<double>(wanted.x * wanted.pitch()), right = std::min(width, left + static_cast<double>(wanted.pitch()));
    const auto top = static_cast<double>(wanted.y * wanted.pitch()), bottom = std::min(height, top + static_cast<double>(wanted.pitch()));
    const auto place = [](double x, double y) { return ImVec2(static_cast<float>(x), static_cast<float>(y)); };
    list.AddImage(reinterpret_cast<ImTextureID>(static_cast<intptr_t>(tile->texture)), place(from.x + left * across, from.y + top * down),
                  place(from.x + right * across, from.y + bottom * down), place(shown.texture_place(left, shown.x), shown.texture_place(top, shown.y)),
                  place(shown.texture_place(right, shown.x), shown.texture_place(bottom, shown.y)));
  }
}

}  // namespace attelier::desktop
