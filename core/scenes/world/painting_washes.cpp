// Colour laid on in areas: flat illustration and watercolour.
#include <map>

#include "core/scenes/world/dice.h"
#include "core/scenes/world/functions.h"
#include "core/scenes/world/painting.h"

namespace attelier::world {
namespace {

Colour saturated(const Colour& c, float amount) {
  const float grey = luminance(c);
  const Colour out = Colour{grey, grey, grey} + (c - Colour{grey, grey, grey}) * amount;
  return {clamp01(out.x), clamp01(out.y), clamp01(out.z)};
}
void store(std::vector<float>& out, size_t i, const Colour& c) { out[3 * i] = clamp01(c.x), out[3 * i + 1] = clamp01(c.y), out[3 * i + 2] = clamp01(c.z); }

/// Every part in at most three even tones: shade, middle and light.
std::vector<float> toned(const Motif& m) {
  struct Tone { Colour sum; float count = 0; };
  const std::vector<float> soft = m.smoothed(static_cast<int>(m.unit + 0.5f));
  const size_t n = m.frame.pixels();
  // The sky and the ground are one part each, but change with height: bands of them are.
  const auto part_of = [&](size_t i) {
    if (m.frame.part[i] >= 0) return m.frame.part[i];
    const int row = static_cast<int>(i / static_cast<size_t>(m.width));
    return m.frame.part[i] * 100 - (m.frame.part[i] == kNothing ? row * 6 / m.height : 0);
  };
  std::map<int, Tone> parts;
  const auto light = [&](size_t i) { return luminance({soft[3 * i], soft[3 * i + 1], soft[3 * i + 2]}); };
  for (size_t i = 0; i < n; ++i) {
    Tone& t = parts[part_of(i)];
    t.sum.x += light(i), t.count += 1;
  }
  std::map<std::pair<int, int>, Tone> tones;
  std::vector<std::pair<int, int>> key(n);
  for (size_t i = 0; i < n; ++i) {
    const int part = part_of(i);
    const Tone& mean = parts[part];
    const float relative = light(i) / std::max(0.02f, mean.sum.x / mean.count);
    key[i] = {part, relative < 0.82f ? 0 : relative > 1.16f ? 2 : 1};
    Tone& t = tones[key[i]];
    t.sum += m.colour(i), t.count += 1;
  }
  std::vector<float> out(3 * n);
  for (size_t i = 0; i < n; ++i) {
    const Tone& t = tones[key[i]];
    store(out, i, saturated(t.sum / t.count, 1.15f));
  }
  return out;
}

/// A tent of one pixel over areas of even colour: their stairs become smooth.
std::vector<float> smooth_stairs(const Motif& m, const std::vector<float>& from) {
  std::vector<float> out(from.size());
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x) {
      Colour sum;
      for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
          const size_t j = m.index(x + dx, y + dy);
          sum += Colour{from[3 * j], from[3 * j + 1], from[3 * j + 2]} * (static_cast<float>((2 - dx * dx) * (2 - dy * dy)) / 16);
        }
      store(out, m.frame.index(x, y), sum);
    }
  return out;
}

}  // namespace

std::vector<float> paint_flat(const Motif& m) { return smooth_stairs(m, toned(m)); }

std::vector<float> paint_watercolour(const Motif& m) {
  const std::vector<float> wash = m.smoothed(static_cast<int>(3 * m.unit)), border = m.lines(3.2f, 0.5f), pencil = m.lines(0.9f, 0.6f);
  const Colour sheet{0.985f, 0.975f, 0.95f};
  std::vector<float> out(m.frame.rgb.size());
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x) {
      const float px = static_cast<float>(x), py = static_cast<float>(y);
      // The brush wanders a little; paint runs further within wide areas.
      const float shift_x = m.unit * (1.6f * m.paper(px, py, 14, 1) + 0.8f * m.paper(px, py, 5, 2)), shift_y = m.unit * (1.6f * m.paper(px, py, 14, 3) + 0.8f * m.paper(px, py, 5, 4));
      const size_t i = m.index(static_cast<int>(floor_of(px + shift_x + 0.5f)), static_cast<int>(floor_of(py + shift_y + 0.5f)));
      const Colour own{wash[3 * i], wash[3 * i + 1], wash[3 * i + 2]};
      const Colour bright = mix(saturated(own, 1.25f), {1, 1, 1}, 0.22f);
      // Density of pigment: blooms, granulation in the paper's hollows, a darker rim where a wash dried.
      const float grain = 0.5f * m.paper(px, py, 1.6f, 7) + 0.5f * m.paper(px, py, 3.1f, 8), bloom = m.paper(px, py, 46, 5) + 0.5f * m.paper(px, py, 19, 6);
      const float rim = border[i] * (1 - 0.85f * pencil[i]);
      const float density = 1 + 0.22f * bloom + 0.1f * grain + 0.4f * rim;
      // Transparent paint over white (Beer and Lambert).
      Colour paint{power(std::max(0.03f, bright.x), density), power(std::max(0.03f, bright.y), density), power(std::max(0.03f, bright.z), density)};
      // The sheet shows at its edges and in a few gaps between areas.
      const float margin = std::min(std::min(px, py), std::min(static_cast<float>(m.width - 1) - px, static_cast<float>(m.height - 1) - py)) / m.unit;
      const float covered = smooth_step(1.5f, 5.5f, margin + 3 * m.paper(px, py, 12, 9) + 1.5f * m.paper(px, py, 4, 10));
      paint = mix(sheet, paint * sheet, covered * (1 - 0.55f * pencil[i] * clamp01(0.5f + 1.5f * m.paper(px, py, 30, 11))));
      store(out, m.frame.index(x, y), paint);
    }
  return out;
}

}  // namespace attelier::world
