#include "core/media/heat_map.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "core/base/error.h"

namespace attelier {

HeatRange whole_range(const HeatMap& map) {
  if (map.empty()) return {};
  const auto [low, high] = std::minmax_element(map.values.begin(), map.values.end());
  return {*low, *high};
}

HeatRange inner_range(const HeatMap& map, double share) {
  if (map.empty()) return {};
  std::vector<float> sorted = map.values;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double part) { return sorted[static_cast<size_t>(part * static_cast<double>(sorted.size() - 1) + 0.5)]; };
  return {at(share), at(1 - share)};
}

Image heat_image(const HeatMap& map, HeatRange range) {
  Image image{map.width, map.height, 3, std::vector<uint8_t>(static_cast<size_t>(map.width * map.height * 3))};
  if (map.empty()) return image;
  const double span = range.high - range.low, factor = span > 0 ? 255 / span : 0;
  cv::Mat grey(static_cast<int>(map.height), static_cast<int>(map.width), CV_8U), coloured;
  for (int64_t y = 0; y < map.height; ++y)
    for (int64_t x = 0; x < map.width; ++x)
      grey.at<uint8_t>(static_cast<int>(y), static_cast<int>(x)) = static_cast<uint8_t>(std::clamp((static_cast<double>(map.at(x, y)) - range.low) * factor, 0.0, 255.0) + 0.5);
  cv::applyColorMap(grey, coloured, cv::COLORMAP_VIRIDIS);
  cv::cvtColor(coloured, cv::Mat(grey.rows, grey.cols, CV_8UC3, image.pixels.data()), cv::COLOR_BGR2RGB);
  return image;
}

Image false_colours(const Image& picture) {
  Image grey = to_gray(picture), image{picture.width, picture.height, 3, std::vector<uint8_t>(static_cast<size_t>(picture.width * picture.height * 3))};
  const auto [low, high] = std::minmax_element(grey.pixels.begin(), grey.pixels.end());
  const int from = *low, span = std::max(1, *high - *low);
  for (uint8_t& value : grey.pixels) value = static_cast<uint8_t>(((value - from) * 255 + span / 2) / span);
  const cv::Mat values(static_cast<int>(grey.height), static_cast<int>(grey.width), CV_8U, grey.pixels.data());
  cv::Mat colours(values.rows, values.cols, CV_8UC3, image.pixels.data());
  cv::applyColorMap(values, colours, cv::COLORMAP_VIRIDIS);
  cv::cvtColor(colours, colours, cv::COLOR_BGR2RGB);
  return image;
}

Image two_heats_image(const HeatMap& first, HeatRange first_range, const HeatMap& second, HeatRange second_range) {
  if (first.width != second.width || first.height != second.height)
    fail(ExitCode::kUnexpected, "maps of {} x {} and {} x {} cannot lie in one picture", first.width, first.height, second.width, second.height);
  constexpr double kGround = 24;
  const auto share = [](float value, HeatRange range) { return range.high > range.low ? std::clamp((static_cast<double>(value) - range.low) / (range.high - range.low), 0.0, 1.0) : 0.0; };
  Image image{first.width, first.height, 3, std::vector<uint8_t>(first.values.size() * 3)};
  for (size_t i = 0; i < first.values.size(); ++i) {
    const double a = share(first.values[i], first_range), b = share(second.values[i], second_range);
    for (size_t c = 0; c < 3; ++c) image.pixels[3 * i + c] = static_cast<uint8_t>(std::min(255.0, kGround + a * (kFirstColour[c] - kGround) + b * (kSecondColour[c] - kGround)) + 0.5);
  }
  return image;
}

Image heat_over(const Image& picture, const HeatMap& map, HeatRange range, double density, bool smooth) {
  Image result = to_rgb(picture);
  if (map.empty()) return result;
  Image colours = heat_image(map, range);
  const cv::Mat small(static_cast<int>(map.height), static_cast<int>(map.width), CV_8UC3, colours.pixels.data());
  cv::Mat whole(static_cast<int>(result.height), static_cast<int>(result.width), CV_8UC3, result.pixels.data()), large;
  cv::resize(small, large, whole.size(), 0, 0, smooth ? cv::INTER_LINEAR : cv::INTER_NEAREST);
  cv::addWeighted(whole, 1 - density, large, density, 0, whole);
  return result;
}

}  // namespace attelier
