// Numbers as colours.
#include "core/media/heat_map.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/base/error.h"

namespace attelier {
namespace {

HeatMap ramp(int64_t width, int64_t height) {
  HeatMap map{width, height, std::vector<float>(static_cast<size_t>(width * height))};
  std::iota(map.values.begin(), map.values.end(), 0.0f);
  return map;
}

int lightness(const Image& image, int64_t x, int64_t y) {
  const uint8_t* const pixel = image.pixels.data() + (y * image.width + x) * 3;
  return 2 * pixel[0] + 5 * pixel[1] + pixel[2];
}

TEST(HeatMaps, Ranges) {
  const HeatMap map = ramp(101, 1);
  EXPECT_EQ(whole_range(map).low, 0);
  EXPECT_EQ(whole_range(map).high, 100);
  EXPECT_EQ(inner_range(map, 0.01).low, 1);
  EXPECT_EQ(inner_range(map, 0.01).high, 99);
  EXPECT_EQ(whole_range({}).high, 1);
}

TEST(HeatMaps, ColoursRiseInLightnessAndStopAtTheRange) {
  const Image image = heat_image(ramp(64, 1), {0, 63});
  for (int64_t x = 1; x < 64; ++x) EXPECT_GE(lightness(image, x, 0), lightness(image, x - 1, 0)) << x;
  EXPECT_GT(lightness(image, 63, 0), 3 * lightness(image, 0, 0));
  const Image cut = heat_image(ramp(64, 1), {20, 40});
  EXPECT_EQ(lightness(cut, 0, 0), lightness(cut, 20, 0));
  EXPECT_EQ(lightness(cut, 40, 0), lightness(cut, 63, 0));
  const Image flat = heat_image(HeatMap{2, 1, {3, 3}}, {3, 3});
  EXPECT_EQ(lightness(flat, 0, 0), lightness(flat, 1, 0));
}

TEST(HeatMaps, OverAPicture) {
  Image picture{8, 8, 1, std::vector<uint8_t>(64, 200)};
  const HeatMap map = ramp(2, 2);
  EXPECT_EQ(heat_over(picture, map, {0, 3}, 0, false).pixels, std::vector<uint8_t>(192, 200));
  const Image cells = heat_over(picture, map, {0, 3}, 1, false), colours = heat_image(map, {0, 3});
  EXPECT_EQ(lightness(cells, 3, 3), lightness(colours, 0, 0));
  EXPECT_EQ(lightness(cells, 4, 4), lightness(colours, 1, 1));
  EXPECT_NE(heat_over(picture, map, {0, 3}, 1, true).pixels, cells.pixels);
  EXPECT_EQ(heat_over(picture, {}, {0, 3}, 1, true).pixels, std::vector<uint8_t>(192, 200));
}

TEST(HeatMaps, FalseColoursStretchFromTheDarkestToTheBrightest) {
  const Image grey{3, 1, 1, {40, 90, 140}}, stretched{3, 1, 1, {0, 128, 255}};
  EXPECT_EQ(false_colours(grey).pixels, false_colours(stretched).pixels);
  const HeatMap map{3, 1, {0, 128, 255}};
  EXPECT_EQ(false_colours(grey).pixels, heat_image(map, {0, 255}).pixels);
  const Image colour{2, 1, 4, {0, 0, 0, 9, 255, 255, 255, 1}};
  EXPECT_EQ(false_colours(colour).pixels, heat_image(HeatMap{2, 1, {0, 1}}, {0, 1}).pixels) << "alpha is no brightness";
  EXPECT_EQ(false_colours(Image{2, 2, 1, {7, 7, 7, 7}}).pixels, heat_image(HeatMap{2, 2, {0, 0, 0, 0}}, {0, 1}).pixels);
}

TEST(HeatMaps, TwoInOnePictureKeepTheirColours) {
  const HeatMap left{2, 2, {1, 0, 1, 0}}, lower{2, 2, {0, 0, 4, 4}};
  const Image both = two_heats_image(left, {0, 1}, lower, {0, 4});
  const auto at = [&](size_t i) { return std::array<uint8_t, 3>{both.pixels[3 * i], both.pixels[3 * i + 1], both.pixels[3 * i + 2]}; };
  EXPECT_EQ(at(0), kFirstColour);
  EXPECT_EQ(at(1), (std::array<uint8_t, 3>{24, 24, 24}));
  EXPECT_EQ(at(2), (std::array<uint8_t, 3>{255, 255, 255})) << "where both are";
  EXPECT_EQ(at(3), kSecondColour);
  EXPECT_THROW(two_heats_image(left, {0, 1}, HeatMap{1, 1, {0}}, {0, 1}), Error);
}

}  // namespace
}  // namespace attelier
