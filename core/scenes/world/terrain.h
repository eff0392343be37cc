// The ground: a smooth height field (quadratic B-spline over a grid), flat outside, with an exact gradient.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/scenes/world/geometry.h"

namespace attelier::world {

class Terrain {
 public:
  /// No ground at all.
  Terrain() = default;
  /// Control heights in metres from `height(x, z)` on a grid of side 2 * `reach` metres around the origin; outside it the border's heights go on.
  Terrain(float reach, const std::function<float(float x, float z)>& height);

  bool exists() const { return !height_.empty(); }
  struct Sample {
    float height, slope_x, slope_z;
  };
  Sample at(float x, float z) const;
  float height(float x, float z) const { return at(x, z).height; }

  /// The first crossing from above with t in (t_low, t_high).
  std::optional<float> intersect(const Ray& ray, float t_low, float t_high) const;

 private:
  static constexpr int kCells = 128, kBlock = 4, kBlocks = kCells / kBlock;
  struct BlockBounds {
    float highest, steepest;
  };
  std::optional<float> march(const Ray& ray, float t_low, float t_high, const BlockBounds& bounds) const;
  float control(int x, int z) const { return height_[static_cast<size_t>(std::clamp(z, 0, kCells + 1) * (kCells + 2) + std::clamp(x, 0, kCells + 1))]; }

  float reach_ = 0, cell_ = 1, highest_ = -1e30f;
  std::vector<float> height_;  // (kCells + 2)^2 control points
  std::vector<BlockBounds> blocks_;
};

}  // namespace attelier::world
