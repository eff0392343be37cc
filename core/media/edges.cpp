#include "core/media/edges.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace attelier {

Image canny_edges(const Image& image, double low, double high) {
  Image edges = image;
  const cv::Mat source(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3, edges.pixels.data());
  cv::Mat lines;
  cv::Canny(source, lines, low, high);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) std::fill_n(edges.pixels.data() + (y * image.width + x) * 3, 3, lines.at<uint8_t>(static_cast<int>(y), static_cast<int>(x)));
  return edges;
}

}  // namespace attelier
