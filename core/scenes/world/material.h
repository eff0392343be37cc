// What surfaces look like: a colour, a second colour, a pattern in metres of the object's own space (so that it moves with it), bumps and gloss.
#pragma once

#include "core/scenes/world/geometry.h"

namespace attelier::world {

enum class Pattern : unsigned char {
  kPlain, kMottled, kStripes, kRings, kChecks, kBricks, kPlanks, kShingles, kSpots, kWood, kMarble, kLeaves, kFur, kGrass, kSand, kSnow, kRock, kCobbles, kTiles, kWeave, kSoil,
};

struct Material {
  Colour base{0.5f, 0.5f, 0.5f};    // linear reflectance
  Colour second{0.3f, 0.3f, 0.3f};  // linear
  Pattern pattern = Pattern::kPlain;
  float scale = 1;       // metres of one period
  float bump = 0;        // depth of the relief in metres per period
  float gloss = 0;       // 0 matte to 1 polished
  float emission = 0;    // light given off, in units of the base colour
  float softness = 0;    // 0 opaque to 1: light wraps round, as in leaves and fur
};

/// A surface point's reflectance and the slope of its relief (gradient of height in material space).
struct SurfacePoint {
  Colour albedo;
  Vec3 relief{};
};

/// `p` in metres of material space; `footprint` is the width of a pixel there in metres: finer detail is faded out instead of flickering.
SurfacePoint surface_at(const Material& material, const Vec3& p, const Vec3& normal, float footprint);

}  // namespace attelier::world
