#include "core/scenes/world/shading.h"

#include "core/scenes/world/functions.h"
#include "core/scenes/world/noise.h"
#include "core/scenes/world/sky.h"

namespace attelier::world {
namespace {

struct Point {
  Vec3 position, geometric, normal;  // relief bends `normal` alone
  SurfacePoint surface;
  float gloss = 0, emission = 0, softness = 0;
};

SurfacePoint ground_at(const Scene& scene, const Vec3& p, const Vec3& normal, float footprint) {
  const GroundLook& look = scene.ground;
  SurfacePoint out = surface_at(look.low, p, normal, footprint);
  const auto cover = [&](const Material& material, float share) {
    if (share <= 0) return;
    const SurfacePoint other = surface_at(material, p, normal, footprint);
    out = {mix(out.albedo, other.albedo, share), mix(out.relief, other.relief, share)};
  };
  const float ragged = 0.5f * noise_value(p * 0.35f, 9) + 0.25f * noise_value(p * 1.3f, 10);
  const float steepness = std::sqrt(std::max(0.f, 1 - normal.y * normal.y)) / std::max(0.05f, normal.y);
  cover(look.steep, smooth_step(look.steep_from - 0.12f, look.steep_from + 0.12f, steepness + 0.2f * ragged));
  if (look.high_from < 1e8f) cover(look.high, smooth_step(-1.2f, 1.2f, p.y - look.high_from + 5 * ragged) * smooth_step(1.5f, 1.0f, steepness));
  if (look.shore_height > 0) cover(look.shore, smooth_step(look.shore_height, 0.55f * look.shore_height, p.y - scene.water_level + 0.2f * ragged * look.shore_height));
  if (look.path_width > 0) {
    const float middle = look.path_offset + look.path_bend * sine(0.13f * p.z + look.path_phase) + 0.3f * look.path_bend * sine(0.31f * p.z);
    const float distance = std::fabs(p.x - middle) - 0.5f * look.path_width + 0.25f * ragged;
    cover(look.path, smooth_step(0.15f, -0.15f, distance) * smooth_step(90.f, 50.f, std::fabs(p.z)));
  }
  return out;
}

Point point_at(const PosedScene& posed, const Ray& ray, const Hit& hit, const Vec3& normal, float footprint) {
  const Scene& scene = posed.scene();
  Point out;
  out.position = ray.at(hit.t);
  out.geometric = out.normal = normal;
  Vec3 relief;
  if (hit.part >= 0) {
    const Part& part = scene.parts[static_cast<size_t>(hit.part)];
    const Material& material = scene.materials[static_cast<size_t>(part.material)];
    const Affine& map = posed.pose(hit.part).material_from_world;
    // A pixel's width in material space, whatever the object's scale.
    const float scale = length(map.linear.row[1]);
    const Vec3 own_normal = normalised(map.linear * out.normal);
    out.surface = surface_at(material, map * out.position, own_normal, footprint * scale);
    relief = transposed_times(map.linear, out.surface.relief);
    out.gloss = material.gloss, out.emission = material.emission, out.softness = material.softness;
  } else if (hit.part == kTerrainPart) {
    out.surface = ground_at(scene, out.position, out.normal, footprint);
    relief = out.surface.relief;
  }
  out.normal = normalised(out.normal - (relief - out.normal * dot(relief, out.normal)));
  return out;
}

/// Two unit vectors at right angles to `axis` and to each other.
std::pair<Vec3, Vec3> sides_of(const Vec3& axis) {
  const Vec3 side = normalised(std::fabs(axis.y) < 0.9f ? cross(axis, {0, 1, 0}) : cross(axis, {1, 0, 0}));
  return {side, cross(axis, side)};
}

/// A direction within `spread` radians of `axis`.
Vec3 disc_direction(const Vec3& axis, float spread, float u, float v) {
  const auto [side, other] = sides_of(axis);
  const float radius = std::sqrt(u) * spread;
  return normalised(axis + side * (radius * cosine(2 * kPi * v)) + other * (radius * sine(2 * kPi * v)));
}

Colour ambient_light(const Light& light, const Vec3& normal) { return mix(light.below, light.above, 0.5f + 0.5f * normal.y); }

Shade shade_solid(const PosedScene& posed, const Ray& ray, const Point& p, const ShadingSettings& settings) {
  const Scene& scene = posed.scene();
  const Light& light = scene.light;
  const bool full = settings.lighting == Lighting::kFull;
  const Colour& albedo = p.surface.albedo;
  if (settings.lighting == Lighting::kAlbedo) return {{}, albedo, 0};
  Shade out;
  // Rays leave a little above the surface; soft things (leaves, fur) a little further, which hides their own facets.
  const Vec3 start = p.position + p.geometric * 2e-3f;
  const Vec3 sun = full && settings.u >= 0 ? disc_direction(light.sun, light.sun_radius, settings.u, settings.v) : light.sun;
  float facing = dot(p.normal, sun);
  facing = std::max(0.f, (facing + 0.4f * p.softness) / (1 + 0.4f * p.softness));
  if (dot(p.geometric, sun) <= -0.2f * p.softness) facing = 0;
  if (facing > 0 && luminance(light.sun_colour) > 1e-4f && !(settings.shadows && posed.blocked({start, sun}, 1e-3f, 200))) {
    out.direct += albedo * light.sun_colour * facing;
    if (full && p.gloss > 0) {
      const float shine = std::max(0.f, dot(p.normal, normalised(sun - ray.direction)));
      out.direct += light.sun_colour * (0.9f * p.gloss * p.gloss * power(shine, 12 + 220 * p.gloss * p.gloss));
    }
  }
  for (const Lamp& lamp : light.lamps) {
    const Vec3 way = lamp.position - p.position;
    const float distance = length(way), near = dot(p.normal, way) / std::max(1e-4f, distance);
    if (near <= 0 || distance > 9 * lamp.reach) continue;
    if (lamp.shadows && settings.shadows && posed.blocked({start, way / distance}, 1e-3f, distance - 0.25f)) continue;
    const float q = distance / lamp.reach;
    out.direct += albedo * lamp.colour * (near / (1 + q * q));
    if (full && p.gloss > 0) out.direct += lamp.colour * (0.5f * p.gloss * p.gloss * power(std::max(0.f, dot(p.normal, normalised(way / distance - ray.direction))), 12 + 220 * p.gloss * p.gloss) / (1 + q * q));
  }
  out.ambient = albedo * ambient_light(light, p.normal);
  if (full) {
    if (p.gloss > 0.25f) {
      // A thin clear coat: Schlick's reflection of the surroundings.
      const float cosine_angle = clamp01(-dot(p.normal, ray.direction)), k = 1 - cosine_angle, fresnel = p.gloss * (0.04f + 0.96f * k * k * k * k * k);
      const Vec3 mirrored = ray.direction - p.normal * (2 * dot(ray.direction, p.normal));
      const Colour around_us = is_indoors(scene.place) ? ambient_light(light, mirrored) * 0.8f : mirrored.y > 0 ? sky_colour(scene, mirrored, false) : light.below;
      out.ambient = out.ambient * (1 - fresnel) + around_us * fresnel;
    }
  }
  out.direct += p.surface.albedo * p.emission;
  return out;
}

Shade shade_water(const PosedScene& posed, const Ray& ray, const Hit& hit, float footprint, const ShadingSettings& settings) {
  const Scene& scene = posed.scene();
  const Vec3 p = ray.at(hit.t);
  const float depth = scene.water_level - scene.ground_height(p.x, p.z);
  const Colour body = mix(scene.water_shallow, scene.water_deep, 1 - exponential(-0.7f * std::max(0.f, depth)));
  if (settings.lighting != Lighting::kFull) return {{}, body, 0};
  // Ripples run with the wind; their slope fades with distance, as their mean does.
  const float calm = clamp01(1.3f - 1.6f * footprint), time = posed.time();
  const NoiseSample a = noise({0.9f * p.x + 0.35f * time, 0.25f * time, 2.1f * p.z + 0.2f * time}, 21), b = noise({3.1f * p.x - 0.6f * time, 0.4f * time, 6.3f * p.z}, 22);
  const Vec3 slope{0.035f * a.gradient.x + 0.02f * b.gradient.x * calm, 0, 0.05f * a.gradient.z + 0.03f * b.gradient.z * calm};
  const Vec3 normal = normalised(Vec3{0, 1, 0} - slope * (0.35f + 0.65f * calm));
  Vec3 mirrored = ray.direction - normal * (2 * dot(ray.direction, normal));
  mirrored.y = std::max(0.01f, mirrored.y);
  mirrored = normalised(mirrored);
  const Ray reflected{p + Vec3{0, 1e-3f, 0}, mirrored};
  const Hit seen = posed.trace(reflected, 1e-3f, 120);
  Colour reflection = sky_colour(scene, mirrored);
  if (seen.part >= 0 || seen.part == kTerrainPart) {
    const Point there = point_at(posed, reflected, seen, posed.normal(seen, reflected.at(seen.t)), footprint + 0.01f * seen.t);
    ShadingSettings plain = settings;
    plain.shadows = false, plain.u = -1;
    const Shade s = shade_solid(posed, reflected, there, plain);
    reflection = mix(s.direct + s.ambient, fog_colour(scene, mirrored), 1 - exponential(-scene.light.fog_density * seen.t));
  }
  const float k = 1 - clamp01(-dot(normal, ray.direction)), k2 = k * k, fresnel = 0.03f + 0.97f * k2 * k2 * k;
  const Colour sunlit = scene.light.sun_colour * std::max(0.f, scene.light.sun.y) * 0.8f + scene.light.above * 0.6f;
  Shade out;
  out.direct = body * sunlit * (1 - fresnel) + reflection * fresnel;
  const float glint = std::max(0.f, dot(mirrored, scene.light.sun));
  out.direct += scene.light.sun_colour * (1.2f * power(glint, 350) + 0.12f * power(glint, 30));
  // A line of foam where the water meets the land.
  const float foam = smooth_step(0.16f, 0.02f, depth + 0.06f * noise_value({1.5f * p.x, 0.6f * time, 1.5f * p.z}, 23) + 0.03f * sine(1.5f * time));
  out.direct = mix(out.direct, sunlit * 0.8f, 0.75f * foam);
  return out;
}

}  // namespace

Vec3 half_space_direction(const Vec3& axis, float u, float v) {
  const auto [side, other] = sides_of(axis);
  const float radius = std::sqrt(u);
  return normalised(side * (radius * cosine(2 * kPi * v)) + other * (radius * sine(2 * kPi * v)) + axis * std::sqrt(std::max(0.f, 1 - u)));
}

Shade shade(const PosedScene& posed, const Ray& ray, const Hit& hit, const Vec3& normal, float footprint, const ShadingSettings& settings) {
  Shade out = hit.part == kWaterPart ? shade_water(posed, ray, hit, footprint, settings) : shade_solid(posed, ray, point_at(posed, ray, hit, normal, footprint), settings);
  if (settings.lighting == Lighting::kFull) out.fog = 1 - exponential(-posed.scene().light.fog_density * std::max(0.f, hit.t - 4));
  return out;
}

}  // namespace attelier::world
