// A square picture in floating point that shapes are painted on.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/scenes/drawing.h"

namespace attelier::drawing {

inline Colour mix(const Colour& a, const Colour& b, double t) { return {a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t}; }
inline Colour scaled(const Colour& a, double factor) { return {a[0] * factor, a[1] * factor, a[2] * factor}; }

/// A point in widths of the picture, y down.
struct Point {
  double x, y;
};

/// Signed distances, negative inside, in widths of the picture.
struct Ellipse {
  Point centre;
  double radius_x, radius_y;
  double operator()(Point p) const { return (std::hypot((p.x - centre.x) / radius_x, (p.y - centre.y) / radius_y) - 1) * std::min(radius_x, radius_y); }
};

/// A convex polygon, clockwise on the screen.
template <size_t N>
struct Polygon {
  std::array<Point, N> corners;
  double operator()(Point p) const {
    double distance = -1e9;
    for (size_t i = 0; i < N; ++i) {
      const Point a = corners[i], b = corners[(i + 1) % N];
      const double dx = b.x - a.x, dy = b.y - a.y;
      distance = std::max(distance, ((p.x - a.x) * dy - (p.y - a.y) * dx) / std::max(1e-9, std::hypot(dx, dy)));
    }
    return distance;
  }
};
inline Polygon<4> box(double left, double top, double right, double bottom) { return {{Point{left, top}, {right, top}, {right, bottom}, {left, bottom}}}; }

/// A line with round ends.
struct Stroke {
  Point a, b;
  double radius;
  double operator()(Point p) const {
    const double dx = b.x - a.x, dy = b.y - a.y, t = std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / std::max(1e-12, dx * dx + dy * dy), 0.0, 1.0);
    return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy) - radius;
  }
};

/// rgb is size x size x 3, row major, in [0, 1]. Where there are maps (size x size each), what is painted also leaves its distance and number there.
struct Canvas {
  int64_t size;
  float* rgb;
  float* depth = nullptr;      // metres
  uint16_t* things = nullptr;
  double distance = 0;         // of what is painted next
  uint16_t thing = 0;

  float* pixel(int64_t x, int64_t y) const { return rgb + (y * size + x) * 3; }
  Colour at(int64_t x, int64_t y) const {
    const float* p = pixel(std::clamp<int64_t>(x, 0, size - 1), std::clamp<int64_t>(y, 0, size - 1));
    return {p[0], p[1], p[2]};
  }
  void set(int64_t x, int64_t y, const Colour& colour) const {
    for (size_t i = 0; i < 3; ++i) pixel(x, y)[i] = static_cast<float>(colour[i]);
  }

  /// Every pixel from a function of its point.
  template <typename Shade>
  void cover(const Shade& shade) const {
    for (int64_t y = 0; y < size; ++y)
      for (int64_t x = 0; x < size; ++x) set(x, y, shade(point(x, y)));
  }

  /// Paints where `shape` is negative with `shade(point)`, edges one pixel soft or `soft` widths, `opacity` in [0, 1].
  template <typename Shape, typename Shade>
    requires std::is_invocable_v<Shade, Point>
  void paint(const Shape& shape, const Shade& shade, double soft = 0, double opacity = 1) const {
    const double edge = std::max(soft, 1.0 / static_cast<double>(size));
    for (int64_t y = 0; y < size; ++y)
      for (int64_t x = 0; x < size; ++x) {
        const Point p = point(x, y);
        const double covered = std::clamp(0.5 - shape(p) / edge, 0.0, 1.0) * opacity;
        if (covered > 0) set(x, y, mix(at(x, y), shade(p), covered));
        if (covered > 0.5 && depth != nullptr) mark(x, y, distance);
      }
  }
  template <typename Shape>
  void paint(const Shape& shape, const Colour& colour, double soft = 0, double opacity = 1) const {
    paint(shape, [&](Point) { return colour; }, soft, opacity);
  }

  /// Every pixel where `shape` is negative lies as far as distance_at(point) says.
  template <typename Shape, typename Distance>
  void lay(const Shape& shape, const Distance& distance_at) const {
    for (int64_t y = 0; y < size && depth != nullptr; ++y)
      for (int64_t x = 0; x < size; ++x)
        if (const Point p = point(x, y); shape(p) < 0) mark(x, y, distance_at(p));
  }

 private:
  void mark(int64_t x, int64_t y, double metres) const {
    depth[y * size + x] = static_cast<float>(metres);
    things[y * size + x] = thing;
  }
  Point point(int64_t x, int64_t y) const { return {(static_cast<double>(x) + 0.5) / static_cast<double>(size), (static_cast<double>(y) + 0.5) / static_cast<double>(size)}; }
};

}  // namespace attelier::drawing
