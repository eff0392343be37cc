// Drawings: outline, hatching, stippling, brush and ink.
#include "core/scenes/world/dice.h"
#include "core/scenes/world/functions.h"
#include "core/scenes/world/painting.h"

namespace attelier::world {
namespace {

void store(std::vector<float>& out, size_t i, const Colour& c) { out[3 * i] = clamp01(c.x), out[3 * i + 1] = clamp01(c.y), out[3 * i + 2] = clamp01(c.z); }

/// Darkness of the picture with its tones spread: 0 paper to 1 full ink, smoothed within regions.
std::vector<float> darkness(const Motif& m, int radius) {
  const std::vector<float> soft = m.smoothed(radius);
  std::vector<float> sorted(m.frame.pixels()), out(m.frame.pixels());
  for (size_t i = 0; i < out.size(); ++i) sorted[i] = out[i] = luminance({soft[3 * i], soft[3 * i + 1], soft[3 * i + 2]});
  const auto at = [&](double share) {
    const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(sorted.size() - 1));
    std::nth_element(sorted.begin(), place, sorted.end());
    return *place;
  };
  const float dark = at(0.02), light = std::max(at(0.95), dark + 0.15f);
  for (float& v : out) v = 1 - clamp01((v - dark) / (light - dark));
  return out;
}

}  // namespace

std::vector<float> paint_outline(const Motif& m) {
  const std::vector<float> line = m.lines(1.9f, 0.8f);
  // Either a clean page or one with a breath of colour.
  const bool tinted = (mix64(m.seed, 7) & 1) != 0;
  const std::vector<float> soft = tinted ? m.smoothed(static_cast<int>(2 * m.unit)) : std::vector<float>();
  std::vector<float> out(m.frame.rgb.size());
  for (size_t i = 0; i < m.frame.pixels(); ++i) {
    const Colour page = tinted ? mix({1, 1, 1}, {soft[3 * i], soft[3 * i + 1], soft[3 * i + 2]}, 0.28f) : Colour{1, 1, 1};
    store(out, i, mix(page, {0.08f, 0.08f, 0.1f}, clamp01(1.2f * line[i])));
  }
  return out;
}

std::vector<float> paint_hatching(const Motif& m) {
  const std::vector<float> dark = darkness(m, static_cast<int>(2 * m.unit)), line = m.lines(1.3f, 0.9f);
  const Colour page{0.97f, 0.955f, 0.92f}, lead{0.16f, 0.15f, 0.17f};
  std::vector<float> out(m.frame.rgb.size());
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x) {
      const size_t i = m.frame.index(x, y);
      const float px = static_cast<float>(x) / m.unit, py = static_cast<float>(y) / m.unit;
      // Each region has its direction; curved surfaces bend the lines round themselves.
      const float angle = 0.6f + 1.4f * unit_float(mix64(m.seed, static_cast<uint64_t>(m.region[i])));
      const Vec3 normal = m.view_normal(i);
      float ink = 0;
      for (int layer = 0; layer < 3; ++layer) {
        static constexpr float kFrom[3] = {0.14f, 0.42f, 0.68f};
        const float turned = angle + 1.05f * static_cast<float>(layer), c = cosine(turned), s = sine(turned);
        const float bend = 3.2f * (normal.x * c + normal.y * s), wobble = 0.35f * m.paper(static_cast<float>(x), static_cast<float>(y), 17, static_cast<uint32_t>(layer));
        const float phase = (px * c + py * s) / 3.4f + bend + wobble, distance = std::fabs(phase - floor_of(phase) - 0.5f) * 3.4f;
        const float depth = clamp01((dark[i] - kFrom[layer]) / 0.3f), width = 0.35f + 0.6f * depth;
        const float grain = 0.8f + 0.4f * m.paper(static_cast<float>(x), static_cast<float>(y), 1.3f, 9);
        if (depth > 0) ink = std::max(ink, clamp01((width - distance) * m.unit + 0.5f) * (0.45f + 0.5f * depth) * grain);
      }
      ink = std::max(ink, 0.9f * line[i] * (0.8f + 0.3f * m.paper(static_cast<float>(x), static_cast<float>(y), 2, 8)));
      store(out, i, mix(page * (1 + 0.015f * m.paper(static_cast<float>(x), static_cast<float>(y), 1.2f, 10)), lead, clamp01(ink)));
    }
  return out;
}

std::vector<float> paint_stippling(const Motif& m) {
  std::vector<float> dark = darkness(m, static_cast<int>(m.unit + 0.5f));
  const std::vector<float> line = m.lines(1.6f, 0.6f);
  for (size_t i = 0; i < dark.size(); ++i) dark[i] = std::max(0.92f * power(dark[i], 1.25f), line[i]);
  std::vector<float> out(m.frame.rgb.size()), ink(dark.size());
  // Error diffusion (Floyd and Steinberg 1976) on a grid of dots, each a little off its place.
  const float step = 1.75f * m.unit;
  const int columns = static_cast<int>(static_cast<float>(m.width) / step) + 1, rows = static_cast<int>(static_cast<float>(m.height) / step) + 1;
  std::vector<float> error(static_cast<size_t>(columns + 2) * 2);
  for (int row = 0; row < rows; ++row) {
    float* now = error.data() + (row % 2) * (columns + 2) + 1;
    float* next = error.data() + ((row + 1) % 2) * (columns + 2) + 1;
    std::fill(next - 1, next + columns + 1, 0.f);
    const int way = row % 2 ? -1 : 1;
    for (int k = 0; k < columns; ++k) {
      const int column = way > 0 ? k : columns - 1 - k;
      const uint64_t bits = mix64(m.seed, static_cast<uint64_t>(row) << 20 | static_cast<uint64_t>(column));
      const float cx = (static_cast<float>(column) + 0.5f + 0.55f * (unit_float(bits) - 0.5f)) * step, cy = (static_cast<float>(row) + 0.5f + 0.55f * (unit_float(bits << 20) - 0.5f)) * step;
      const float wanted = dark[m.index(static_cast<int>(cx), static_cast<int>(cy))] + now[column], drawn = wanted > 0.5f + 0.2f * (unit_float(bits << 30) - 0.5f) ? 1.f : 0.f, rest = wanted - drawn;
      now[column + way] += rest * 7 / 16, next[column - way] += rest * 3 / 16, next[column] += rest * 5 / 16, next[column + way] += rest / 16;
      if (drawn == 0) continue;
      const float radius = m.unit * (0.66f + 0.28f * unit_float(bits << 10));
      for (int y = static_cast<int>(cy - radius - 1); y <= static_cast<int>(cy + radius + 1); ++y)
        for (int x = static_cast<int>(cx - radius - 1); x <= static_cast<int>(cx + radius + 1); ++x) {
          if (x < 0 || y < 0 || x >= m.width || y >= m.height) continue;
          const float dx = static_cast<float>(x) + 0.5f - cx, dy = static_cast<float>(y) + 0.5f - cy;
          float& value = ink[m.frame.index(x, y)];
          value = std::max(value, clamp01(radius + 0.5f - std::sqrt(dx * dx + dy * dy)));
        }
    }
  }
  for (size_t i = 0; i < ink.size(); ++i) store(out, i, mix(Colour{0.98f, 0.97f, 0.94f}, Colour{0.1f, 0.1f, 0.16f}, ink[i]));
  return out;
}

std::vector<float> paint_ink(const Motif& m) {
  const std::vector<float> dark = darkness(m, static_cast<int>(3 * m.unit)), thick = m.lines(3.4f, 0.7f), thin = m.lines(1.4f, 0.7f);
  const Colour page{0.965f, 0.95f, 0.91f}, ink_colour{0.07f, 0.07f, 0.09f};
  std::vector<float> out(m.frame.rgb.size());
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x) {
      const size_t i = m.frame.index(x, y);
      const float px = static_cast<float>(x), py = static_cast<float>(y);
      // Three washes with ragged, soft borders.
      const float ragged = 0.09f * m.paper(px, py, 9, 1) + 0.05f * m.paper(px, py, 3, 2), tone = dark[i] + ragged;
      float ink = 0.16f * smooth_step(0.3f, 0.36f, tone) + 0.22f * smooth_step(0.52f, 0.57f, tone) + 0.42f * smooth_step(0.76f, 0.8f, tone);
      ink *= 1 + 0.25f * m.paper(px, py, 30, 3) + 0.08f * m.paper(px, py, 1.5f, 4);
      // Lines swell and thin as the brush is pressed, and dry out.
      const float pressure = clamp01(0.5f + 0.8f * m.paper(px, py, 40, 5)), dry = smooth_step(-0.75f, -0.35f, m.paper(px, py, 26, 6) + 0.35f * m.paper(px, py, 1.4f, 7));
      ink = std::max(ink, mix(thin[i], thick[i], pressure) * (0.35f + 0.65f * dry));
      store(out, i, mix(page * (1 + 0.012f * m.paper(px, py, 1.6f, 8)), ink_colour, clamp01(ink)));
    }
  return out;
}

}  // namespace attelier::world
