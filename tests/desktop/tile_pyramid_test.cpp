// The arithmetic of large pictures: levels, which tiles are seen, and what lies in their textures.
#include "app/desktop/tile_pyramid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "app/desktop/picture.h"

namespace attelier::desktop {
namespace {

/// Every pixel tells its place.
Image places(int64_t width, int64_t height, int64_t channels = 3) {
  Image image{width, height, channels, std::vector<uint8_t>(static_cast<size_t>(width * height * channels))};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c) image.pixels[static_cast<size_t>((y * width + x) * channels + c)] = static_cast<uint8_t>(c == 0 ? x : c == 1 ? y : c == 2 ? x + y : 255);
  return image;
}

TEST(TilePyramid, HalvingTakesMeansAndOddEdgesKeepTheirOwn) {
  const Image image{3, 3, 1, {0, 10, 100, 20, 30, 200, 7, 9, 50}};
  const Image half = halved(image);
  EXPECT_EQ(half.width, 2);
  EXPECT_EQ(half.height, 2);
  EXPECT_EQ(half.pixels, (std::vector<uint8_t>{15, 150, 8, 50}));
}

TEST(TilePyramid, TransparentPixelsGiveNoColour) {
  const Image image{2, 2, 4, {200, 100, 50, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
  EXPECT_EQ(halved(image).pixels, (std::vector<uint8_t>{200, 100, 50, 64}));
}

TEST(TilePyramid, LevelsEndWithOneTileAndCostAThird) {
  const SharedPicture picture = make_picture(places(4000, 3001), "large");
  ASSERT_TRUE(picture->is_large());
  EXPECT_EQ(picture->smaller.front().width, 2000);
  EXPECT_EQ(picture->smaller.front().height, 1501);
  EXPECT_LE(picture->smaller.back().width, kTilePixels);
  EXPECT_LE(picture->smaller.back().height, kTilePixels);
  EXPECT_GT(picture->smaller[picture->smaller.size() - 2].width, kTilePixels) << "no level too many";
  EXPECT_LT(static_cast<double>(picture->bytes()), 1.34 * static_cast<double>(picture->image.pixels.size()));
  EXPECT_FALSE(make_picture(places(512, 512), "small")->is_large());
}

TEST(TilePyramid, TheLevelIsTheCoarsestThatIsNotEnlarged) {
  EXPECT_EQ(level_for(4, 6), 0);
  EXPECT_EQ(level_for(1, 6), 0);
  EXPECT_EQ(level_for(0.51, 6), 0);
  EXPECT_EQ(level_for(0.5, 6), 1);
  EXPECT_EQ(level_for(0.26, 6), 1);
  EXPECT_EQ(level_for(1.0 / 16, 6), 4);
  EXPECT_EQ(level_for(1.0 / 64, 6), 5) << "no level is coarser than the last";
}

TEST(TilePyramid, TheTilesOfAViewCoverItOnceAndAreFewAtEveryZoom) {
  constexpr int64_t kWide = 16384, kHigh = 12001;
  for (const double scale : {64.0, 2.0, 1.0, 0.7, 0.3, 0.0625, 0.03}) {
    const int64_t level = level_for(scale, 6);
    const double left = 5000.3, top = 4000.7, right = left + 1100 / scale, bottom = top + 700 / scale;
    const auto tiles = tiles_over(level, kWide, kHigh, left, top, right, bottom);
    EXPECT_LE(tiles.size(), 24u) << scale;
    int64_t pixels = 0;
    for (const TileIndex& tile : tiles) {
      const int64_t pitch = tile.pitch();
      const double wide = std::min({right, static_cast<double>(kWide), static_cast<double>((tile.x + 1) * pitch)}) - std::max(left, static_cast<double>(tile.x * pitch));
      const double high = std::min({bottom, static_cast<double>(kHigh), static_cast<double>((tile.y + 1) * pitch)}) - std::max(top, static_cast<double>(tile.y * pitch));
      EXPECT_GT(wide, 0) << scale;
      EXPECT_GT(high, 0) << scale;
      pixels += std::llround(wide * high);
    }
    const double seen = (std::min(right, static_cast<double>(kWide)) - left) * (std::min(bottom, static_cast<double>(kHigh)) - top);
    EXPECT_NEAR(static_cast<double>(pixels), seen, static_cast<double>(tiles.size())) << scale;
  }
  EXPECT_TRUE(tiles_over(0, kWide, kHigh, 20000, 0, 30000, 100).empty());
  EXPECT_TRUE(tiles_over(0, kWide, kHigh, -500, 0, -1, 100).empty());
  EXPECT_EQ(tiles_over(5, kWide, kHigh, -1e6, -1e6, 1e6, 1e6).size(), 2u) << "12001 rows are 376 at level 5, 16384 columns 512: two tiles";
}

TEST(TilePyramid, TexturesHoldTheirPixelsExactlyWithTheirNeighboursAround) {
  const Image image = places(1100, 600);
  std::vector<uint8_t> rgba;
  const TileIndex tile{0, 1, 1};
  read_tile(image, tile, rgba);
  const auto texel = [&](int64_t x, int64_t y) { return std::vector<uint8_t>(rgba.begin() + (y * kTileSide + x) * 4, rgba.begin() + (y * kTileSide + x) * 4 + 4); };
  const auto original = [&](int64_t x, int64_t y) {
    const uint8_t* const p = image.pixels.data() + (std::min<int64_t>(y, 599) * image.width + std::min<int64_t>(x, 1099)) * 3;
    return std::vector<uint8_t>{p[0], p[1], p[2], 255};
  };
  for (const auto& [x, y] : std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {1, 1}, {100, 50}, {511, 90}, {400, 511}})
    EXPECT_EQ(texel(x, y), original(kTilePixels - 1 + x, kTilePixels - 1 + y)) << x << " " << y;
  // The texture's place of a pixel's middle is the middle of its texel.
  EXPECT_DOUBLE_EQ(tile.texture_place(510.5, tile.x) * static_cast<double>(kTileSide), 1.5);
  // One column wide, grey, and beyond both edges.
  read_tile(places(511, 3, 1), {0, 1, 0}, rgba);
  EXPECT_EQ(texel(0, 1), (std::vector<uint8_t>{253, 253, 253, 255}));
  EXPECT_EQ(texel(1, 1), (std::vector<uint8_t>{254, 254, 254, 255}));
  EXPECT_EQ(texel(500, 511), (std::vector<uint8_t>{254, 254, 254, 255}));
}

TEST(TilePyramid, AParentHoldsItsTilesWhole) {
  for (const TileIndex tile : {TileIndex{0, 5, 2}, TileIndex{0, 4, 3}, TileIndex{2, 7, 0}}) {
    const TileIndex parent = tile.parent();
    for (const int64_t x : {tile.x * tile.pitch(), (tile.x + 1) * tile.pitch()}) {
      const double place = parent.texture_place(static_cast<double>(x), parent.x) * static_cast<double>(kTileSide);
      EXPECT_GE(place, 1);
      EXPECT_LE(place, 1 + kTilePixels);
    }
  }
}

TEST(PictureOfAFile, HistogramsCountEveryPixelOfASmallOne) {
  const SharedPicture picture = make_picture(Image{2, 2, 3, {0, 0, 255, 0, 4, 255, 0, 0, 255, 8, 0, 255}}, "four");
  EXPECT_EQ(picture->histogram[0], 3);
  EXPECT_EQ(picture->histogram[2], 1);
  EXPECT_EQ(picture->histogram[64 + 1], 1);
  EXPECT_EQ(picture->histogram[2 * 64 + 63], 4);
}

}  // namespace
}  // namespace attelier::desktop
