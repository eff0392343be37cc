#include "core/scenes/world/flow.h"

#include "core/scenes/world/functions.h"
#include "core/scenes/world/parallel.h"

namespace attelier::world {

Vec3 world_point(const Camera& camera, const Frame& frame, int x, int y) {
  const Ray ray = camera.ray(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f);
  const float depth = frame.depth[frame.index(x, y)];
  return ray.at(camera.projection == Projection::kPerspective ? depth / dot(camera.axes.row[2], ray.direction) : depth);
}

Flow flow_between(const PosedScene& here, const Camera& camera, const Frame& from, const PosedScene& there, const Camera& other, int threads) {
  Flow out{from.width, from.height, std::vector<float>(2 * from.pixels()), std::vector<uint8_t>(from.pixels())};
  const auto width = static_cast<float>(other.width), height = static_cast<float>(other.height);
  for_each_row(from.height, threads, [&](int y) {
    for (int x = 0; x < from.width; ++x) {
      const size_t i = from.index(x, y);
      const float cx = static_cast<float>(x) + 0.5f, cy = static_cast<float>(y) + 0.5f;
      const int part = from.part[i];
      std::optional<Camera::Seen> seen;
      bool hidden = false;
      if (part == kNothing) {
        const Vec3 direction = camera.ray(cx, cy).direction;
        seen = other.project_infinite(direction);
        hidden = there.trace({other.position, direction}, 1e-3f, 2000).part != kNothing;
      } else {
        Vec3 point = world_point(camera, from, x, y);
        if (part >= 0) point = there.pose(part).to_world * (here.pose(part).from_world * point);
        seen = other.project(point);
        const Vec3 way = point - other.position;
        const float distance = length(way);
        hidden = there.trace({other.position, way / distance}, 1e-3f, distance * (1 - 1e-3f) - 2e-3f).part != kNothing;
      }
      if (!seen) {
        out.occluded[i] = 1;
        continue;
      }
      float dx = seen->x - cx;
      if (camera.projection == Projection::kEquirectangular) dx -= width * floor_of(dx / width + 0.5f);
      out.xy[2 * i] = dx, out.xy[2 * i + 1] = seen->y - cy;
      const bool outside = seen->x < 0 || seen->y < 0 || seen->x > width || seen->y > height;
      out.occluded[i] = hidden || outside ? 1 : 0;
    }
  });
  return out;
}

std::vector<float> warp_back(const std::vector<float>& rgb, int width, int height, const Flow& flow) {
  std::vector<float> out(3 * static_cast<size_t>(flow.width) * static_cast<size_t>(flow.height));
  for (int y = 0; y < flow.height; ++y)
    for (int x = 0; x < flow.width; ++x) {
      const size_t i = static_cast<size_t>(y) * static_cast<size_t>(flow.width) + static_cast<size_t>(x);
      const float px = static_cast<float>(x) + flow.xy[2 * i], py = static_cast<float>(y) + flow.xy[2 * i + 1];
      if (px < -0.5f || py < -0.5f || px > static_cast<float>(width) - 0.5f || py > static_cast<float>(height) - 0.5f) continue;
      const float fx = floor_of(px), fy = floor_of(py), u = px - fx, v = py - fy;
      const auto at = [&](int dx, int dy, size_t c) {
        const int sx = std::clamp(static_cast<int>(fx) + dx, 0, width - 1), sy = std::clamp(static_cast<int>(fy) + dy, 0, height - 1);
        return rgb[3 * (static_cast<size_t>(sy) * static_cast<size_t>(width) + static_cast<size_t>(sx)) + c];
      };
      for (size_t c = 0; c < 3; ++c) out[3 * i + c] = mix(mix(at(0, 0, c), at(1, 0, c), u), mix(at(0, 1, c), at(1, 1, c), u), v);
    }
  return out;
}

}  // namespace attelier::world
