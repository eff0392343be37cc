#include "app/session/mask_brush.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace attelier {
namespace {

constexpr int64_t kTile = Mask::kTile;
constexpr size_t kProfileSteps = 4096;
constexpr double kShortest = 1.0 / 16;  // of the radius: shorter moves are not seen

/// Pixels left..right, top..bottom, the last ones not included.
struct Box {
  int64_t left, top, right, bottom;
};

/// What of a box lies on the mask.
Box clipped(const Mask& mask, double left, double top, double right, double bottom) {
  const auto within = [](double value, int64_t size) { return static_cast<int64_t>(std::clamp(value, 0.0, static_cast<double>(size))); };
  return {within(std::floor(left), mask.width()), within(std::floor(top), mask.height()), within(std::ceil(right), mask.width()), within(std::ceil(bottom), mask.height())};
}

/// Calls `work(pixels, x, y, length)` for each run of a row that lies in one tile of the box; `pixels` are the tile's, for writing.
template <typename Work>
void for_runs(Mask& mask, const Box& box, const Work& work) {
  if (box.left >= box.right || box.top >= box.bottom) return;
  for (int64_t row = box.top / kTile; row <= (box.bottom - 1) / kTile; ++row)
    for (int64_t column = box.left / kTile; column <= (box.right - 1) / kTile; ++column) {
      uint8_t* const tile = mask.writable_tile(column, row).data();
      const int64_t left = std::max(box.left, column * kTile), right = std::min(box.right, (column + 1) * kTile);
      const int64_t top = std::max(box.top, row * kTile), bottom = std::min(box.bottom, (row + 1) * kTile);
      for (int64_t y = top; y < bottom; ++y) work(tile + (y % kTile) * kTile + left % kTile, left, y, right - left);
    }
}

uint8_t inked(int value, int amount, MaskInk ink) {
  return static_cast<uint8_t>(ink == MaskInk::kPaint ? value + ((255 - value) * amount + 127) / 255 : value - (value * amount + 127) / 255);
}

cv::Mat view(Image& image) { return {static_cast<int>(image.height), static_cast<int>(image.width), CV_8U, image.pixels.data()}; }

/// How far each pixel is from the nearest one that is not 0 in `marks`.
cv::Mat distances(const cv::Mat& marks) {
  cv::Mat far;
  cv::distanceTransform(marks == 0, far, cv::DIST_L2, cv::DIST_MASK_PRECISE);
  return far;
}

}  // namespace

Stroke::Stroke(Mask before, const Brush& brush) : before_(std::move(before)), cover_(before_.width(), before_.height()), mask_(before_), brush_(brush), profile_(kProfileSteps + 1) {
  brush_.radius = std::clamp(brush_.radius, kSmallestBrush, kLargestBrush);
  // One pixel of the rim is its smooth edge; a soft brush fades from its hard middle outwards.
  const double outer = brush_.radius + 0.5, soft = std::max(1.0, (1 - std::clamp(brush_.hardness, 0.0, 1.0)) * brush_.radius), full = std::clamp(brush_.flow, 0.0, 1.0) * 255;
  for (size_t i = 0; i <= kProfileSteps; ++i) {
    const double far = outer * std::sqrt(static_cast<double>(i) / kProfileSteps), t = std::clamp((outer - far) / soft, 0.0, 1.0);
    profile_[i] = static_cast<uint8_t>(std::lround(full * (soft > 1 ? t * t * (3 - 2 * t) : t)));
  }
}

void Stroke::sweep(MaskPoint from, MaskPoint to) {
  const double outer = brush_.radius + 0.5;
  const Box box = clipped(mask_, std::min(from.x, to.x) - outer, std::min(from.y, to.y) - outer, std::max(from.x, to.x) + outer, std::max(from.y, to.y) + outer);
  const auto dx = static_cast<float>(to.x - from.x), dy = static_cast<float>(to.y - from.y), length = dx * dx + dy * dy, share = length > 0 ? 1 / length : 0;
  const auto limit = static_cast<float>(outer * outer), step = static_cast<float>(kProfileSteps) / limit;
  // First the cover, then the tiles of it that changed onto the mask.
  const auto paint_run = [&](uint8_t* cover, int64_t x, int64_t y, int64_t count) {
    const float py = static_cast<float>(static_cast<double>(y) + 0.5 - from.y), px = static_cast<float>(static_cast<double>(x) + 0.5 - from.x);
    const uint8_t* const old = before_.tile(x / kTile, y / kTile) == nullptr ? nullptr : before_.tile(x / kTile, y / kTile)->data() + (y % kTile) * kTile + x % kTile;
    uint8_t* const out = mask_.writable_tile(x / kTile, y / kTile).data() + (y % kTile) * kTile + x % kTile;
    for (int64_t i = 0; i < count; ++i) {
      const float qx = px + static_cast<float>(i), along = std::clamp((qx * dx + py * dy) * share, 0.0f, 1.0f);
      const float ex = qx - along * dx, ey = py - along * dy, squared = ex * ex + ey * ey;
      if (squared >= limit) continue;
      const uint8_t amount = profile_[static_cast<size_t>(squared * step)];
      if (amount <= cover[i]) continue;
      cover[i] = amount;
      out[i] = inked(old == nullptr ? 0 : old[i], amount, brush_.ink);
    }
  };
  for_runs(cover_, box, paint_run);
}

void Stroke::to(MaskPoint point) {
  last_ = point;
  if (!begun_) {
    begun_ = true;
    painted_ = point;
    return sweep(point, point);
  }
  if (std::hypot(point.x - painted_.x, point.y - painted_.y) >= kShortest * brush_.radius) paint_to(point);
}

void Stroke::paint_to(MaskPoint point) {
  // In pieces, so that the box around each has few pixels that the disc does not reach.
  const MaskPoint start = painted_;
  const double dx = point.x - start.x, dy = point.y - start.y, pieces = std::ceil(std::hypot(dx, dy) / std::max(2 * brush_.radius, 64.0));
  for (double i = 1; i <= pieces; ++i) {
    const MaskPoint end = {start.x + dx * i / pieces, start.y + dy * i / pieces};
    sweep(painted_, end);
    painted_ = end;
  }
}

void Stroke::finish() {
  if (begun_ && (last_.x != painted_.x || last_.y != painted_.y)) paint_to(last_);
}

void fill_rectangle(Mask& mask, MaskPoint a, MaskPoint b, MaskInk ink) {
  const auto edge = [](double value) { return std::ceil(value - 0.5); };
  const Box box = clipped(mask, edge(std::min(a.x, b.x)), edge(std::min(a.y, b.y)), edge(std::max(a.x, b.x)), edge(std::max(a.y, b.y)));
  for_runs(mask, box, [&](uint8_t* pixels, int64_t, int64_t, int64_t count) { std::fill_n(pixels, count, ink == MaskInk::kPaint ? uint8_t{255} : uint8_t{0}); });
}

void fill_lasso(Mask& mask, const std::vector<MaskPoint>& line, MaskInk ink) {
  if (line.size() < 3) return;
  const auto [top, bottom] = std::minmax_element(line.begin(), line.end(), [](const MaskPoint& a, const MaskPoint& b) { return a.y < b.y; });
  const auto width = static_cast<double>(mask.width());
  const Box rows = clipped(mask, 0, top->y, width, bottom->y + 1);
  std::vector<double> crossings;
  for (int64_t y = rows.top; y < rows.bottom; ++y) {
    const double middle = static_cast<double>(y) + 0.5;
    crossings.clear();
    for (size_t i = 0; i < line.size(); ++i) {
      const MaskPoint &a = line[i], &b = line[(i + 1) % line.size()];
      if ((a.y <= middle) != (b.y <= middle)) crossings.push_back(a.x + (middle - a.y) / (b.y - a.y) * (b.x - a.x));
    }
    std::sort(crossings.begin(), crossings.end());
    for (size_t i = 0; i + 1 < crossings.size(); i += 2) fill_rectangle(mask, {crossings[i], static_cast<double>(y)}, {crossings[i + 1], static_cast<double>(y + 1)}, ink);
  }
}

void fill_gradient(Mask& mask, MaskPoint from, MaskPoint to, MaskInk ink) {
  const double dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy;
  if (length == 0) return;
  for_runs(mask, {0, 0, mask.width(), mask.height()}, [&](uint8_t* pixels, int64_t x, int64_t y, int64_t count) {
    const double start = ((static_cast<double>(x) + 0.5 - from.x) * dx + (static_cast<double>(y) + 0.5 - from.y) * dy) / length, step = dx / length;
    for (int64_t i = 0; i < count; ++i) {
      const auto amount = static_cast<uint8_t>(std::lround(255 * std::clamp(1 - (start + static_cast<double>(i) * step), 0.0, 1.0)));
      pixels[i] = ink == MaskInk::kPaint ? std::max(pixels[i], amount) : std::min(pixels[i], static_cast<uint8_t>(255 - amount));
    }
  });
}

void fill_area(Mask& mask, MaskPoint point, MaskInk ink) {
  const auto x = static_cast<int64_t>(std::floor(point.x)), y = static_cast<int64_t>(std::floor(point.y));
  if (x < 0 || y < 0 || x >= mask.width() || y >= mask.height()) return;
  Image picture = mask.to_image();
  const cv::Mat values = view(picture);
  const auto flooded = [&](cv::Mat sides) {
    cv::Mat filled = cv::Mat::zeros(sides.rows + 2, sides.cols + 2, CV_8U);  // one pixel around it, as floodFill wants
    cv::floodFill(sides, filled, {static_cast<int>(x), static_cast<int>(y)}, {}, nullptr, {}, {}, 4 | cv::FLOODFILL_MASK_ONLY | (255 << 8));
    return filled;
  };
  const cv::Mat area = flooded(values >= 128)(cv::Rect(1, 1, values.cols, values.rows));
  // The soft rim of what encloses the area goes with it, or a seam would stay.
  const cv::Mat rim = ink == MaskInk::kPaint ? (values >= 128) & (values < 255) : (values < 128) & (values > 0);
  const cv::Mat filled = flooded(area | rim);
  for_runs(mask, {0, 0, mask.width(), mask.height()}, [&](uint8_t* pixels, int64_t left, int64_t row, int64_t count) {
    const uint8_t* const hit = filled.ptr(static_cast<int>(row + 1)) + left + 1;
    for (int64_t i = 0; i < count; ++i)
      if (hit[i] != 0) pixels[i] = ink == MaskInk::kPaint ? 255 : 0;
  });
}

bool fill_thing(Mask& mask, const InstanceMap& map, MaskPoint point, MaskInk ink) {
  const auto x = static_cast<int64_t>(std::floor(point.x)), y = static_cast<int64_t>(std::floor(point.y));
  if (x < 0 || y < 0 || x >= mask.width() || y >= mask.height() || map.things.empty()) return false;
  const auto thing_at = [&](int64_t column, int64_t row) { return map.things[static_cast<size_t>(row * map.height / mask.height() * map.width + column * map.width / mask.width())]; };
  const uint16_t wanted = thing_at(x, y);
  if (wanted == 0) return false;
  Box box = {x, y, x + 1, y + 1};
  for (int64_t row = 0; row < mask.height(); ++row)
    for (int64_t column = 0; column < mask.width(); ++column)
      if (thing_at(column, row) == wanted) box = {std::min(box.left, column), std::min(box.top, row), std::max(box.right, column + 1), row + 1};
  for_runs(mask, box, [&](uint8_t* pixels, int64_t left, int64_t row, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      if (thing_at(left + i, row) == wanted) pixels[i] = ink == MaskInk::kPaint ? 255 : 0;
  });
  return true;
}

void invert(Mask& mask) {
  for_runs(mask, {0, 0, mask.width(), mask.height()}, [](uint8_t* pixels, int64_t, int64_t, int64_t count) {
    for (int64_t i = 0; i < count; ++i) pixels[i] = static_cast<uint8_t>(255 - pixels[i]);
  });
}

void grow(Mask& mask, double pixels) {
  if (mask.width() == 0 || pixels == 0) return;
  Image picture = mask.to_image();
  const cv::Mat values = view(picture);
  const bool grows = pixels > 0;
  // The other side moves over the edge: painted pixels when growing, empty ones when shrinking. Half painted counts as painted.
  const cv::Mat moving = grows ? values >= 128 : values < 128;
  if (cv::countNonZero(moving) == 0) return;
  const cv::Mat far = distances(moving);
  const auto reach = static_cast<float>(std::abs(pixels)) + 1;  // distances run between the middles of pixels, the edge is half a pixel from either
  for (int y = 0; y < values.rows; ++y) {
    uint8_t* const row = picture.pixels.data() + static_cast<int64_t>(y) * mask.width();
    const auto* const distance = far.ptr<float>(y);
    for (int64_t x = 0; x < mask.width(); ++x) {
      const auto amount = static_cast<uint8_t>(std::lround(255 * std::clamp(reach - distance[x], 0.0f, 1.0f)));
      row[x] = grows ? std::max(row[x], amount) : std::min(row[x], static_cast<uint8_t>(255 - amount));
    }
  }
  mask = Mask(picture);
}

void feather(Mask& mask, double pixels) {
  if (mask.width() == 0 || pixels <= 0) return;
  Image picture = mask.to_image();
  cv::Mat values = view(picture);
  cv::GaussianBlur(values, values, {}, pixels / 2, 0, cv::BORDER_REPLICATE);
  mask = Mask(picture);
}

Mask resized(const Mask& mask, int64_t width, int64_t height) {
  if (mask.width() == width && mask.height() == height) return mask;
  return mask.width() == 0 || mask.is_blank() ? Mask(width, height) : Mask(resize_lanczos(mask.to_image(), width, height));
}

Image as_latent(const Mask& mask, int64_t width, int64_t height, int64_t cell, bool largest) {
  const Image pixels = resized(mask, width, height).to_image();
  Image cells{width / cell, height / cell, 1, std::vector<uint8_t>(static_cast<size_t>((width / cell) * (height / cell)))};
  for (int64_t y = 0; y < cells.height; ++y)
    for (int64_t x = 0; x < cells.width; ++x) {
      uint8_t highest = 0;
      for (int64_t j = 0; j < (largest ? cell : 1); ++j) {
        const uint8_t* const row = pixels.pixels.data() + (y * cell + j) * width + x * cell;
        highest = std::max(highest, *std::max_element(row, row + (largest ? cell : 1)));
      }
      cells.pixels[static_cast<size_t>(y * cells.width + x)] = highest >= 128 ? 255 : 0;
    }
  return cells;
}

}  // namespace attelier
