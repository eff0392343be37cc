#include "core/scenes/world/sky.h"

#include "core/scenes/world/functions.h"
#include "core/scenes/world/noise.h"

namespace attelier::world {
namespace {

float stars(const Vec3& d, uint32_t seed) {
  const Vec3 q = d * 60;
  const int x = static_cast<int>(floor_of(q.x)), y = static_cast<int>(floor_of(q.y)), z = static_cast<int>(floor_of(q.z));
  if (cell_random(x, y, z, seed) > 0.05f) return 0;
  const Vec3 centre{static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f, static_cast<float>(z) + 0.5f};
  const float size = 0.16f + 0.3f * cell_random(x, y, z, seed + 1);
  return smooth_step(size, 0.3f * size, length(q - centre));
}

}  // namespace

Colour fog_colour(const Scene& scene, const Vec3& direction) {
  const float towards = std::max(0.f, dot(direction, scene.light.sun));
  return mix(scene.light.fog, scene.sky.glow, 0.35f * power(towards, 6));
}

Colour sky_colour(const Scene& scene, const Vec3& d, bool detailed) {
  const Sky& sky = scene.sky;
  const float up = std::max(0.f, d.y), towards = std::max(0.f, dot(d, scene.light.sun));
  Colour colour = mix(sky.horizon, sky.zenith, 1 - exponential(-3.2f * up));
  colour += sky.glow * (0.35f * power(towards, 5) * exponential(-2.5f * up) + 0.35f * power(towards, 40));
  if (detailed) {
    if (sky.stars > 0 && d.y > 0.02f) colour += Colour{1, 0.97f, 0.88f} * (1.4f * sky.stars * stars(d, sky.seed) * smooth_step(0.02f, 0.2f, d.y));
    if (towards > 0.985f) {
      const float disc = sky.moon ? smooth_step(0.9982f, 0.9986f, towards) : smooth_step(0.9984f, 0.9992f, towards);
      Colour face = scene.light.sun_colour * (sky.moon ? 3.f : 4.f);
      if (sky.moon) face = Colour{1.25f, 1.2f, 1.02f} * (0.82f + 0.18f * noise_value(d * 90, 3));
      colour = mix(colour, face, disc);
    }
    if (sky.clouds > 0 && d.y > 0.015f) {
      // A layer at height 1, its light from how much thinner it is towards the sun.
      const float far = 1 / (d.y + 0.09f), x = d.x * far, z = d.z * far;
      const auto thickness = [&](float dx, float dz, int octaves) {
        return fractal_noise2(1.1f * (x + dx) + static_cast<float>(sky.seed % 97), 1.7f * (z + dz), octaves, sky.seed);
      };
      const float here = thickness(0, 0, 4), cover = smooth_step(0.62f - 1.15f * sky.clouds, 1.02f - 1.15f * sky.clouds, here + 0.1f);
      if (cover > 0) {
        const float lit = clamp01(0.62f + 1.3f * (here - thickness(0.22f * scene.light.sun.x, 0.22f * scene.light.sun.z, 3)) - 0.25f * (here - 0.2f));
        const Colour cloud = mix(sky.cloud_dark, sky.cloud_light, lit) + sky.glow * (0.25f * power(towards, 6));
        colour = mix(colour, cloud, cover * smooth_step(0.015f, 0.16f, d.y));
      }
    }
  }
  return mix(colour, fog_colour(scene, d), exponential(-(d.y > 0 ? d.y : 0) * 14) * clamp01(0.25f + 60 * scene.light.fog_density));
}

}  // namespace attelier::world
