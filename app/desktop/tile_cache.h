// Tiles of large pictures on the graphics card: those that were drawn last. Lives and dies on the window's thread.
#pragma once

#include <imgui.h>

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "app/desktop/picture.h"
#include "app/desktop/tile_pyramid.h"

namespace attelier::desktop {

class TileCache {
 public:
  TileCache() = default;
  ~TileCache();
  TileCache(const TileCache&) = delete;
  TileCache& operator=(const TileCache&) = delete;

  /// A large picture is stretched between two corners (screen pixels) and drawn where it lies within the list's clip. Tiles that are not there yet are
  /// uploaded while the frame has time; until then a coarser one stands for them.
  void draw(ImDrawList& list, const SharedPicture& picture, ImVec2 from, ImVec2 to, bool sharp);
  /// Begins a frame: its share of time for uploads, and whether everything it draws was there.
  void begin_frame();
  /// False while something drawn since begin_frame() was coarser than it will be.
  bool is_complete() const { return complete_; }

 private:
  struct Tile {
    unsigned texture = 0;
    uint64_t frame = 0;  // in which it was drawn last
    bool sharp = false;
  };
  struct Tiles {
    std::weak_ptr<Picture> picture;
    std::map<TileIndex, Tile> tiles;
  };
  Tile* find(Tiles& tiles, const TileIndex& index);
  Tile* upload(Tiles& tiles, const Picture& picture, const TileIndex& index);
  unsigned free_texture();

  std::map<uint64_t, Tiles> pictures_;  // by their serials
  std::vector<unsigned> unused_;        // textures of tiles that are gone
  int64_t textures_ = 0;                // that exist, used or not
  uint64_t frame_ = 0;
  std::chrono::duration<double> spent_{};  // on uploads, in this frame
  bool complete_ = true;
  std::vector<uint8_t> rgba_;
};

}  // namespace attelier::desktop
