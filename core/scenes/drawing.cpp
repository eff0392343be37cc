#include "core/scenes/drawing.h"

namespace attelier::drawing {

NoiseField::NoiseField(uint64_t seed, double falloff) : value_(kSize * kSize, 0.f) {
  Random random(seed);
  double amplitude = 1;
  for (int cells = 2; cells <= kSize; cells *= 2, amplitude *= falloff) {
    std::vector<float> grid(static_cast<size_t>(cells * cells));
    for (float& value : grid) value = static_cast<float>(uniform(random, -1, 1));
    const float step = static_cast<float>(cells) / kSize;
    for (int y = 0; y < kSize; ++y)
      for (int x = 0; x < kSize; ++x) {
        const float fx = static_cast<float>(x) * step, fy = static_cast<float>(y) * step;
        const int x0 = static_cast<int>(fx), y0 = static_cast<int>(fy);
        float tx = fx - static_cast<float>(x0), ty = fy - static_cast<float>(y0);
        tx = tx * tx * (3 - 2 * tx), ty = ty * ty * (3 - 2 * ty);
        const auto at = [&](int yy, int xx) { return grid[static_cast<size_t>((yy % cells) * cells + xx % cells)]; };
        value_[static_cast<size_t>(y * kSize + x)] += static_cast<float>(amplitude) * ((at(y0, x0) * (1 - tx) + at(y0, x0 + 1) * tx) * (1 - ty) +
                                                                                       (at(y0 + 1, x0) * (1 - tx) + at(y0 + 1, x0 + 1) * tx) * ty);
      }
  }
}

const NoiseField& noise_field(size_t roughness) {
  static const std::array<NoiseField, 6> fields = {NoiseField(11, 0.5), NoiseField(12, 0.55), NoiseField(13, 0.62),
                                                   NoiseField(14, 0.7), NoiseField(15, 0.8),  NoiseField(16, 0.9)};
  return fields[roughness % fields.size()];
}

}  // namespace attelier::drawing
