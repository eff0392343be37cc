#include "pipelines/recognize/canvas.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace attelier {
namespace {

constexpr int kLeastSide = 768;         // of the magnified picture's longer side
constexpr int kMostZoom = 8;
constexpr double kOutsideShare = 0.45;  // of what is drawn outside, over the background
constexpr double kHatchStep = 18;
constexpr int kCaptionHeight = 22;
constexpr int kShift = 4;               // cv's drawing takes places in 1/16 of a pixel
constexpr double kFar = 1e5;
constexpr double kGoldenRatio = 0.618033988749895;
constexpr double kColourShare = 0.65;
const cv::Scalar kBackground(24, 24, 24), kCaptionColour(225, 225, 225);

}  // namespace

cv::Scalar distinct_colour(int64_t number) {
  const cv::Mat hsv(1, 1, CV_8UC3, cv::Scalar(180 * std::fmod(0.02 + static_cast<double>(number) * kGoldenRatio, 1.0), 210, 255));
  cv::Mat rgb;
  cv::cvtColor(hsv, rgb, cv::COLOR_HSV2RGB);
  const cv::Vec3b colour = rgb.at<cv::Vec3b>(0, 0);
  return cv::Scalar(colour[0], colour[1], colour[2]);
}

Canvas::Canvas(const Image& picture, double margin) : picture_width_(static_cast<int>(picture.width)), picture_height_(static_cast<int>(picture.height)) {
  const int longer = std::max(picture_width_, picture_height_);
  zoom_ = std::clamp((kLeastSide + longer - 1) / longer, 1, kMostZoom);
  margin_ = static_cast<int>(margin * longer * zoom_);
  Image rgb = to_rgb(picture);
  const cv::Mat source(picture_height_, picture_width_, CV_8UC3, rgb.pixels.data());
  canvas_ = cv::Mat(picture_height_ * zoom_ + 2 * margin_ + kCaptionHeight, picture_width_ * zoom_ + 2 * margin_, CV_8UC3, kBackground);
  cv::resize(source, inside(), inside().size(), 0, 0, cv::INTER_CUBIC);
}

cv::Point Canvas::point(double x, double y) const {
  // Far outside nothing is seen, and drawing has integers.
  const auto fixed = [&](double pixel) {
    const double place = (pixel + 0.5) * zoom_ + margin_ - 0.5;
    return static_cast<int>(std::lround((std::isnan(place) ? -kFar : std::clamp(place, -kFar, kFar)) * (1 << kShift)));
  };
  return {fixed(x), fixed(y)};
}

void Canvas::line(double x0, double y0, double x1, double y1, const cv::Scalar& colour, int thickness) {
  cv::line(canvas_, point(x0, y0), point(x1, y1), colour, thickness, cv::LINE_AA, kShift);
}

void Canvas::outline(const Rectangle& r, const cv::Scalar& colour, int thickness) {
  const double left = r.x - r.half_width, right = r.x + r.half_width, top = r.y - r.half_height, bottom = r.y + r.half_height;
  line(left, top, right, top, colour, thickness);
  line(right, top, right, bottom, colour, thickness);
  line(right, bottom, left, bottom, colour, thickness);
  line(left, bottom, left, top, colour, thickness);
}

void Canvas::fill(const Rectangle& r, const cv::Scalar& colour, double share) {
  const auto place = [&](double edge) { return static_cast<int>(std::lround((edge + 0.5) * zoom_)) + margin_; };
  const int left = place(r.x - r.half_width), top = place(r.y - r.half_height);
  const cv::Rect area = cv::Rect(left, top, place(r.x + r.half_width) - left, place(r.y + r.half_height) - top) & this->place();
  if (area.empty()) return;
  cv::Mat part = canvas_(area);
  cv::addWeighted(cv::Mat(part.size(), CV_8UC3, colour), share, part, 1 - share, 0, part);
}

void Canvas::hatch(const Rectangle& r, const cv::Scalar& colour) {
  const double width = 2 * std::abs(r.half_width), height = 2 * std::abs(r.half_height), left = r.x - width / 2, top = r.y - height / 2,
               step = kHatchStep / zoom_;
  if (!(width + height < kFar)) return;
  for (double along = step; along < width + height; along += step) {
    const double x0 = std::min(along, width), y0 = along - x0, y1 = std::min(along, height), x1 = along - y1;
    line(left + x0, top + y0, left + x1, top + y1, colour, 1);
  }
}

void Canvas::arrow(const Rectangle& from, const Rectangle& to, const cv::Scalar& colour) {
  const double length = std::hypot(to.x - from.x, to.y - from.y) * zoom_;
  if (length < 4) return;
  cv::arrowedLine(canvas_, point(from.x, from.y), point(to.x, to.y), colour, 2, cv::LINE_AA, kShift, std::min(0.3, 12 / length));
}

void Canvas::dot(double x, double y, double radius, const cv::Scalar& colour) {
  cv::circle(canvas_, point(x, y), static_cast<int>(radius * (1 << kShift)), colour, cv::FILLED, cv::LINE_AA, kShift);
}

void Canvas::cross(double x, double y) {
  const double arm = 10.0 / zoom_;
  for (const auto& [colour, thickness] : {std::pair(cv::Scalar(0, 0, 0), 5), {cv::Scalar(255, 255, 255), 2}}) {
    line(x - arm, y, x + arm, y, colour, thickness);
    line(x, y - arm, x, y + arm, colour, thickness);
  }
}

void Canvas::text(double x, double y, const std::string& text) {
  constexpr double kSize = 0.5;
  int below = 0;
  const cv::Size size = cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, kSize, 1, &below);
  const cv::Point centre = point(x, y), corner((centre.x >> kShift) - size.width / 2, (centre.y >> kShift) + size.height / 2);
  cv::putText(canvas_, text, corner, cv::FONT_HERSHEY_SIMPLEX, kSize, cv::Scalar(0, 0, 0), 3, cv::LINE_AA);
  cv::putText(canvas_, text, corner, cv::FONT_HERSHEY_SIMPLEX, kSize, cv::Scalar(255, 255, 255), 1, cv::LINE_AA);
}

void Canvas::colours(const at::Tensor& numbers, double most, double width, double height) {
  const at::Tensor values = numbers.to(at::kCPU, at::kFloat).contiguous();
  const cv::Mat source(static_cast<int>(values.size(0)), static_cast<int>(values.size(1)), CV_32F, const_cast<float*>(values.const_data_ptr<float>()));
  cv::Mat levels, over, grey;
  source.convertTo(levels, CV_8U, most > 0 ? 255 / most : 0);
  cv::applyColorMap(levels, over, cv::COLORMAP_INFERNO);
  cv::cvtColor(over, over, cv::COLOR_BGR2RGB);
  cv::resize(over, over, cv::Size(static_cast<int>(std::lround(width * zoom_)), static_cast<int>(std::lround(height * zoom_))), 0, 0, cv::INTER_NEAREST);
  cv::Mat shown = inside();
  cv::cvtColor(shown, grey, cv::COLOR_RGB2GRAY);
  cv::cvtColor(grey, grey, cv::COLOR_GRAY2RGB);
  const cv::Rect covered = cv::Rect(0, 0, over.cols, over.rows) & cv::Rect(0, 0, shown.cols, shown.rows);
  cv::addWeighted(over(covered), kColourShare, grey(covered), 1 - kColourShare, 0, shown(covered));
}

Image Canvas::finish(const std::string& caption) {
  const cv::Mat kept = inside().clone(), background(canvas_.size(), CV_8UC3, kBackground);
  cv::addWeighted(canvas_, kOutsideShare, background, 1 - kOutsideShare, 0, canvas_);
  kept.copyTo(inside());
  cv::rectangle(canvas_, place() - cv::Point(1, 1) + cv::Size(2, 2), cv::Scalar(90, 90, 90), 1);
  canvas_(cv::Rect(0, canvas_.rows - kCaptionHeight, canvas_.cols, kCaptionHeight)) = kBackground;
  cv::putText(canvas_, caption, {6, canvas_.rows - 7}, cv::FONT_HERSHEY_SIMPLEX, 0.45, kCaptionColour, 1, cv::LINE_AA);
  Image image;
  image.width = canvas_.cols;
  image.height = canvas_.rows;
  image.channels = 3;
  image.pixels.assign(canvas_.datastart, canvas_.dataend);
  return image;
}

}  // namespace attelier
