// Time of day and weather: sky, sun, ambient light and fog.
#include "core/scenes/world/compose.h"

namespace attelier::world {
namespace {

Vec3 direction(float azimuth, float elevation) { return {cosine(elevation) * sine(azimuth), sine(elevation), cosine(elevation) * cosine(azimuth)}; }

}  // namespace

void set_mood(Scene& scene, Dice dice) {
  Sky& sky = scene.sky;
  Light& light = scene.light;
  sky.seed = static_cast<uint32_t>(dice.next());
  // The viewer looks along -z: azimuth 0 is behind the viewer. Light from the side models best.
  const float side = dice.chance(0.5f) ? 1.f : -1.f;
  float azimuth = side * dice.uniform(0.5f, 1.25f), elevation;
  switch (scene.daytime) {
    case Daytime::kMorning:
      elevation = dice.uniform(0.38f, 0.55f);
      sky.zenith = shown(0.40f, 0.60f, 0.86f), sky.horizon = shown(0.97f, 0.86f, 0.76f), sky.glow = shown(1, 0.82f, 0.58f) * 0.9f;
      light.sun_colour = Colour{2.9f, 2.35f, 1.7f}, light.above = Colour{0.62f, 0.74f, 0.95f}, light.below = Colour{0.38f, 0.34f, 0.28f};
      break;
    case Daytime::kNoon:
      elevation = dice.uniform(0.7f, 1.05f);
      sky.zenith = shown(0.22f, 0.47f, 0.84f), sky.horizon = shown(0.74f, 0.87f, 0.96f), sky.glow = shown(1, 0.95f, 0.82f) * 0.5f;
      light.sun_colour = Colour{2.9f, 2.65f, 2.25f}, light.above = Colour{0.66f, 0.82f, 1.08f}, light.below = Colour{0.4f, 0.38f, 0.3f};
      break;
    case Daytime::kSunset:
      elevation = dice.uniform(0.13f, 0.26f), azimuth = side * dice.uniform(1.2f, 2.7f);
      sky.zenith = shown(0.36f, 0.42f, 0.70f), sky.horizon = shown(1, 0.72f, 0.48f), sky.glow = shown(1, 0.58f, 0.28f) * 1.5f;
      light.sun_colour = Colour{3.4f, 1.75f, 0.8f}, light.above = Colour{0.66f, 0.56f, 0.68f}, light.below = Colour{0.5f, 0.36f, 0.28f};
      break;
    default:
      elevation = dice.uniform(0.35f, 0.6f), azimuth = side * dice.uniform(0.9f, 2.5f);
      sky.zenith = shown(0.05f, 0.08f, 0.22f), sky.horizon = shown(0.2f, 0.28f, 0.46f), sky.glow = shown(0.5f, 0.6f, 0.85f) * 0.25f, sky.stars = 1, sky.moon = true;
      light.sun_colour = Colour{0.42f, 0.52f, 0.8f}, light.above = Colour{0.15f, 0.2f, 0.38f}, light.below = Colour{0.08f, 0.09f, 0.13f}, light.exposure = 1.35f;
      break;
  }
  sky.clouds = dice.uniform(0.2f, 0.5f);
  sky.cloud_light = scene.daytime == Daytime::kNight ? shown(0.24f, 0.29f, 0.42f) : mix(light.sun_colour * 0.42f, Colour{1, 1, 1}, 0.45f);
  sky.cloud_dark = scene.daytime == Daytime::kNight ? shown(0.09f, 0.12f, 0.22f) : mix(sky.zenith, sky.horizon, 0.6f) * 0.85f;
  light.fog = mix(sky.horizon, sky.zenith, 0.18f), light.fog_density = 0.0045f;
  const auto dull = [&](float amount) {
    const float grey = luminance(sky.horizon) * 0.85f;
    const auto wash = [&](Colour& c, float k) { c = mix(c, Colour{0.96f, 1, 1.05f} * luminance(c), k); };
    wash(sky.zenith, amount), wash(sky.horizon, amount), wash(light.above, 0.6f * amount), wash(sky.glow, amount);
    sky.zenith = mix(sky.zenith, Colour{grey, grey, grey * 1.04f}, 0.6f * amount);
    light.sun_colour = light.sun_colour * (1 - 0.62f * amount), light.above = light.above * (1 + 0.5f * amount), sky.stars *= 1 - amount, sky.glow = sky.glow * (1 - 0.7f * amount);
    light.fog = mix(sky.horizon, sky.zenith, 0.3f);
  };
  switch (scene.weather) {
    case Weather::kCloudy: dull(0.4f), sky.clouds = dice.uniform(0.65f, 0.85f); break;
    case Weather::kFoggy: dull(0.55f), light.fog_density = dice.uniform(0.035f, 0.055f), sky.clouds = 0; break;
    case Weather::kSnowing: dull(0.6f), light.fog_density = 0.016f, sky.clouds = 0.8f; break;
    case Weather::kRainy: dull(0.8f), light.fog_density = 0.014f, sky.clouds = 0.95f, sky.cloud_light = sky.cloud_light * 0.6f; break;
    default: break;
  }
  light.sun = direction(azimuth, elevation);
}

void add_snowfall(Builder& b, const Vec3& middle) {
  const int flake = b.glowing(shown(0.93f, 0.95f, 1), b.scene().daytime == Daytime::kNight ? 0.35f : 0.7f);
  for (int i = 0; i < 220; ++i) {
    // Each falls six metres and starts again.
    const Vec3 at{middle.x + b.dice.uniform(-7, 7), middle.y + 5.5f, middle.z + b.dice.uniform(-6, 6)};
    b.surroundings(Kind::kFlake, at);
    b.move({MotionKind::kFall, {}, {0, 1, 0}, 7, 1 / b.dice.uniform(5, 9), b.dice.uniform()});
    const float r = b.dice.uniform(0.018f, 0.04f);
    b.ball({}, {r, r, r}, flake);
  }
}

void add_rainfall(Builder& b, const Vec3& middle) {
  const int drop = b.glowing(shown(0.72f, 0.78f, 0.86f), b.scene().daytime == Daytime::kNight ? 0.2f : 0.55f);
  for (int i = 0; i < 170; ++i) {
    b.surroundings(Kind::kFlake, {middle.x + b.dice.uniform(-6, 6), middle.y + 5.5f, middle.z + b.dice.uniform(-6, 5)});
    b.move({MotionKind::kFall, {}, {0.08f, 1, 0}, 7, 1 / b.dice.uniform(0.8f, 1), b.dice.uniform()});
    b.tube({0, 0, 0}, {0.016f, 0.2f, 0}, 0.0045f, 0.0045f, drop);
  }
}

}  // namespace attelier::world
