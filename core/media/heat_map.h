// Numbers on a grid as colours.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/media/image.h"

namespace attelier {

/// Row-major numbers.
struct HeatMap {
  int64_t width = 0, height = 0;
  std::vector<float> values;

  bool empty() const { return values.empty(); }
  float at(int64_t x, int64_t y) const { return values[static_cast<size_t>(y * width + x)]; }
};

struct HeatRange {
  double low = 0, high = 1;
};

/// From the smallest to the largest number.
HeatRange whole_range(const HeatMap& map);
/// Without the lowest and the highest share of the numbers: 0.01 = from the 1st to the 99th percentile.
HeatRange inner_range(const HeatMap& map, double share);

/// One RGB pixel for each number, in colours that rise evenly in lightness (viridis): dark at `low` and below, bright at `high` and above.
Image heat_image(const HeatMap& map, HeatRange range);
/// The brightness of a picture in the same colours, from the darkest to the brightest value that occurs: for depth, masks and what lies in the dark.
Image false_colours(const Image& picture);
/// Two maps in one picture, to compare them: dark where both are low, kFirstColour and kSecondColour where one is high, white where both are. Of one size.
Image two_heats_image(const HeatMap& first, HeatRange first_range, const HeatMap& second, HeatRange second_range);
/// Orange and blue, which people with any colour vision tell apart.
constexpr std::array<uint8_t, 3> kFirstColour = {255, 150, 40}, kSecondColour = {60, 140, 255};

/// The picture under its map, which is enlarged to the picture's size: `density` 0 shows the picture alone, 1 the colours. `smooth`: bilinear, else whole cells.
Image heat_over(const Image& picture, const HeatMap& map, HeatRange range, double density, bool smooth);

}  // namespace attelier
