#include "core/scenes/world/noise.h"

namespace attelier::world {
namespace {

/// Integer hash of a lattice point (constants of lowbias32, C. Wellons).
uint32_t hash(int x, int y, int z, uint32_t seed) {
  uint32_t h = static_cast<uint32_t>(x) * 0x8da6b343u ^ static_cast<uint32_t>(y) * 0xd8163841u ^ static_cast<uint32_t>(z) * 0xcb1ab31fu ^ seed * 0x9e3779b1u;
  h = (h ^ (h >> 16)) * 0x7feb352du;
  return h ^ (h >> 15);
}
float lattice(int x, int y, int z, uint32_t seed) { return static_cast<float>(static_cast<int32_t>(hash(x, y, z, seed) * 0x846ca68bu)) * 0x1p-31f; }

/// floor without a call into the mathematics library.
int whole(float v) {
  const int i = static_cast<int>(v);
  return v < static_cast<float>(i) ? i - 1 : i;
}
float fade(float t) { return t * t * t * (t * (t * 6 - 15) + 10); }
float fade_slope(float t) { return 30 * t * t * (t * (t - 2) + 1); }

}  // namespace

float cell_random(int x, int y, int z, uint32_t seed) { return lattice(x, y, z, seed ^ 0x5bd1u) * 0.5f + 0.5f; }

NoiseSample noise(const Vec3& p, uint32_t seed) {
  const int x = whole(p.x), y = whole(p.y), z = whole(p.z);
  const float fx = p.x - static_cast<float>(x), fy = p.y - static_cast<float>(y), fz = p.z - static_cast<float>(z);
  const float u = fade(fx), v = fade(fy), w = fade(fz);
  const float a = lattice(x, y, z, seed), b = lattice(x + 1, y, z, seed), c = lattice(x, y + 1, z, seed), d = lattice(x + 1, y + 1, z, seed);
  const float e = lattice(x, y, z + 1, seed), f = lattice(x + 1, y, z + 1, seed), g = lattice(x, y + 1, z + 1, seed), h = lattice(x + 1, y + 1, z + 1, seed);
  const float k1 = b - a, k2 = c - a, k3 = e - a, k4 = a - b - c + d, k5 = a - c - e + g, k6 = a - b - e + f, k7 = b + c + e + h - a - d - f - g;
  return {a + k1 * u + k2 * v + k3 * w + k4 * u * v + k5 * v * w + k6 * w * u + k7 * u * v * w,
          {fade_slope(fx) * (k1 + k4 * v + k6 * w + k7 * v * w), fade_slope(fy) * (k2 + k5 * w + k4 * u + k7 * w * u), fade_slope(fz) * (k3 + k6 * u + k5 * v + k7 * u * v)}};
}

float noise_value(const Vec3& p, uint32_t seed) {
  const int x = whole(p.x), y = whole(p.y), z = whole(p.z);
  const float u = fade(p.x - static_cast<float>(x)), v = fade(p.y - static_cast<float>(y)), w = fade(p.z - static_cast<float>(z));
  const auto layer = [&](int zz) {
    return mix(mix(lattice(x, y, zz, seed), lattice(x + 1, y, zz, seed), u), mix(lattice(x, y + 1, zz, seed), lattice(x + 1, y + 1, zz, seed), u), v);
  };
  return mix(layer(z), layer(z + 1), w);
}

float noise_value2(float px, float py, uint32_t seed) {
  const int x = whole(px), y = whole(py);
  const float u = fade(px - static_cast<float>(x)), v = fade(py - static_cast<float>(y));
  return mix(mix(lattice(x, y, 0, seed), lattice(x + 1, y, 0, seed), u), mix(lattice(x, y + 1, 0, seed), lattice(x + 1, y + 1, 0, seed), u), v);
}

NoiseSample fractal_noise(const Vec3& p, int octaves, uint32_t seed) {
  NoiseSample sum;
  float amplitude = 1, frequency = 1, total = 0;
  for (int i = 0; i < octaves; ++i, amplitude *= 0.5f, frequency *= 2.03f) {
    const NoiseSample n = noise(p * frequency, seed + static_cast<uint32_t>(i));
    sum.value += n.value * amplitude;
    sum.gradient += n.gradient * (amplitude * frequency);
    total += amplitude;
  }
  return {sum.value / total, sum.gradient / total};
}

float fractal_noise2(float x, float y, int octaves, uint32_t seed) {
  float sum = 0, amplitude = 1, total = 0;
  for (int i = 0; i < octaves; ++i, amplitude *= 0.5f, x = x * 2.03f + 17.3f, y = y * 2.03f - 9.1f) {
    sum += amplitude * noise_value2(x, y, seed + static_cast<uint32_t>(i));
    total += amplitude;
  }
  return sum / total;
}

}  // namespace attelier::world
