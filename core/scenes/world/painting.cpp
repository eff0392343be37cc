#include "core/scenes/world/painting.h"

#include "core/scenes/world/functions.h"
#include "core/scenes/world/noise.h"

namespace attelier::world {

Motif::Motif(const Frame& f, const Camera& c, uint64_t s) : width(f.width), height(f.height), unit(std::max(0.5f, static_cast<float>(f.width) / 256)), frame(f), camera(c), seed(s) {
  region.resize(f.pixels()), luma.resize(f.pixels());
  for (size_t i = 0; i < f.pixels(); ++i) {
    region[i] = f.instance[i] > 0 ? f.instance[i] : 70000 + f.kind[i];
    luma[i] = luminance(colour(i));
  }
}

Vec3 Motif::view_normal(size_t i) const { return camera.axes * Vec3{frame.normal[3 * i], frame.normal[3 * i + 1], frame.normal[3 * i + 2]}; }

std::vector<float> Motif::lines(float thickness, float inner) const {
  std::vector<float> line(frame.pixels());
  const float radius = 0.5f * thickness * unit;
  const int reach = static_cast<int>(radius + 1.5f);
  const auto stamp = [&](float cx, float cy, float strength) {
    const float r = radius * (0.5f + 0.5f * strength);
    for (int y = std::max(0, static_cast<int>(cy) - reach); y <= std::min(height - 1, static_cast<int>(cy) + reach); ++y)
      for (int x = std::max(0, static_cast<int>(cx) - reach); x <= std::min(width - 1, static_cast<int>(cx) + reach); ++x) {
        const float dx = static_cast<float>(x) - cx, dy = static_cast<float>(y) - cy;
        float& value = line[frame.index(x, y)];
        value = std::max(value, strength * clamp01(r + 0.5f - std::sqrt(dx * dx + dy * dy)));
      }
  };
  const auto strength_between = [&](size_t a, size_t b) {
    if (region[a] != region[b]) return 1.f;
    if (frame.part[a] < 0 && frame.part[b] < 0) return 0.f;
    const float da = frame.depth[a], db = frame.depth[b], bend = frame.normal[3 * a] * frame.normal[3 * b] + frame.normal[3 * a + 1] * frame.normal[3 * b + 1] + frame.normal[3 * a + 2] * frame.normal[3 * b + 2];
    if (std::fabs(da - db) > 0.06f * std::min(da, db)) return 0.75f * inner;
    if (bend < 0.55f) return 0.55f * inner;
    return frame.part[a] != frame.part[b] && bend < 0.9f ? 0.45f * inner : 0.f;
  };
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const size_t i = frame.index(x, y);
      if (x + 1 < width)
        if (const float s = strength_between(i, i + 1); s > 0) stamp(static_cast<float>(x) + 0.5f, static_cast<float>(y), s);
      if (y + 1 < height)
        if (const float s = strength_between(i, i + static_cast<size_t>(width)); s > 0) stamp(static_cast<float>(x), static_cast<float>(y) + 0.5f, s);
    }
  return line;
}

std::vector<float> Motif::smoothed(int radius) const {
  // Two passes, across and down; each averages over its own region only.
  std::vector<float> across(frame.rgb.size()), out(frame.rgb.size());
  const auto pass = [&](const std::vector<float>& from, std::vector<float>& to, int dx, int dy) {
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const size_t i = frame.index(x, y);
        Colour sum;
        float weight = 0;
        for (int k = -radius; k <= radius; ++k) {
          const int sx = x + k * dx, sy = y + k * dy;
          if (sx < 0 || sy < 0 || sx >= width || sy >= height) continue;
          const size_t j = frame.index(sx, sy);
          if (region[j] != region[i]) continue;
          sum += Colour{from[3 * j], from[3 * j + 1], from[3 * j + 2]}, weight += 1;
        }
        to[3 * i] = sum.x / weight, to[3 * i + 1] = sum.y / weight, to[3 * i + 2] = sum.z / weight;
      }
  };
  pass(frame.rgb, across, 1, 0), pass(across, out, 0, 1);
  return out;
}

float Motif::paper(float x, float y, float size, uint32_t stream) const { return noise_value2(x / (size * unit) + 13.7f, y / (size * unit) + 5.1f, static_cast<uint32_t>(seed) * 31 + stream); }

std::vector<float> paint(const Frame& frame, const Camera& camera, Look look, uint64_t seed) {
  const Motif motif(frame, camera, seed);
  switch (look) {
    case Look::kFlat: return paint_flat(motif);
    case Look::kOutline: return paint_outline(motif);
    case Look::kWatercolour: return paint_watercolour(motif);
    case Look::kHatching: return paint_hatching(motif);
    case Look::kStippling: return paint_stippling(motif);
    case Look::kOil: return paint_oil(motif);
    case Look::kMosaic: return paint_mosaic(motif);
    case Look::kPixelArt: return paint_pixel_art(motif);
    case Look::kInk: return paint_ink(motif);
    default: return frame.rgb;
  }
}

}  // namespace attelier::world
