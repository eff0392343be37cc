#include "core/scenes/world/degradation.h"

#include <array>

#include "core/scenes/world/dice.h"
#include "core/scenes/world/functions.h"

namespace attelier::world {
namespace {

std::vector<float> gaussian(const std::vector<float>& rgb, int width, int height, float sigma) {
  const int reach = static_cast<int>(3 * sigma + 1);
  std::vector<float> kernel(static_cast<size_t>(2 * reach + 1));
  float total = 0;
  for (int i = -reach; i <= reach; ++i) total += kernel[static_cast<size_t>(i + reach)] = exponential(-0.5f * static_cast<float>(i * i) / (sigma * sigma));
  std::vector<float> across(rgb.size()), out(rgb.size());
  const auto pass = [&](const std::vector<float>& from, std::vector<float>& to, bool rows) {
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (size_t c = 0; c < 3; ++c) {
          float sum = 0;
          for (int i = -reach; i <= reach; ++i) {
            const int sx = rows ? std::clamp(x + i, 0, width - 1) : x, sy = rows ? y : std::clamp(y + i, 0, height - 1);
            sum += kernel[static_cast<size_t>(i + reach)] * from[3 * (static_cast<size_t>(sy) * static_cast<size_t>(width) + static_cast<size_t>(sx)) + c];
          }
          to[3 * (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) + c] = sum / total;
        }
  };
  pass(rgb, across, true), pass(across, out, false);
  return out;
}

/// Quantised 8 x 8 cosine transforms of luma and chroma with the tables of ITU-T T.81 annex K.
void compress(std::vector<float>& rgb, int width, int height, int quality) {
  static constexpr std::array<int, 64> kLuma = {16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
                                                18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
  static constexpr std::array<int, 64> kChroma = {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
                                                  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};
  const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  float cosines[8][8];
  for (int k = 0; k < 8; ++k)
    for (int x = 0; x < 8; ++x) cosines[k][x] = cosine((2 * static_cast<float>(x) + 1) * static_cast<float>(k) * kPi / 16) * (k == 0 ? 0.35355339f : 0.5f);
  const auto at = [&](int x, int y) { return 3 * (static_cast<size_t>(std::min(y, height - 1)) * static_cast<size_t>(width) + static_cast<size_t>(std::min(x, width - 1))); };
  for (int by = 0; by < height; by += 8)
    for (int bx = 0; bx < width; bx += 8) {
      float block[3][64];
      for (int i = 0; i < 64; ++i) {
        const float* p = &rgb[at(bx + i % 8, by + i / 8)];
        const float r = 255 * p[0], g = 255 * p[1], b = 255 * p[2];
        block[0][i] = 0.299f * r + 0.587f * g + 0.114f * b - 128, block[1][i] = -0.168736f * r - 0.331264f * g + 0.5f * b, block[2][i] = 0.5f * r - 0.418688f * g - 0.081312f * b;
      }
      for (int c = 0; c < 3; ++c) {
        float rows[64], spectrum[64];
        for (int y = 0; y < 8; ++y)
          for (int k = 0; k < 8; ++k) {
            rows[8 * y + k] = 0;
            for (int x = 0; x < 8; ++x) rows[8 * y + k] += block[c][8 * y + x] * cosines[k][x];
          }
        for (int k = 0; k < 8; ++k)
          for (int j = 0; j < 8; ++j) {
            float sum = 0;
            for (int y = 0; y < 8; ++y) sum += rows[8 * y + k] * cosines[j][y];
            const auto step = static_cast<float>(std::clamp(((c == 0 ? kLuma : kChroma)[static_cast<size_t>(8 * j + k)] * scale + 50) / 100, 1, 255));
            spectrum[8 * j + k] = step * floor_of(sum / step + 0.5f);
          }
        for (int j = 0; j < 8; ++j)
          for (int x = 0; x < 8; ++x) {
            rows[8 * j + x] = 0;
            for (int k = 0; k < 8; ++k) rows[8 * j + x] += spectrum[8 * j + k] * cosines[k][x];
          }
        for (int y = 0; y < 8; ++y)
          for (int x = 0; x < 8; ++x) {
            block[c][8 * y + x] = 0;
            for (int j = 0; j < 8; ++j) block[c][8 * y + x] += rows[8 * j + x] * cosines[j][y];
          }
      }
      for (int i = 0; i < 64; ++i) {
        if (bx + i % 8 >= width || by + i / 8 >= height) continue;
        float* p = &rgb[at(bx + i % 8, by + i / 8)];
        const float y = block[0][i] + 128;
        p[0] = clamp01((y + 1.402f * block[2][i]) / 255), p[1] = clamp01((y - 0.344136f * block[1][i] - 0.714136f * block[2][i]) / 255), p[2] = clamp01((y + 1.772f * block[1][i]) / 255);
      }
    }
}

}  // namespace

Degradation random_degradation(uint64_t seed, int factor) {
  Dice dice(seed, 0xde6);
  return {dice.uniform(0.3f, 0.6f) * static_cast<float>(factor), dice.chance(0.7f) ? dice.uniform(0.004f, 0.03f) : 0, dice.chance(0.7f) ? 40 + dice.below(56) : 100};
}

std::vector<float> degrade(const std::vector<float>& rgb, int width, int height, int factor, const Degradation& wear, uint64_t seed) {
  const std::vector<float> soft = wear.blur > 0 ? gaussian(rgb, width, height, wear.blur) : rgb;
  const int w = width / factor, h = height / factor;
  std::vector<float> out(3 * static_cast<size_t>(w) * static_cast<size_t>(h));
  const float share = 1 / static_cast<float>(factor * factor);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x)
      for (size_t c = 0; c < 3; ++c) {
        float sum = 0;
        for (int j = 0; j < factor; ++j)
          for (int i = 0; i < factor; ++i) sum += soft[3 * (static_cast<size_t>(y * factor + j) * static_cast<size_t>(width) + static_cast<size_t>(x * factor + i)) + c];
        const size_t index = 3 * (static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x)) + c;
        float value = sum * share;
        if (wear.noise > 0) {
          // The sum of four uniform numbers is near enough to a Gaussian; its deviation is 0.577.
          const uint64_t bits = mix64(seed, index), more = mix64(bits, 1);
          const float bell = unit_float(bits) + unit_float(bits << 24) + unit_float(more) + unit_float(more << 24) - 2;
          value += wear.noise / 0.577f * bell * std::sqrt(0.25f + 1.5f * std::max(0.f, value));
        }
        out[index] = clamp01(value);
      }
  if (wear.quality < 100) compress(out, w, h, wear.quality);
  return out;
}

}  // namespace attelier::world
