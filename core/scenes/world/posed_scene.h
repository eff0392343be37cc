// A scene at one moment: every part in world space, in a bounding volume hierarchy, ready to be looked at.
#pragma once

#include <vector>

#include "core/scenes/world/scene.h"

namespace attelier::world {

/// What a ray meets. Parts have numbers >= 0.
inline constexpr int kNothing = -1, kTerrainPart = -2, kWaterPart = -3;
struct Hit {
  float t = 1e30f;
  int part = kNothing;
};

struct PosedPart {
  Affine to_world, from_world;     // from and to the shape's local space
  Affine material_from_world;      // to the object's space at rest
};

class PosedScene {
 public:
  /// `scene` must outlive this. Joints are evaluated at `time` seconds. Parts of object `removed` are left out (-1: none).
  explicit PosedScene(const Scene& scene, float time = 0, int removed = -1);

  const Scene& scene() const { return *scene_; }
  float time() const { return time_; }
  const PosedPart& pose(int part) const { return posed_[static_cast<size_t>(part)]; }

  /// The nearest surface with t in (low, high).
  Hit trace(const Ray& ray, float low, float high) const;
  /// Whether anything solid (not water) lies between.
  bool blocked(const Ray& ray, float low, float high) const;

  /// Unit outward normal in world space.
  Vec3 normal(const Hit& hit, const Vec3& world) const;
  Kind kind(int part) const;
  /// The object of a part, -1 for the surroundings.
  int object(int part) const { return part < 0 ? -1 : scene_->parts[static_cast<size_t>(part)].object; }

  /// The world space of joint `joint`.
  const Affine& joint_space(int joint) const { return joints_[static_cast<size_t>(joint)]; }

 private:
  struct Node {
    Box box;
    int first = 0, count = 0;  // leaf: parts order_[first, first + count); inner (count 0): children at first, first + 1
  };
  void build(int node, int first, int count);
  Ray to_local(int part, const Ray& ray) const;

  const Scene* scene_;
  float time_;
  std::vector<Affine> joints_;
  std::vector<PosedPart> posed_;
  std::vector<Box> boxes_;
  std::vector<int> order_;
  std::vector<Node> nodes_;
};

}  // namespace attelier::world
