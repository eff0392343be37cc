#include "core/scenes/picture_styles.h"

#include <vector>

namespace attelier {
namespace {

using namespace drawing;

double luminance(const Colour& colour) { return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]; }

/// A copy to read from while the canvas is overwritten.
struct Snapshot {
  explicit Snapshot(const Canvas& canvas) : pixels(canvas.rgb, canvas.rgb + canvas.size * canvas.size * 3), view{canvas.size, pixels.data()} {}
  std::vector<float> pixels;
  Canvas view;
};

/// Contrast of a pixel with its neighbours `reach` pixels away.
double edge(const Canvas& canvas, int64_t x, int64_t y, int64_t reach) {
  const auto level = [&](int64_t dx, int64_t dy) { return luminance(canvas.at(x + dx * reach, y + dy * reach)); };
  return std::hypot(level(1, 0) - level(-1, 0), level(0, 1) - level(0, -1));
}

/// Pigment that runs, pools at edges and lets the paper through.
void watercolour(const Canvas& canvas, Random& random) {
  const Snapshot before(canvas);
  const double ox = uniform(random, 0, 256), oy = uniform(random, 0, 256), zoom = 256.0 / static_cast<double>(canvas.size);
  for (int64_t y = 0; y < canvas.size; ++y)
    for (int64_t x = 0; x < canvas.size; ++x) {
      const double u = static_cast<double>(x) * zoom, v = static_cast<double>(y) * zoom;
      const double dx = 4 * noise_field(3)(u * 1.5 + ox, v * 1.5 + oy) / zoom, dy = 4 * noise_field(3)(u * 1.5 + oy, v * 1.5 + ox) / zoom;
      const int64_t sx = x + std::lround(dx), sy = y + std::lround(dy);
      Colour colour{0, 0, 0};
      for (const auto& [ax, ay] : {std::pair{0, 0}, {2, 0}, {-2, 0}, {0, 2}, {0, -2}}) {
        const Colour c = before.view.at(sx + ax, sy + ay);
        for (size_t i = 0; i < 3; ++i) colour[i] += c[i] / 5;
      }
      const double pool = std::min(0.35, 0.5 * edge(before.view, sx, sy, 2)), wash = 0.3 + 0.22 * noise_field(2)(u + oy, v + ox), grain = 0.03 * noise_field(5)(u * 2, v * 2);
      colour = mix(colour, {0.98, 0.96, 0.92}, std::clamp(wash, 0.05, 0.5));
      canvas.set(x, y, scaled(colour, 1 - pool + grain));
    }
}

/// Short thick strokes along the picture's edges, one colour each, with light on their ridges.
void oil_painting(const Canvas& canvas, Random& random) {
  const Snapshot before(canvas);
  const double n = static_cast<double>(canvas.size), width = 0.016;
  const int64_t count = 1500;
  for (int64_t i = 0; i < count; ++i) {
    const Point centre{uniform(random), uniform(random)};
    const int64_t x = static_cast<int64_t>(centre.x * n), y = static_cast<int64_t>(centre.y * n);
    const double gx = luminance(before.view.at(x + 2, y)) - luminance(before.view.at(x - 2, y)), gy = luminance(before.view.at(x, y + 2)) - luminance(before.view.at(x, y - 2));
    const double angle = std::hypot(gx, gy) > 0.03 ? std::atan2(gx, -gy) : 0.4 + 2 * noise_field(0)(centre.x * 128, centre.y * 128);
    const double half = uniform(random, 0.012, 0.032), dx = std::cos(angle), dy = std::sin(angle), radius = width * uniform(random, 0.6, 1.1) / 2;
    const Colour colour = scaled(before.view.at(x, y), uniform(random, 0.85, 1.15));
    const Stroke stroke{{centre.x - half * dx, centre.y - half * dy}, {centre.x + half * dx, centre.y + half * dy}, radius};
    const int64_t reach = static_cast<int64_t>((half + radius) * n) + 2;
    for (int64_t py = std::max<int64_t>(0, y - reach); py <= std::min(canvas.size - 1, y + reach); ++py)
      for (int64_t px = std::max<int64_t>(0, x - reach); px <= std::min(canvas.size - 1, x + reach); ++px) {
        const Point p{(static_cast<double>(px) + 0.5) / n, (static_cast<double>(py) + 0.5) / n};
        const double covered = std::clamp(0.5 - stroke(p) * n, 0.0, 1.0);
        if (covered <= 0) continue;
        const double across = ((p.x - centre.x) * dy - (p.y - centre.y) * dx) / radius;
        canvas.set(px, py, mix(canvas.at(px, py), scaled(colour, 1 + 0.14 * across), covered));
      }
  }
}

/// Graphite on paper: hatching by darkness, contours, no colour.
void pencil(const Canvas& canvas, Random& random) {
  const Snapshot before(canvas);
  const double slope = uniform(random, 0.5, 1.2), zoom = 256.0 / static_cast<double>(canvas.size);
  for (int64_t y = 0; y < canvas.size; ++y)
    for (int64_t x = 0; x < canvas.size; ++x) {
      const double u = static_cast<double>(x) * zoom, v = static_cast<double>(y) * zoom, dark = 1 - luminance(before.view.at(x, y));
      const double hatch = 0.5 + 0.5 * std::sin((u * slope + v) * 0.9 + 1.5 * noise_field(2)(u, v)), cross = 0.5 + 0.5 * std::sin((u - v * slope) * 0.9);
      const double tone = std::clamp(dark * (0.35 + 0.55 * hatch) + std::max(0.0, dark - 0.5) * 0.6 * cross, 0.0, 0.9);
      const double contour = std::min(0.7, 2.2 * std::max(0.0, edge(before.view, x, y, 1) - 0.05)), grain = 0.04 * noise_field(5)(u * 1.7, v * 1.7);
      const double value = std::clamp(0.96 - tone * 0.8 - contour + grain, 0.05, 1.0);
      canvas.set(x, y, {value, value * 0.995, value * 0.97});
    }
}

/// Few flat saturated colours with dark outlines.
void poster(const Canvas& canvas, Random&) {
  const Snapshot before(canvas);
  for (int64_t y = 0; y < canvas.size; ++y)
    for (int64_t x = 0; x < canvas.size; ++x) {
      Colour colour = before.view.at(x, y);
      const double grey = luminance(colour);
      for (double& value : colour) value = std::round(std::clamp(grey + 1.5 * (value - grey), 0.0, 1.0) * 4) / 4;
      canvas.set(x, y, scaled(colour, edge(before.view, x, y, 1) > 0.16 ? 0.15 : 1.0));
    }
}

/// Square tiles with dark joints, every tile one slightly different colour.
void mosaic(const Canvas& canvas, Random& random) {
  const Snapshot before(canvas);
  const int64_t tile = std::max<int64_t>(3, canvas.size / 32), joint = std::max<int64_t>(1, canvas.size / 256);
  for (int64_t ty = 0; ty < canvas.size; ty += tile)
    for (int64_t tx = 0; tx < canvas.size; tx += tile) {
      Colour colour{0, 0, 0};
      for (int64_t y = 0; y < tile; ++y)
        for (int64_t x = 0; x < tile; ++x) {
          const Colour c = before.view.at(tx + x, ty + y);
          for (size_t i = 0; i < 3; ++i) colour[i] += c[i] / static_cast<double>(tile * tile);
        }
      colour = scaled(colour, uniform(random, 0.88, 1.12));
      for (int64_t y = ty; y < std::min(ty + tile, canvas.size); ++y)
        for (int64_t x = tx; x < std::min(tx + tile, canvas.size); ++x) canvas.set(x, y, x - tx < joint || y - ty < joint ? scaled(colour, 0.45) : colour);
    }
}

}  // namespace

void apply_style(const Canvas& canvas, Style style, uint64_t seed) {
  Random random(seed);
  switch (style) {
    case Style::kPlain: break;
    case Style::kWatercolour: watercolour(canvas, random); break;
    case Style::kOilPainting: oil_painting(canvas, random); break;
    case Style::kPencil: pencil(canvas, random); break;
    case Style::kPoster: poster(canvas, random); break;
    case Style::kMosaic: mosaic(canvas, random); break;
  }
}

}  // namespace attelier
