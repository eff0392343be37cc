#include "pipelines/recognize/window_drawing.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "pipelines/recognize/canvas.h"

namespace attelier {
namespace {

constexpr double kMargin = 0.15;  // of the longer side, around the picture
const cv::Scalar kDefaultColour(235, 235, 235);

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

Canvas canvas_of(const Image& picture, const CellWindows& windows) {
  if (picture.width != windows.map_columns * windows.stride || picture.height != windows.map_rows * windows.stride)
    fail(ExitCode::kBadInput, "the picture to draw on has {} x {} pixels, the windows are those of {} x {}; draw on the picture that the model was given",
         picture.width, picture.height, windows.map_columns * windows.stride, windows.map_rows * windows.stride);
  return Canvas(picture, kMargin);
}

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
  return 1 - inside(r.x, r.half_width, static_cast<double>(windows.map_columns * windows.stride)) *
                 inside(r.y, r.half_height, static_cast<double>(windows.map_rows * windows.stride));
}

}  // namespace

std::vector<CellWindows> read_windows(const std::vector<std::pair<std::string, at::Tensor>>& records, int64_t row) {
  constexpr std::string_view kRectangles = "windows.", kGrid = "window_grid.";
  std::vector<CellWindows> cells;
  for (const auto& [name, tensor] : records) {
    if (name.starts_with(kRectangles)) {
      if (row < 0 || row >= tensor.size(0))
        fail(ExitCode::kBadInput, "windows of picture {} were asked for; the records hold {} pictures", row, tensor.size(0));
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
  if (head && (*head < 0 || *head >= windows.heads()))
    fail(ExitCode::kBadInput, "head {} of {} was asked for; it has heads 0 to {}", *head, windows.cell, windows.heads() - 1);
  Canvas canvas = canvas_of(picture, windows);
  const int64_t first = head.value_or(0), last = head ? *head + 1 : windows.heads(), count = windows.rectangles.size(1);
  for (int64_t g = 0; g < count; ++g) canvas.outline(default_rectangle(windows, g), kDefaultColour, 1);
  for (int64_t h = first; h < last; ++h)
    for (int64_t g = 0; g < count; ++g) draw_learned(canvas, default_rectangle(windows, g), rectangle_of(windows, h, g), distinct_colour(h));
  return canvas.finish(fmt::format("{}: {} x {} windows of {} x {} cells, {}", windows.cell, windows.columns, windows.rows, windows.size, windows.size,
                                   head ? fmt::format("head {}", *head) : fmt::format("{} heads", windows.heads())));
}

Image draw_query(const Image& picture, const CellWindows& windows, int64_t x, int64_t y) {
  if (x < 0 || y < 0 || x >= picture.width || y >= picture.height)
    fail(ExitCode::kBadInput, "the pixel ({}, {}) lies outside; the picture has {} x {} pixels", x, y, picture.width, picture.height);
  Canvas canvas = canvas_of(picture, windows);
  const int64_t column = (x / windows.stride + windows.left) / windows.size, row = (y / windows.stride + windows.top) / windows.size,
                g = row * windows.columns + column;
  canvas.outline(default_rectangle(windows, g), kDefaultColour, 1);
  for (int64_t h = 0; h < windows.heads(); ++h) {
    const Rectangle learned = rectangle_of(windows, h, g);
    const cv::Scalar colour = distinct_colour(h);
    draw_learned(canvas, default_rectangle(windows, g), learned, colour);
    for (const double down : samples(windows, learned.y, learned.half_height))
      for (const double across : samples(windows, learned.x, learned.half_width)) canvas.dot(across, down, 2.5, colour);
  }
  canvas.cross(static_cast<double>(x), static_cast<double>(y));
  return canvas.finish(fmt::format("{}: window ({}, {}) of pixel ({}, {}), {} heads with {} samples each", windows.cell, column, row, x, y, windows.heads(),
                                   windows.size * windows.size));
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
            cells[static_cast<int64_t>(row) * windows.map_columns + static_cast<int64_t>(column)] +=
                static_cast<float>((1 - std::abs(x - column)) * (1 - std::abs(y - row)));
          }
        }
    }
  return counts;
}

Image draw_coverage(const Image& picture, const CellWindows& windows) {
  Canvas canvas = canvas_of(picture, windows);
  const at::Tensor counts = coverage(windows);
  const float most = std::max(counts.max().item<float>(), 1e-6F);
  canvas.colours(counts, most, static_cast<double>(picture.width), static_cast<double>(picture.height));
  return canvas.finish(
      fmt::format("{}: samples of a cell by {} heads, up to {:.1f}, {:.1f} on average", windows.cell, windows.heads(), most, counts.mean().item<float>()));
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
        list.push_back({{"row", g / windows.columns},
                        {"column", g % windows.columns},
                        {"centre", {learned.x, learned.y}},
                        {"half_size", {learned.half_width, learned.half_height}},
                        {"default_centre", {usual.x, usual.y}},
                        {"outside", beyond}});
      }
      const double n = static_cast<double>(count);
      heads.push_back({{"head", h},
                       {"mean_scale", {scale_x / n, scale_y / n}},
                       {"mean_offset", offset / n},
                       {"mean_area_ratio", area / n},
                       {"mean_outside", outside / n},
                       {"windows", std::move(list)}});
    }
    const double half = static_cast<double>(windows.size * windows.stride) / 2;
    all.push_back({{"cell", windows.cell},
                   {"window_rows", windows.rows},
                   {"window_columns", windows.columns},
                   {"window_size", windows.size},
                   {"pixels_per_cell", windows.stride},
                   {"default_half_size", half},
                   {"picture", {windows.map_columns * windows.stride, windows.map_rows * windows.stride}},
                   {"heads", std::move(heads)}});
  }
  return all;
}

}  // namespace attelier
