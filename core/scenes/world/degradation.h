// Low-resolution partners of a picture, worn as real ones are: blur of the lens, sampling, sensor noise, compression.
#pragma once

#include <cstdint>
#include <vector>

namespace attelier::world {

struct Degradation {
  float blur = 0;      // standard deviation of the lens's Gaussian, in pixels of the large picture
  float noise = 0;     // standard deviation at mid grey, display values; grows with brightness as photons do
  int quality = 100;   // of JPEG-like compression, 1 to 100; 100: none
};

/// Strengths drawn from the seed, in the ranges of BSRGAN (Zhang et al. 2021) for its milder half.
Degradation random_degradation(uint64_t seed, int factor);

/// `rgb` is height x width x 3 in [0, 1], both multiples of `factor`. The result is smaller by the factor. Exact and repeatable.
std::vector<float> degrade(const std::vector<float>& rgb, int width, int height, int factor, const Degradation& wear, uint64_t seed);

}  // namespace attelier::world
