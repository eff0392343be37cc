// A picture that views share: its pixels, what is worked out from them away from the window's thread, and its texture.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/desktop/texture.h"
#include "core/media/image.h"

namespace attelier::desktop {

/// How many pixels have each level of red, green and blue (in this order), of 64 levels a channel; of a large picture a million of its pixels.
using Histogram = std::array<float, 3 * 64>;

struct Picture {
  Image image;
  std::string name;
  uint64_t serial = 0;         // no other picture of this run has it
  std::vector<Image> smaller;  // of a large picture: halved, halved again, ..., the last one fits into a tile; see tile_pyramid.h
  Histogram histogram{};
  bool carries_job = false;    // it was read from a file that holds the job that made it
  Texture texture;             // of a small picture, made when it is first drawn

  /// Large ones are drawn in tiles, by a TileCache.
  bool is_large() const { return !smaller.empty(); }
  Texture& on_screen() {
    if (texture.empty() && image.width > 0) texture = Texture(image);
    return texture;
  }
  /// Bytes of its pixels and of its texture. On the window's thread.
  int64_t bytes() const;
};
using SharedPicture = std::shared_ptr<Picture>;

/// On any thread. Takes about a second for a picture of 16384 x 16384 pixels.
SharedPicture make_picture(Image image, std::string name);

}  // namespace attelier::desktop
