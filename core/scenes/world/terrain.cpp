#include "core/scenes/world/terrain.h"

#include "core/scenes/world/functions.h"

namespace attelier::world {

Terrain::Terrain(float reach, const std::function<float(float, float)>& height)
    : reach_(reach), cell_(2 * reach / kCells), height_(static_cast<size_t>((kCells + 2) * (kCells + 2))), blocks_(kBlocks * kBlocks) {
  for (int z = 0; z < kCells + 2; ++z)
    for (int x = 0; x < kCells + 2; ++x)
      height_[static_cast<size_t>(z * (kCells + 2) + x)] = height((static_cast<float>(x) - 0.5f) * cell_ - reach, (static_cast<float>(z) - 0.5f) * cell_ - reach);
  // A B-spline stays within its control points, and its slope within their differences.
  for (int bz = 0; bz < kBlocks; ++bz)
    for (int bx = 0; bx < kBlocks; ++bx) {
      BlockBounds bounds{-1e30f, 0};
      float steep_x = 0, steep_z = 0;
      for (int z = bz * kBlock; z <= (bz + 1) * kBlock + 1; ++z)
        for (int x = bx * kBlock; x <= (bx + 1) * kBlock + 1; ++x) {
          bounds.highest = std::max(bounds.highest, control(x, z));
          if (x <= (bx + 1) * kBlock) steep_x = std::max(steep_x, std::fabs(control(x + 1, z) - control(x, z)) / cell_);
          if (z <= (bz + 1) * kBlock) steep_z = std::max(steep_z, std::fabs(control(x, z + 1) - control(x, z)) / cell_);
        }
      bounds.steepest = std::sqrt(steep_x * steep_x + steep_z * steep_z);
      blocks_[static_cast<size_t>(bz * kBlocks + bx)] = bounds;
      highest_ = std::max(highest_, bounds.highest);
    }
}

Terrain::Sample Terrain::at(float x, float z) const {
  const float limit = static_cast<float>(kCells) - 1e-3f;
  const float gu = (x + reach_) / cell_, gv = (z + reach_) / cell_, u = std::clamp(gu, 0.f, limit), v = std::clamp(gv, 0.f, limit);
  const int i = static_cast<int>(u), j = static_cast<int>(v);
  const float s = u - static_cast<float>(i), t = v - static_cast<float>(j);
  const float a[3] = {0.5f * (1 - s) * (1 - s), 0.5f + s * (1 - s), 0.5f * s * s}, da[3] = {s - 1, 1 - 2 * s, s};
  const float b[3] = {0.5f * (1 - t) * (1 - t), 0.5f + t * (1 - t), 0.5f * t * t}, db[3] = {t - 1, 1 - 2 * t, t};
  Sample out{0, 0, 0};
  for (int r = 0; r < 3; ++r) {
    const float* row = height_.data() + (j + r) * (kCells + 2) + i;
    const float value = a[0] * row[0] + a[1] * row[1] + a[2] * row[2], slope = da[0] * row[0] + da[1] * row[1] + da[2] * row[2];
    out.height += b[r] * value, out.slope_x += b[r] * slope, out.slope_z += db[r] * value;
  }
  out.slope_x = u == gu ? out.slope_x / cell_ : 0, out.slope_z = v == gv ? out.slope_z / cell_ : 0;
  return out;
}

std::optional<float> Terrain::march(const Ray& ray, float low, float high, const BlockBounds& bounds) const {
  const float level = std::sqrt(ray.direction.x * ray.direction.x + ray.direction.z * ray.direction.z), fall = bounds.steepest * level - ray.direction.y;
  if (fall <= 0) return std::nullopt;
  float t = low;
  // Nothing above the block's highest control point.
  if (ray.direction.y < 0) t = std::max(t, (bounds.highest - ray.origin.y) / ray.direction.y);
  if (ray.direction.y > 0) high = std::min(high, (bounds.highest - ray.origin.y) / ray.direction.y);
  if (t >= high) return std::nullopt;
  const auto gap = [&](float at) {
    const Vec3 p = ray.at(at);
    return p.y - height(p.x, p.z);
  };
  float f = gap(t);
  // Starting at or under the ground: only a block's border puts us there, or the surface that the ray leaves.
  if (f <= 0 && t <= low + 1e-6f && low < 2e-3f) return std::nullopt;
  for (int i = 0; i < 200; ++i) {
    if (t > high) return std::nullopt;
    if (f < 0.02f + 1e-3f * t) {
      // Newton's method on the smooth surface; a ray that only grazes a crest does not converge and marches on.
      float root = t;
      for (int k = 0; k < 5; ++k) {
        const Vec3 p = ray.at(root);
        const Sample s = at(p.x, p.z);
        const float speed = ray.direction.y - s.slope_x * ray.direction.x - s.slope_z * ray.direction.z, rest = p.y - s.height;
        if (speed > -1e-5f) break;
        root -= rest / speed;
        if (std::fabs(rest) < 2e-6f * (1 + t)) {
          if (root > low - 1e-3f && root < high) return root;
          break;
        }
      }
    }
    const float step = std::max(f, 1e-4f) / fall;
    t += step;
    f = gap(t);
    if (f < 0) {
      // Stepped through (only by rounding or the least step): the crossing lies in the last step.
      float above = t - step, below = t;
      for (int k = 0; k < 24; ++k) {
        const float middle = 0.5f * (above + below);
        (gap(middle) > 0 ? above : below) = middle;
      }
      return below < high ? std::optional(below) : std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<float> Terrain::intersect(const Ray& ray, float t_low, float t_high) const {
  if (!exists()) return std::nullopt;
  // Walk over the blocks that the ray passes (Amanatides and Woo 1987), skipping those it stays above.
  const float size = cell_ * kBlock;
  const Vec3 start = ray.at(t_low);
  const auto block_of = [&](float v) { return std::clamp(static_cast<int>(floor_of((v + reach_) / size)), 0, kBlocks - 1); };
  int x = block_of(start.x), z = block_of(start.z);
  const int step_x = ray.direction.x > 0 ? 1 : -1, step_z = ray.direction.z > 0 ? 1 : -1;
  const auto crossing = [&](int block, int step, float origin, float direction) {
    const int next = step > 0 ? block + 1 : block;
    // Border blocks reach to infinity.
    if (std::fabs(direction) < 1e-9f || (step > 0 && block == kBlocks - 1) || (step < 0 && block == 0)) return 1e30f;
    return (static_cast<float>(next) * size - reach_ - origin) / direction;
  };
  float t = t_low;
  while (t < t_high) {
    const float tx = crossing(x, step_x, ray.origin.x, ray.direction.x), tz = crossing(z, step_z, ray.origin.z, ray.direction.z);
    const float leave = std::min(t_high, std::min(tx, tz));
    const BlockBounds& bounds = blocks_[static_cast<size_t>(z * kBlocks + x)];
    const float lowest = std::min(ray.origin.y + ray.direction.y * t, ray.origin.y + ray.direction.y * leave);
    if (lowest <= bounds.highest)
      if (const auto hit = march(ray, t, leave, bounds)) return hit;
    if (leave >= t_high || (ray.direction.y > 0 && ray.origin.y + ray.direction.y * leave > highest_)) break;
    t = std::max(t, leave);
    if (tx < tz) x += step_x;
    else z += step_z;
  }
  return std::nullopt;
}

}  // namespace attelier::world
