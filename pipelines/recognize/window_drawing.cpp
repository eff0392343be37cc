#include "pipelines/recognize/window_drawing.h"

#include <cmath>
#include <opencv2/imgproc.hpp>

#include "core/base/error.h"

namespace attelier {
namespace {

constexpr int kLeastSide = 768;          // of the magnified picture's longer side
constexpr int kMostZoom = 8;
constexpr double kMargin = 0.15;         // of the longer side, around the picture
constexpr double kOutsideShare = 0.45;   // of what is drawn outside, over the background
constexpr double kHatchStep = 18;
constexpr int kCaptionHeight = 22;
constexpr double kGoldenRatio = 0.618033988749895;
const cv::Scalar kBackground(24, 24, 24), kDefaultColour(235, 235, 235), kCaptionColour(225, 225, 225);

struct Rectangle {
  double x, y, half_width, half_height;
};

Rectangle rectangle_of(const CellWindows& windows, int64_t head, int64_t window) {
  const float* const numbers = windows.rectangles.const_data_ptr<float>() + (head * windows.rectangles.size(1) + window) * 4;
  return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

Rectangle default_rectangle(const CellWindows& windows, int64_t window) {
  const double half = static_cast<double>(windows.size) / 2, stride = static_cast<double>(windows.stride);
  const auto centre = [&](int64_t place, int64_t before) { return (static_cast<double>(place * windows.size - before) + half) * stride - 0.5; };
  return {centre(window % windows.columns, windows.left), centre(window / windows.columns, windows.top), half * stride, half * stride};
}

/// Positions of the samples along one axis: the cells' centres, stretched with the rectangle.
std::vector<double> samples(const CellWindows& windows, double centre, double half) {
  std::vector<double> places;
  for (int64_t i = 0; i < windows.size; ++i) places.push_back(centre + (static_cast<double>(2 * i + 1) / static_cast<double>(windows.size) - 1) * half);
  return places;
}

/// Hues far apart for neighbours, RGB.
cv::Scalar head_colour(int64_t head) {
  const cv::Mat hsv(1, 1, CV_8UC3, cv::Scalar(180 * std::fmod(0.02 + static_cast<double>(head) * kGoldenRatio, 1.0), 210, 255));
  cv::Mat rgb;
  cv::cvtColor(hsv, rgb, cv::COLOR_HSV2RGB);
  const cv::Vec3b colour = rgb.at<cv::Vec3b>(0, 0);
  return cv::Scalar(colour[0], colour[1], colour[2]);
}

/// The magnified picture with its margin, and the way from pixels to places on it.
class Canvas {
 public:
  Canvas(const Image& picture, const CellWindows& windows) : picture_width_(static_cast<int>(picture.width)), picture_height_(static_cast<int>(picture.height)) {
    if (picture.width != windows.map_columns * windows.stride || picture.height != windows.map_rows * windows.stride)
      fail(ExitCode::kBadInput, "the picture to draw on has {} x {} pixels, the windows are those of {} x {}; draw on the picture that the model was given", picture.width, picture.height,
           windows.map_columns * windows.stride, windows.map_rows * windows.stride);
    const int longer = std::max(picture_width_, picture_height_);
    zoom_ = std::clamp((kLeastSide + longer - 1) / longer, 1, kMostZoom);
    margin_ = static_cast<int>(kMargin * longer * zoom_);
    Image rgb = to_rgb(picture);
    const cv::Mat source(picture_height_, picture_width_, CV_8UC3, rgb.pixels.data());
    canvas_ = cv::Mat(picture_height_ * zoom_ + 2 * margin_ + kCaptionHeight, picture_width_ * zoom_ + 2 * margin_, CV_8UC3, kBackground);
    cv::resize(source, inside(), inside().size(), 0, 0, cv::INTER_CUBIC);
  }

  int zoom() const { return zoom_; }
  cv::Mat inside() { return canvas_(place()); }
  cv::Mat& pixels() { return canvas_; }

  /// In 1/16 of a pixel of the canvas, as cv's drawing takes it with kShift.
  static constexpr int kShift = 4;
  static constexpr double kFar = 1e5;
  cv::Point point(double x, double y) const {
    // Far outside nothing is seen, and drawing has integers.
    const auto fixed = [&](double pixel) {
      const double place = (pixel + 0.5) * zoom_ + margin_ - 0.5;
      return static_cast<int>(std::lround((std::isnan(place) ? -kFar : std::clamp(place, -kFar, kFar)) * (1 << kShift)));
    };
    return {fixed(x), fixed(y)};
  }
  void line(double x0, double y0, double x1, double y1, const cv::Scalar& colour, int thickness) { cv::line(canvas_, point(x0, y0), point(x1, y1), colour, thickness, cv::LINE_AA, kShift); }
  void outline(const Rectangle& r, const cv::Scalar& colour, int thickness) {
    const double left = r.x - r.half_width, right = r.x + r.half_width, top = r.y - r.half_height, bottom = r.y + r.half_height;
    line(left, top, right, top, colour, thickness);
    line(right, top, right, bottom, colour, thickness);
    line(right, bottom, left, bottom, colour, thickness);
    line(left, bottom, left, top, colour, thickness);
  }
  /// Lines from left below to right above.
  void hatch(const Rectangle& r, const cv::Scalar& colour) {
    const double width = 2 * std::abs(r.half_width), height = 2 * std::abs(r.half_height), left = r.x - width / 2, top = r.y - height / 2, step = kHatchStep / zoom_;
    if (!(width + height < kFar)) return;
    for (double along = step; along < width + height; along += step) {
      const double x0 = std::min(along, width), y0 = along - x0, y1 = std::min(along, height), x1 = along - y1;
      line(left + x0, top + y0, left + x1, top + y1, colour, 1);
    }
  }
  void arrow(const Rectangle& from, const Rectangle& to, const cv::Scalar& colour) {
    const double length = std::hypot(to.x - from.x, to.y - from.y) * zoom_;
    if (length < 4) return;
    cv::arrowedLine(canvas_, point(from.x, from.y), point(to.x, to.y), colour, 2, cv::LINE_AA, kShift, std::min(0.3, 12 / length));
  }
  void dot(double x, double y, double radius, const cv::Scalar& colour) { cv::circle(canvas_, point(x, y), static_cast<int>(radius * (1 << kShift)), colour, cv::FILLED, cv::LINE_AA, kShift); }

  /// Fades all that lies outside the picture, writes the caption, and gives the result away.
  Image finish(const std::string& caption) {
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

 private:
  cv::Rect place() const { return {margin_, margin_, picture_width_ * zoom_, picture_height_ * zoom_}; }

  int picture_width_, picture_height_, zoom_ = 1, margin_ = 0;
  cv::Mat canvas_;  // RGB
};

void draw_learned(Canvas& canvas, const Rectangle& usual, const Rectangle& learned, const cv::Scalar& colour) {
  if (learned.half_width < 0 || learned.half_height < 0) canvas.hatch(learned, colour);
  canvas.outline(learned, colour, 2);
  canvas.arrow(usual, learned, colour);
}

/// Of a rectangle's area.
double share_outside(const CellWindows& windows, const Rectangle& r) {
  const auto inside = [](double centre, double half, double size) {
    const double low = std::max(centre - std::abs(half), -0.5), high = std::min(centre + std::abs(half), size - 0.5);
    return half == 0 ? static_cast<double>(centre >= -0.5 && centre <= size - 0.5) : std::max(0.0, high - low) / (2 * std::abs(half));
  };
  return 1 - inside(r.x, r.half_width, static_cast<double>(windows.map_columns * windows.stride)) * inside(r.y, r.half_height, static_cast<double>(windows.map_rows * windows.stride));
}

}  // namespace

std::vector<CellWindows> read_windows(const std::vector<std::pair<std::string, at::Tensor>>& records, int64_t row) {
  constexpr std::string_view kRectangles = "windows.", kGrid = "window_grid.";
  std::vector<CellWindows> cells;
  for (const auto& [name, tensor] : records) {
    if (name.starts_with(kRectangles)) {
      if (row < 0 || row >= tensor.size(0)) fail(ExitCode::kBadInput, "windows of picture {} were asked for; the records hold {} pictures", row, tensor.size(0));
      CellWindows& cell = cells.emplace_back();
      cell.cell = name.substr(kRectangles.size());
      cell.rectangles = tensor.select(0, row).to(at::kCPU, at::kFloat).contiguous();
    } else if (name.starts_with(kGrid)) {
      const std::string cell = name.substr(kGrid.size());
      const auto found = std::find_if(cells.begin(), cells.end(), [&](const CellWindows& one) { return one.cell == cell; });
      if (found == cells.end()) continue;
      int64_t* const fields[] = {&found->rows, &found->columns, &found->size, &found->top, &found->left, &found->stride, &found->map_rows, &found->map_columns};
      const at::Tensor numbers = tensor.to(at::kCPU, at::kLong).contiguous();
      for (size_t i = 0; i < std::size(fields); ++i) *fields[i] = numbers.const_data_ptr<int64_t>()[i];
    }
  }
  return cells;
}

Image draw_windows(const Image& picture, const CellWindows& windows, std::optional<int64_t> head) {
  if (head && (*head < 0 || *head >= windows.heads())) fail(ExitCode::kBadInput, "head {} of {} was asked for; it has heads 0 to {}", *head, windows.cell, windows.heads() - 1);
  Canvas canvas(picture, windows);
  const int64_t first = head.value_or(0), last = head ? *head + 1 : windows.heads(), count = windows.rectangles.size(1);
  for (int64_t g = 0; g < count; ++g) canvas.outline(default_rectangle(windows, g), kDefaultColour, 1);
  for (int64_t h = first; h < last; ++h)
    for (int64_t g = 0; g < count; ++g) draw_learned(canvas, default_rectangle(windows, g), rectangle_of(windows, h, g), head_colour(h));
  return canvas.finish(fmt::format("{}: {} x {} windows of {} x {} cells, {}", windows.cell, windows.columns, windows.rows, windows.size, windows.size,
                                   head ? fmt::format("head {}", *head) : fmt::format("{} heads", windows.heads())));
}

Image draw_query(const Image& picture, const CellWindows& windows, int64_t x, int64_t y) {
  if (x < 0 || y < 0 || x >= picture.width || y >= picture.height)
    fail(ExitCode::kBadInput, "the pixel ({}, {}) lies outside; the picture has {} x {} pixels", x, y, picture.width, picture.height);
  Canvas canvas(picture, windows);
  const int64_t column = (x / windows.stride + windows.left) / windows.size, row = (y / windows.stride + windows.top) / windows.size, g = row * windows.columns + column;
  canvas.outline(default_rectangle(windows, g), kDefaultColour, 1);
  for (int64_t h = 0; h < windows.heads(); ++h) {
    const Rectangle learned = rectangle_of(windows, h, g);
    const cv::Scalar colour = head_colour(h);
    draw_learned(canvas, default_rectangle(windows, g), learned, colour);
    for (const double down : samples(windows, learned.y, learned.half_height))
      for (const double across : samples(windows, learned.x, learned.half_width)) canvas.dot(across, down, 2.5, colour);
  }
  // The query, as a cross.
  const double px = static_cast<double>(x), py = static_cast<double>(y), arm = 10.0 / canvas.zoom();
  for (const auto& [colour, thickness] : {std::pair(cv::Scalar(0, 0, 0), 5), {cv::Scalar(255, 255, 255), 2}}) {
    canvas.line(px - arm, py, px + arm, py, colour, thickness);
    canvas.line(px, py - arm, px, py + arm, colour, thickness);
  }
  return canvas.finish(fmt::format("{}: window ({}, {}) of pixel ({}, {}), {} heads with {} samples each", windows.cell, column, row, x, y, windows.heads(), windows.size * windows.size));
}

at::Tensor coverage(const CellWindows& windows) {
  at::Tensor counts = at::zeros({windows.map_rows, windows.map_columns}, at::kFloat);
  float* const cells = counts.mutable_data_ptr<float>();
  const double stride = static_cast<double>(windows.stride);
  for (int64_t h = 0; h < windows.heads(); ++h)
    for (int64_t g = 0; g < windows.rectangles.size(1); ++g) {
      const Rectangle r = rectangle_of(windows, h, g);
      for (const double down : samples(windows, r.y, r.half_height))
        for (const double across : samples(windows, r.x, r.half_width)) {
          const double x = (across + 0.5) / stride - 0.5, y = (down + 0.5) / stride - 0.5, left = std::floor(x), top = std::floor(y);
          for (int i = 0; i < 4; ++i) {
            const double column = left + i % 2, row = top + i / 2;
            if (!(column >= 0 && row >= 0 && column < static_cast<double>(windows.map_columns) && row < static_cast<double>(windows.map_rows))) continue;
            cells[static_cast<int64_t>(row) * windows.map_columns + static_cast<int64_t>(column)] += static_cast<float>((1 - std::abs(x - column)) * (1 - std::abs(y - row)));
          }
        }
    }
  return counts;
}

Image draw_coverage(const Image& picture, const CellWindows& windows) {
  constexpr double kColourShare = 0.65;
  Canvas canvas(picture, windows);
  const at::Tensor counts = coverage(windows);
  const float most = std::max(counts.max().item<float>(), 1e-6F);
  const cv::Mat source(static_cast<int>(windows.map_rows), static_cast<int>(windows.map_columns), CV_32F, const_cast<float*>(counts.const_data_ptr<float>()));
  cv::Mat levels, colours, grey;
  source.convertTo(levels, CV_8U, 255 / most);
  cv::applyColorMap(levels, colours, cv::COLORMAP_INFERNO);
  cv::cvtColor(colours, colours, cv::COLOR_BGR2RGB);
  cv::Mat inside = canvas.inside();
  cv::resize(colours, colours, inside.size(), 0, 0, cv::INTER_NEAREST);
  cv::cvtColor(inside, grey, cv::COLOR_RGB2GRAY);
  cv::cvtColor(grey, grey, cv::COLOR_GRAY2RGB);
  cv::addWeighted(colours, kColourShare, grey, 1 - kColourShare, 0, inside);
  return canvas.finish(fmt::format("{}: samples of a cell by {} heads, up to {:.1f}, {:.1f} on average", windows.cell, windows.heads(), most, counts.mean().item<float>()));
}

nlohmann::json windows_json(const std::vector<CellWindows>& cells) {
  nlohmann::json all = nlohmann::json::array();
  for (const CellWindows& windows : cells) {
    nlohmann::json heads = nlohmann::json::array();
    const int64_t count = windows.rectangles.size(1);
    for (int64_t h = 0; h < windows.heads(); ++h) {
      nlohmann::json list = nlohmann::json::array();
      double scale_x = 0, scale_y = 0, offset = 0, area = 0, outside = 0;
      for (int64_t g = 0; g < count; ++g) {
        const Rectangle learned = rectangle_of(windows, h, g), usual = default_rectangle(windows, g);
        const double across = learned.half_width / usual.half_width, down = learned.half_height / usual.half_height, beyond = share_outside(windows, learned);
        scale_x += across;
        scale_y += down;
        offset += std::hypot(learned.x - usual.x, learned.y - usual.y);
        area += std::abs(across * down);
        outside += beyond;
        list.push_back({{"row", g / windows.columns}, {"column", g % windows.columns}, {"centre", {learned.x, learned.y}}, {"half_size", {learned.half_width, learned.half_height}},
                        {"default_centre", {usual.x, usual.y}}, {"outside", beyond}});
      }
      const double n = static_cast<double>(count);
      heads.push_back({{"head", h}, {"mean_scale", {scale_x / n, scale_y / n}}, {"mean_offset", offset / n}, {"mean_area_ratio", area / n}, {"mean_outside", outside / n}, {"windows", std::move(list)}});
    }
    const double half = static_cast<double>(windows.size * windows.stride) / 2;
    all.push_back({{"cell", windows.cell}, {"window_rows", windows.rows}, {"window_columns", windows.columns}, {"window_size", windows.size}, {"pixels_per_cell", windows.stride},
                   {"default_half_size", half}, {"picture", {windows.map_columns * windows.stride, windows.map_rows * windows.stride}}, {"heads", std::move(heads)}});
  }
  return all;
}

}  // namespace attelier
