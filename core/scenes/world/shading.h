// Light at a surface point.
#pragma once

#include "core/scenes/world/posed_scene.h"

namespace attelier::world {

enum class Lighting : unsigned char {
  kFull,    // everything below
  kMatte,   // Lambert's law and shadows alone: a surface at rest has the same colour from everywhere
  kAlbedo,  // the reflectance alone: a surface keeps its colour however it moves
};

struct ShadingSettings {
  Lighting lighting = Lighting::kFull;
  bool shadows = true;
  /// Where on the sun's disc the light comes from, each in [0, 1); negative: its middle.
  float u = -1, v = -1;
};

/// A direction of the half space around the unit vector `axis`, denser near it (by the cosine); u and v in [0, 1).
Vec3 half_space_direction(const Vec3& axis, float u, float v);

/// Linear light towards the eye, kept apart because ambient occlusion darkens only one of them.
struct Shade {
  Colour direct{}, ambient{};
  float fog = 0;  // share of fog in front
};

/// `hit` must be a surface (part != kNothing) and `normal` posed.normal there. `footprint` is a pixel's width at the point, in metres.
Shade shade(const PosedScene& posed, const Ray& ray, const Hit& hit, const Vec3& normal, float footprint, const ShadingSettings& settings);

}  // namespace attelier::world
