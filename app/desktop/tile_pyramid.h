// A large picture as tiles of its sizes: level 0 is the picture itself, each further level half as wide and high, the last one a single tile. A view
// draws the tiles that it sees of the level that suits its zoom, so that its cost depends on the window and not on the picture.
#pragma once

#include <cstdint>
#include <vector>

#include "core/media/image.h"

namespace attelier::desktop {

/// Pixels of the picture in a tile, and in its texture: around them lies one pixel of each neighbour, so that smooth enlargement shows no seams.
constexpr int64_t kTilePixels = 510, kTileSide = kTilePixels + 2;

/// Half as wide and high, rounded up; every pixel the mean of the up to four below it, weighted by their alpha.
Image halved(const Image& image);
/// Levels 1, 2, ... of a picture; at least one.
std::vector<Image> pyramid_over(const Image& image);

/// The level to draw at `scale` screen pixels per picture pixel: the coarsest that is not enlarged.
int64_t level_for(double scale, int64_t levels);

struct TileIndex {
  int64_t level = 0, x = 0, y = 0;
  auto operator<=>(const TileIndex&) const = default;
  /// The tile of the next coarser level that holds this one whole.
  TileIndex parent() const { return {level + 1, x / 2, y / 2}; }
  /// Pixels of the picture (level 0) from one tile of this level to the next.
  int64_t pitch() const { return kTilePixels << level; }
  /// Where in the tile's texture a column (or row) of the picture lies, 0 to 1. `index` is x (or y).
  double texture_place(double picture_place, int64_t index) const {
    return (picture_place / static_cast<double>(int64_t{1} << level) - static_cast<double>(index * kTilePixels) + 1) / static_cast<double>(kTileSide);
  }
};

/// Tiles of `level` that cover a part of a picture of `width` x `height` pixels; corners in pixels of the picture, which may lie outside it.
std::vector<TileIndex> tiles_over(int64_t level, int64_t width, int64_t height, double left, double top, double right, double bottom);

/// A tile's texture: kTileSide x kTileSide RGBA. `image` is the tile's level; what lies outside it repeats its edge.
void read_tile(const Image& image, const TileIndex& tile, std::vector<uint8_t>& rgba);

}  // namespace attelier::desktop
