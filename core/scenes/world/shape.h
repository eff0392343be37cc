// The solids that everything is built from, each in its own local space and put into the world by an affine map.
// Analytic: ball, block, frustum, prism. Implicit, by bounded sphere tracing (Hart 1996): rounded block, ring, lathe, lump.
#pragma once

#include <array>
#include <optional>

#include "core/scenes/world/geometry.h"

namespace attelier::world {

enum class ShapeKind : unsigned char {
  kBall,          // |p| <= 1
  kBlock,         // |x|, |y|, |z| <= 1
  kFrustum,       // y in [-1, 1], radius 1 below to `a` above (a = 1: cylinder, 0: cone)
  kPrism,         // a roof: |x| <= (1 - y) / 2, y in [-1, 1], |z| <= 1
  kRoundedBlock,  // a block of half sides `size`, grown by the radius `a` (a capsule where two sides are 0); in metres
  kRing,          // a torus about y of radius 1, thickness radius `a`
  kLathe,         // a body of revolution about y in [0, 1] whose radius is a quadratic B-spline of `radii`; flat ends
  kLump,          // a ball of mean radius 1 with waves of height `a`, frequency `b`, phase `c`: foliage, clouds, rocks
};

struct Shape {
  ShapeKind kind = ShapeKind::kBall;
  float a = 1, b = 1, c = 0;
  Vec3 size{};
  std::array<float, 6> radii{};
  float slope = 1;  // of the lathe: the bound of |(1, dr/dy)|, from lathe()
};

/// A lathe with its slope bound filled in.
Shape lathe(const std::array<float, 6>& radii);

/// Bounds in local space.
Box local_bounds(const Shape& shape);

/// The first t in (t_low, t_high) where the ray (in local space, its direction of any length) enters the solid. Rays that start inside meet nothing.
std::optional<float> intersect(const Shape& shape, const Ray& local, float t_low, float t_high);

/// Whether something of the solid lies in between, lumps without their waves: for shadows.
bool intersects_roughly(const Shape& shape, const Ray& local, float t_low, float t_high);

/// The outward gradient at a surface point, not normalised.
Vec3 local_normal(const Shape& shape, const Vec3& p);

}  // namespace attelier::world
