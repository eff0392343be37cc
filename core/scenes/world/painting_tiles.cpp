// Pictures of pieces: mosaic and pixel art.
#include <map>

#include "core/scenes/world/dice.h"
#include "core/scenes/world/functions.h"
#include "core/scenes/world/painting.h"

namespace attelier::world {

std::vector<float> paint_mosaic(const Motif& m) {
  // Stones around jittered points; a pixel belongs to the nearest point of its own region, so that joints follow the objects.
  const float step = 7.2f * m.unit;
  const int columns = static_cast<int>(static_cast<float>(m.width) / step) + 3, rows = static_cast<int>(static_cast<float>(m.height) / step) + 3;
  struct Stone { float x = 0, y = 0; int region = 0; Colour sum{}; float count = 0; uint64_t bits = 0; };
  std::vector<Stone> stones(static_cast<size_t>(columns * rows));
  const auto stone = [&](int column, int row) -> Stone& { return stones[static_cast<size_t>(std::clamp(row + 1, 0, rows - 1) * columns + std::clamp(column + 1, 0, columns - 1))]; };
  for (int row = -1; row < rows - 1; ++row)
    for (int column = -1; column < columns - 1; ++column) {
      Stone& s = stone(column, row);
      s.bits = mix64(m.seed, static_cast<uint64_t>(row + 1) << 20 | static_cast<uint64_t>(column + 1));
      // Every other row is shifted: courses of stones.
      s.x = (static_cast<float>(column) + 0.5f + 0.5f * static_cast<float>(row & 1) + 0.4f * (unit_float(s.bits) - 0.5f)) * step, s.y = (static_cast<float>(row) + 0.5f + 0.4f * (unit_float(s.bits << 20) - 0.5f)) * step;
      s.region = m.region[m.index(static_cast<int>(s.x), static_cast<int>(s.y))];
    }
  std::vector<int> owner(m.frame.pixels());
  std::vector<float> joint(m.frame.pixels());
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x) {
      const size_t i = m.frame.index(x, y);
      const float px = static_cast<float>(x) + 0.5f, py = static_cast<float>(y) + 0.5f;
      const int column = static_cast<int>(px / step), row = static_cast<int>(py / step);
      float first = 1e9f, second = 1e9f;
      int best = 0;
      for (int r = row - 2; r <= row + 2; ++r)
        for (int c = column - 2; c <= column + 2; ++c) {
          const Stone& s = stone(c, r);
          // Between round and square distance: stones with soft corners.
          const float dx = std::fabs(s.x - px), dy = std::fabs(s.y - py);
          float d = 0.5f * std::sqrt(dx * dx + dy * dy) + 0.5f * std::max(dx, dy);
          if (s.region != m.region[i]) d += 2 * step;
          if (d < first) second = first, first = d, best = static_cast<int>(&s - stones.data());
          else if (d < second) second = d;
        }
      owner[i] = best, joint[i] = second - first;
      stones[static_cast<size_t>(best)].sum += m.colour(i), stones[static_cast<size_t>(best)].count += 1;
    }
  std::vector<float> out(m.frame.rgb.size());
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x) {
      const size_t i = m.frame.index(x, y);
      const Stone& s = stones[static_cast<size_t>(owner[i])];
      // Joints also run where the neighbouring pixel is another stone's.
      bool border = false;
      const int reach = std::max(1, static_cast<int>(0.5f * m.unit + 0.5f));
      for (int k = 1; k <= reach; ++k) border = border || owner[m.index(x + k, y)] != owner[i] || owner[m.index(x, y + k)] != owner[i];
      const float inside = border ? 0.25f : smooth_step(0.2f * m.unit, 1.1f * m.unit, joint[i]);
      const float tone = 1 + 0.16f * (unit_float(s.bits << 30) - 0.5f), bevel = 1 + 0.05f * (s.x + s.y - static_cast<float>(x + y)) / step;
      const Colour mean = s.sum / std::max(1.f, s.count);
      const float grey = luminance(mean);
      const Colour face = (Colour{grey, grey, grey} + (mean - Colour{grey, grey, grey}) * 1.2f) * (tone * bevel), c = mix(Colour{0.45f, 0.42f, 0.38f}, face, inside);
      out[3 * i] = clamp01(c.x), out[3 * i + 1] = clamp01(c.y), out[3 * i + 2] = clamp01(c.z);
    }
  return out;
}

std::vector<float> paint_pixel_art(const Motif& m) {
  const int block = std::max(2, m.width / 64), columns = (m.width + block - 1) / block, rows = (m.height + block - 1) / block;
  struct Cell { int region = 0; Colour colour; bool outline = false; };
  std::vector<Cell> cells(static_cast<size_t>(columns * rows));
  // Each cell takes the region that most of it shows, and its mean colour there.
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) {
      std::map<int, std::pair<int, Colour>> shares;
      for (int y = r * block; y < std::min(m.height, (r + 1) * block); ++y)
        for (int x = c * block; x < std::min(m.width, (c + 1) * block); ++x) {
          auto& share = shares[m.region[m.frame.index(x, y)]];
          ++share.first, share.second += m.colour(m.frame.index(x, y));
        }
      const auto best = std::max_element(shares.begin(), shares.end(), [](const auto& a, const auto& b) { return a.second.first < b.second.first; });
      cells[static_cast<size_t>(r * columns + c)] = {best->first, best->second.second / static_cast<float>(best->second.first), false};
    }
  // A palette of 24 by Lloyd's iterations from evenly spread cells.
  constexpr size_t kPalette = 24;
  std::vector<Colour> palette(kPalette);
  std::vector<size_t> order(cells.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return luminance(cells[a].colour) < luminance(cells[b].colour); });
  for (size_t k = 0; k < kPalette; ++k) palette[k] = cells[order[(2 * k + 1) * order.size() / (2 * kPalette)]].colour;
  const auto nearest = [&](const Colour& colour) {
    size_t best = 0;
    float least = 1e9f;
    for (size_t k = 0; k < kPalette; ++k) {
      const Vec3 d = palette[k] - colour;
      if (const float square = dot(d, d); square < least) least = square, best = k;
    }
    return best;
  };
  for (int iteration = 0; iteration < 8; ++iteration) {
    std::vector<Colour> sums(kPalette);
    std::vector<float> counts(kPalette);
    for (const Cell& cell : cells) {
      // Vivid cells count more: a small red thing keeps its red.
      const Colour& v = cell.colour;
      const float weight = 1 + 6 * (std::max(v.x, std::max(v.y, v.z)) - std::min(v.x, std::min(v.y, v.z)));
      const size_t k = nearest(v);
      sums[k] += v * weight, counts[k] += weight;
    }
    for (size_t k = 0; k < kPalette; ++k)
      if (counts[k] > 0) palette[k] = sums[k] / counts[k];
  }
  const auto at = [&](int c, int r) -> const Cell& { return cells[static_cast<size_t>(std::clamp(r, 0, rows - 1) * columns + std::clamp(c, 0, columns - 1))]; };
  std::vector<float> out(m.frame.rgb.size());
  static constexpr float kBayer[4][4] = {{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) {
      const Cell& cell = at(c, r);
      const float dither = (kBayer[r & 3][c & 3] / 16 - 0.47f) * 0.05f;
      Colour colour = palette[nearest(cell.colour + Colour{dither, dither, dither})];
      // Objects get a dark rim on their right and lower sides.
      if (cell.region < 70000 && (at(c + 1, r).region != cell.region || at(c, r + 1).region != cell.region || at(c - 1, r).region != cell.region)) colour = colour * 0.55f;
      for (int y = r * block; y < std::min(m.height, (r + 1) * block); ++y)
        for (int x = c * block; x < std::min(m.width, (c + 1) * block); ++x) {
          const size_t i = m.frame.index(x, y);
          out[3 * i] = clamp01(colour.x), out[3 * i + 1] = clamp01(colour.y), out[3 * i + 2] = clamp01(colour.z);
        }
    }
  return out;
}

}  // namespace attelier::world
