// Pinhole and 360-degree cameras. Pixel (column i, row j) has its centre at (i + 0.5, j + 0.5); axes as OpenCV and COLMAP: x right, y down, z forward.
#pragma once

#include <cstdint>
#include <optional>

#include "core/scenes/world/geometry.h"

namespace attelier::world {

enum class Projection : unsigned char { kPerspective, kEquirectangular };

struct Camera {
  Projection projection = Projection::kPerspective;
  int width = 256, height = 256;
  float focal = 256;                 // pixels; perspective only, square pixels
  float centre_x = 128, centre_y = 128;
  Vec3 position{};
  Mat3 axes{};                       // rows: right, down, forward in world space, i.e. the rotation world to camera

  /// The ray through a point of the picture.
  Ray ray(float x, float y) const;
  /// A point seen: picture coordinates and depth. Depth is z in the camera for perspective, the distance for 360 degrees.
  struct Seen {
    float x, y, depth;
  };
  /// std::nullopt behind a perspective camera.
  std::optional<Seen> project(const Vec3& world) const { return project_direction(axes * (world - position)); }
  /// The same for a point at infinity in a direction (the sky): its depth is meaningless.
  std::optional<Seen> project_infinite(const Vec3& direction) const { return project_direction(axes * direction); }
  /// Metres that a pixel covers at distance 1.
  float pixel_angle() const { return projection == Projection::kPerspective ? 1 / focal : 6.2831853f / static_cast<float>(width); }
  /// Depth of a point at distance t along the unit ray `direction`.
  float depth_of(const Vec3& direction, float t) const { return projection == Projection::kPerspective ? t * dot(axes.row[2], direction) : t; }

 private:
  std::optional<Seen> project_direction(const Vec3& in_camera) const;
};

/// A perspective camera at `eye` that looks at `target` with the horizon level; the field of view is the width's, in radians.
Camera look_at(const Vec3& eye, const Vec3& target, float field_of_view, int width, int height);
/// A 360-degree camera: width 2 * height, the middle column looks along `forward` (made level).
Camera panorama_at(const Vec3& eye, const Vec3& forward, int height);

}  // namespace attelier::world
