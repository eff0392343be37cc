// Oil: layers of brush strokes from broad to fine (Hertzmann 1998), which run along surfaces and stop at the edges of objects.
#include "core/scenes/world/dice.h"
#include "core/scenes/world/functions.h"
#include "core/scenes/world/noise.h"
#include "core/scenes/world/painting.h"

namespace attelier::world {
namespace {

struct Canvas {
  std::vector<float> rgb, height;  // colour and thickness of the paint
};

/// The direction of a stroke at a pixel: across the normal's tilt on curved surfaces, level on the sky and water, upright-ish on grass.
Vec3 direction_at(const Motif& m, size_t i, int x, int y, uint64_t bits) {
  const Vec3 normal = m.view_normal(i);
  const float tilt = std::sqrt(normal.x * normal.x + normal.y * normal.y), turn = 0.5f * (unit_float(bits) - 0.5f);
  const auto kind = static_cast<Kind>(m.frame.kind[i]);
  float dx, dy;
  if (kind == Kind::kSky) {
    dx = 1, dy = 0.5f * m.paper(static_cast<float>(x), static_cast<float>(y), 60, 1);
  } else if (kind == Kind::kWater) {
    dx = 1, dy = 0;
  } else if (kind == Kind::kGround) {
    dx = 0.8f, dy = m.paper(static_cast<float>(x), static_cast<float>(y), 25, 2);
  } else if (tilt > 0.15f) {
    dx = -normal.y / tilt, dy = normal.x / tilt;
  } else {
    dx = 0.3f, dy = 1;
  }
  const float c = cosine(turn), s = sine(turn);
  return normalised({dx * c - dy * s, dx * s + dy * c, 0});
}

void draw_stroke(const Motif& m, Canvas& canvas, const std::vector<Vec3>& path, int region, float radius, const Colour& colour, uint64_t bits, bool keep_inside) {
  float along = 0;
  const auto number = static_cast<uint32_t>(bits);
  for (size_t k = 0; k + 1 < path.size(); ++k) {
    const Vec3 a = path[k], way = path[k + 1] - a;
    const float size = std::max(1e-3f, length(way));
    const int x0 = static_cast<int>(std::min(a.x, path[k + 1].x) - radius - 1), x1 = static_cast<int>(std::max(a.x, path[k + 1].x) + radius + 1);
    const int y0 = static_cast<int>(std::min(a.y, path[k + 1].y) - radius - 1), y1 = static_cast<int>(std::max(a.y, path[k + 1].y) + radius + 1);
    for (int y = std::max(0, y0); y <= std::min(m.height - 1, y1); ++y)
      for (int x = std::max(0, x0); x <= std::min(m.width - 1, x1); ++x) {
        const size_t i = m.frame.index(x, y);
        if (keep_inside && m.region[i] != region) continue;
        const Vec3 p{static_cast<float>(x) + 0.5f - a.x, static_cast<float>(y) + 0.5f - a.y, 0};
        const float t = std::clamp(dot(p, way) / (size * size), 0.f, 1.f), across = (p.x * way.y - p.y * way.x) / size;
        const float distance = length(p - way * t), cover = clamp01(radius + 0.4f - distance);
        if (cover <= 0) continue;
        // Bristles: streaks along the stroke.
        const float bristle = noise_value2(across * 2.2f / m.unit, (along + t * size) * 0.09f / m.unit, number);
        const float alpha = cover * (bristle < -0.62f ? 0.45f : 1);
        const Colour paint = colour * (1 + 0.09f * bristle);
        for (int c = 0; c < 3; ++c) canvas.rgb[3 * i + static_cast<size_t>(c)] = mix(canvas.rgb[3 * i + static_cast<size_t>(c)], paint[c], alpha);
        canvas.height[i] = mix(canvas.height[i], 0.5f + 0.5f * bristle - 0.35f * distance / radius, alpha);
      }
    along += size;
  }
}

}  // namespace

std::vector<float> paint_oil(const Motif& m) {
  Canvas canvas{std::vector<float>(m.frame.rgb.size()), std::vector<float>(m.frame.pixels())};
  for (size_t i = 0; i < m.frame.pixels(); ++i) canvas.rgb[3 * i] = 0.5f, canvas.rgb[3 * i + 1] = 0.42f, canvas.rgb[3 * i + 2] = 0.33f;
  static constexpr float kRadii[3] = {6.5f, 3.2f, 1.5f};
  for (int layer = 0; layer < 3; ++layer) {
    const float radius = kRadii[layer] * m.unit, step = radius * (layer == 2 ? 1.2f : 0.95f);
    const std::vector<float> reference = m.smoothed(std::max(1, static_cast<int>(0.6f * radius)));
    const int columns = static_cast<int>(static_cast<float>(m.width) / step) + 2, rows = static_cast<int>(static_cast<float>(m.height) / step) + 2, count = columns * rows;
    for (int k = 0; k < count; ++k) {
      // A fixed, scattered order: no rows show.
      const int cell = static_cast<int>(static_cast<uint64_t>(k) * 7919u % static_cast<uint64_t>(count));
      const uint64_t bits = mix64(m.seed + static_cast<uint64_t>(layer), static_cast<uint64_t>(cell));
      const float sx = (static_cast<float>(cell % columns) + unit_float(bits << 8) - 0.5f) * step, sy = (static_cast<float>(cell / columns) + unit_float(bits << 24) - 0.5f) * step;
      if (sx < 0 || sy < 0 || sx >= static_cast<float>(m.width) || sy >= static_cast<float>(m.height)) continue;
      const size_t start = m.frame.index(static_cast<int>(sx), static_cast<int>(sy));
      const Colour own{reference[3 * start], reference[3 * start + 1], reference[3 * start + 2]};
      // Finer strokes only where the coarser ones missed something.
      const Vec3 missing = absolute(own - Colour{canvas.rgb[3 * start], canvas.rgb[3 * start + 1], canvas.rgb[3 * start + 2]});
      if (layer > 0 && missing.x + missing.y + missing.z < (layer == 1 ? 0.1f : 0.16f)) continue;
      std::vector<Vec3> path{{sx, sy, 0}};
      Vec3 last{};
      for (int part = 0; part < 5; ++part) {
        const Vec3 at = path.back();
        const int x = static_cast<int>(at.x), y = static_cast<int>(at.y);
        Vec3 way = direction_at(m, m.index(x, y), x, y, bits);
        if (dot(way, last) < 0) way = -way;
        const Vec3 next = at + way * (1.1f * radius);
        if (next.x < 0 || next.y < 0 || next.x >= static_cast<float>(m.width) || next.y >= static_cast<float>(m.height)) break;
        const size_t j = m.frame.index(static_cast<int>(next.x), static_cast<int>(next.y));
        const Vec3 off = absolute(Colour{reference[3 * j], reference[3 * j + 1], reference[3 * j + 2]} - own);
        if (m.region[j] != m.region[start] || off.x + off.y + off.z > 0.3f) break;
        path.push_back(next), last = way;
      }
      if (path.size() == 1) path.push_back(path[0] + Vec3{0.5f, 0, 0});
      const float jitter = 0.05f * (unit_float(bits << 32) - 0.5f);
      const Colour paint = own * (1 + jitter) + Colour{0.03f * (unit_float(bits << 4) - 0.5f), 0, 0.03f * (unit_float(bits << 12) - 0.5f)};
      draw_stroke(m, canvas, path, m.region[start], radius * (0.8f + 0.35f * unit_float(bits << 16)), paint, bits, layer > 0);
    }
  }
  // Light from the upper left over the ridges of the paint.
  std::vector<float> out(canvas.rgb.size());
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x) {
      const size_t i = m.frame.index(x, y);
      const float slope = canvas.height[m.index(x + 1, y + 1)] - canvas.height[m.index(x - 1, y - 1)], relief = 1 + std::clamp(0.2f * slope, -0.16f, 0.16f);
      for (size_t c = 0; c < 3; ++c) out[3 * i + c] = clamp01(canvas.rgb[3 * i + c] * relief);
    }
  return out;
}

}  // namespace attelier::world
