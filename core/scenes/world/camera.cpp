#include "core/scenes/world/camera.h"

#include "core/scenes/world/functions.h"

namespace attelier::world {

Ray Camera::ray(float x, float y) const {
  Vec3 local;
  if (projection == Projection::kPerspective) {
    local = normalised({(x - centre_x) / focal, (y - centre_y) / focal, 1});
  } else {
    const float longitude = (x / static_cast<float>(width) - 0.5f) * 2 * kPi, latitude = (y / static_cast<float>(height) - 0.5f) * kPi;  // down positive
    local = {sine(longitude) * cosine(latitude), sine(latitude), cosine(longitude) * cosine(latitude)};
  }
  return {position, transposed_times(axes, local)};
}

std::optional<Camera::Seen> Camera::project_direction(const Vec3& p) const {
  if (projection == Projection::kPerspective) {
    if (p.z <= 1e-4f) return std::nullopt;
    return Seen{centre_x + focal * p.x / p.z, centre_y + focal * p.y / p.z, p.z};
  }
  const float distance = std::max(1e-9f, length(p)), longitude = std::atan2(p.x, p.z), latitude = std::asin(std::clamp(p.y / distance, -1.f, 1.f));
  return Seen{(longitude / (2 * kPi) + 0.5f) * static_cast<float>(width), (latitude / kPi + 0.5f) * static_cast<float>(height), distance};
}

namespace {

Mat3 axes_towards(const Vec3& forward) {
  const Vec3 f = normalised(forward);
  Vec3 right = cross(f, {0, 1, 0});
  right = length(right) < 1e-4f ? Vec3{1, 0, 0} : normalised(right);
  return {{right, cross(f, right), f}};
}

}  // namespace

Camera look_at(const Vec3& eye, const Vec3& target, float field_of_view, int width, int height) {
  Camera camera{.width = width, .height = height, .position = eye, .axes = axes_towards(target - eye)};
  camera.focal = 0.5f * static_cast<float>(width) * cosine(0.5f * field_of_view) / sine(0.5f * field_of_view);
  camera.centre_x = 0.5f * static_cast<float>(width), camera.centre_y = 0.5f * static_cast<float>(height);
  return camera;
}

Camera panorama_at(const Vec3& eye, const Vec3& forward, int height) {
  return {.projection = Projection::kEquirectangular, .width = 2 * height, .height = height, .position = eye, .axes = axes_towards({forward.x, 0, forward.z})};
}

}  // namespace attelier::world
