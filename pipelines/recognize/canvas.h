// A picture magnified, to draw on: places are pixels of the picture, of which the first has its centre at (0, 0).
#pragma once

#include <opencv2/core.hpp>
#include <string>

#include "core/media/image.h"

namespace attelier {

/// With its centre and its half sides.
struct Rectangle {
  double x, y, half_width, half_height;
};

/// Hues far apart for neighbours, RGB.
cv::Scalar distinct_colour(int64_t number);

class Canvas {
 public:
  /// `margin`: a share of the longer side, left around the picture for what lies outside.
  explicit Canvas(const Image& picture, double margin = 0);

  int zoom() const { return zoom_; }
  /// The magnified picture itself, RGB.
  cv::Mat inside() { return canvas_(place()); }

  void line(double x0, double y0, double x1, double y1, const cv::Scalar& colour, int thickness);
  void outline(const Rectangle& rectangle, const cv::Scalar& colour, int thickness);
  /// Lies over the picture, as dense as `share`.
  void fill(const Rectangle& rectangle, const cv::Scalar& colour, double share);
  /// Lines from left below to right above.
  void hatch(const Rectangle& rectangle, const cv::Scalar& colour);
  void arrow(const Rectangle& from, const Rectangle& to, const cv::Scalar& colour);
  void dot(double x, double y, double radius, const cv::Scalar& colour);
  /// A pixel of the picture.
  void cross(double x, double y);
  /// Centred at (x, y).
  void text(double x, double y, const std::string& text);
  /// Numbers f32 [rows,columns] as colours over the picture in grey, from 0 (dark) to `most` (bright). `bounds`: the part of the picture, in pixels, that they
  /// cover from the upper left corner.
  void colours(const at::Tensor& numbers, double most, double width, double height);

  /// Fades all that lies outside the picture, writes the caption below, and gives the result away.
  Image finish(const std::string& caption);

 private:
  cv::Rect place() const { return {margin_, margin_, picture_width_ * zoom_, picture_height_ * zoom_}; }
  cv::Point point(double x, double y) const;

  int picture_width_, picture_height_, zoom_ = 1, margin_ = 0;
  cv::Mat canvas_;  // RGB
};

}  // namespace attelier
