// Random numbers, coloured noise and colours shared by everything that draws.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace attelier::drawing {

using Random = std::mt19937_64;
/// Red, green, blue in [0, 1].
using Colour = std::array<double, 3>;

/// In [0, 1), the same on every platform (the standard's distributions are not).
inline double uniform(Random& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }
inline double uniform(Random& random, double a, double b) { return a + (b - a) * uniform(random); }
inline bool chance(Random& random, double probability) { return uniform(random) < probability; }

/// Periodic value noise of 256 x 256 whose amplitude falls by `falloff` from octave to octave (1/f at about 0.5).
class NoiseField {
 public:
  static constexpr int kSize = 256;
  NoiseField(uint64_t seed, double falloff);
  double operator()(double x, double y) const {
    return value_[static_cast<size_t>((static_cast<int>(std::floor(y)) & (kSize - 1)) * kSize + (static_cast<int>(std::floor(x)) & (kSize - 1)))];
  }

 private:
  std::vector<float> value_;
};

/// Six fields from smooth (0) to rough (5), made on first use.
const NoiseField& noise_field(size_t roughness);

}  // namespace attelier::drawing
