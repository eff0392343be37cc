// Smooth random fields with exact gradients: what textures, bumps, clouds and hills are made of.
#pragma once

#include <cstdint>

#include "core/scenes/world/geometry.h"

namespace attelier::world {

/// A value in [-1, 1] and its gradient.
struct NoiseSample {
  float value = 0;
  Vec3 gradient;
};

/// Value noise on the integer lattice, quintic interpolation (so the gradient is smooth too).
NoiseSample noise(const Vec3& p, uint32_t seed = 0);
/// The value alone: cheaper.
float noise_value(const Vec3& p, uint32_t seed = 0);
/// The plane's noise, for skies and terrains.
float noise_value2(float x, float y, uint32_t seed = 0);
/// Octaves at twice the frequency and half the amplitude each, divided by the sum of amplitudes.
NoiseSample fractal_noise(const Vec3& p, int octaves, uint32_t seed = 0);
float fractal_noise2(float x, float y, int octaves, uint32_t seed = 0);

/// A random number in [0, 1) of a lattice cell.
float cell_random(int x, int y, int z, uint32_t seed = 0);

}  // namespace attelier::world
