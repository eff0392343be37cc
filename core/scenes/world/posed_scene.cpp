#include "core/scenes/world/posed_scene.h"

#include "core/scenes/world/functions.h"

namespace attelier::world {
namespace {

Affine about(const Vec3& pivot, const Mat3& linear) { return {linear, pivot - linear * pivot}; }

Affine motion_at(const Motion& m, float time) {
  const float s = m.kind == MotionKind::kNone ? 0 : sine(2 * kPi * (m.frequency * time + m.phase));
  switch (m.kind) {
    case MotionKind::kSwing: return about(m.pivot, rotation_about(m.axis, m.amplitude * s));
    case MotionKind::kSpin: return about(m.pivot, rotation_about(m.axis, 2 * kPi * (m.frequency * time + m.phase)));
    case MotionKind::kSway: return about(m.pivot, from_columns({1, 0, 0}, Vec3{0, 1, 0} + m.axis * (m.amplitude * s), {0, 0, 1}));
    case MotionKind::kSquash: {
      const float tall = 1 + m.amplitude * s, wide = 1 / std::sqrt(tall);
      return about(m.pivot, scaling({wide, tall, wide}));
    }
    case MotionKind::kBob: return {{}, m.axis * (m.amplitude * s)};
    case MotionKind::kBounce: return {{}, m.axis * (m.amplitude * std::fabs(s))};
    case MotionKind::kTravel: return {{}, m.axis * (m.amplitude * time)};
    case MotionKind::kFall: {
      const float turns = m.frequency * time + m.phase;
      return {{}, m.axis * (-m.amplitude * (turns - floor_of(turns)))};
    }
    default: return {};
  }
}

Box world_bounds(const Box& local, const Affine& to_world) {
  // Of a box under an affine map: centre and absolute matrix times half sides.
  const Vec3 centre = to_world * local.centre(), half = (local.high - local.low) * 0.5f;
  const Mat3& m = to_world.linear;
  const Vec3 reach = {dot(absolute(m.row[0]), half), dot(absolute(m.row[1]), half), dot(absolute(m.row[2]), half)};
  const Vec3 margin = reach * 1e-4f + Vec3{1e-4f, 1e-4f, 1e-4f};
  return {centre - reach - margin, centre + reach + margin};
}

}  // namespace

PosedScene::PosedScene(const Scene& scene, float time, int removed) : scene_(&scene), time_(time) {
  joints_.reserve(scene.joints.size());
  for (const Joint& joint : scene.joints) {
    const Affine own = joint.placement * motion_at(joint.motion, time);
    joints_.push_back(joint.parent < 0 ? own : joints_[static_cast<size_t>(joint.parent)] * own);
  }
  posed_.resize(scene.parts.size());
  boxes_.resize(scene.parts.size());
  for (size_t i = 0; i < scene.parts.size(); ++i) {
    const Part& part = scene.parts[i];
    PosedPart& posed = posed_[i];
    posed.to_world = joints_[static_cast<size_t>(part.joint)] * part.rest;
    posed.from_world = inverse(posed.to_world);
    posed.material_from_world = part.rest * posed.from_world;
    boxes_[i] = world_bounds(local_bounds(part.shape), posed.to_world);
    if (removed < 0 || part.object != removed) order_.push_back(static_cast<int>(i));
  }
  nodes_.reserve(2 * order_.size() + 1);
  nodes_.emplace_back();
  if (!order_.empty()) build(0, 0, static_cast<int>(order_.size()));
}

void PosedScene::build(int node, int first, int count) {
  Box box, centres;
  for (int i = first; i < first + count; ++i) {
    const Box& b = boxes_[static_cast<size_t>(order_[static_cast<size_t>(i)])];
    box.include(b), centres.include(b.centre());
  }
  nodes_[static_cast<size_t>(node)].box = box;
  if (count <= 2) {
    nodes_[static_cast<size_t>(node)].first = first, nodes_[static_cast<size_t>(node)].count = count;
    return;
  }
  // The split of least surface area (Goldsmith and Salmon 1987), tried at every position along each axis.
  const auto begin = order_.begin() + first;
  const auto area = [](const Box& b) {
    const Vec3 s = b.high - b.low;
    return s.x * s.y + s.y * s.z + s.z * s.x;
  };
  const auto sort_along = [&](int axis) {
    std::sort(begin, begin + count, [&](int a, int b) {
      const float ca = boxes_[static_cast<size_t>(a)].centre()[axis], cb = boxes_[static_cast<size_t>(b)].centre()[axis];
      return ca < cb || (ca == cb && a < b);
    });
  };
  int best_axis = 0, half = count / 2;
  float best = 1e30f;
  std::vector<float> left(static_cast<size_t>(count));
  for (int axis = 0; axis < 3; ++axis) {
    sort_along(axis);
    Box sweep;
    for (int i = 0; i < count; ++i) sweep.include(boxes_[static_cast<size_t>(begin[i])]), left[static_cast<size_t>(i)] = area(sweep);
    sweep = Box();
    for (int i = count - 1; i > 0; --i) {
      sweep.include(boxes_[static_cast<size_t>(begin[i])]);
      const float cost = left[static_cast<size_t>(i - 1)] * static_cast<float>(i) + area(sweep) * static_cast<float>(count - i);
      if (cost < best) best = cost, best_axis = axis, half = i;
    }
  }
  sort_along(best_axis);
  const int child = static_cast<int>(nodes_.size());
  nodes_.emplace_back(), nodes_.emplace_back();
  nodes_[static_cast<size_t>(node)].first = child;
  build(child, first, half);
  build(child + 1, first + half, count - half);
}

Ray PosedScene::to_local(int part, const Ray& ray) const {
  const Affine& map = posed_[static_cast<size_t>(part)].from_world;
  return {map * ray.origin, map.linear * ray.direction};
}

namespace {

struct RayBoxes {
  Vec3 origin, inverse;
  explicit RayBoxes(const Ray& r) : origin(r.origin) {
    const auto safe = [](float v) { return 1 / (std::fabs(v) < 1e-12f ? 1e-12f : v); };
    inverse = {safe(r.direction.x), safe(r.direction.y), safe(r.direction.z)};
  }
  /// Where the ray enters the box, or 1e30.
  float enter(const Box& b, float low, float high) const {
    const float x0 = (b.low.x - origin.x) * inverse.x, x1 = (b.high.x - origin.x) * inverse.x, y0 = (b.low.y - origin.y) * inverse.y, y1 = (b.high.y - origin.y) * inverse.y;
    const float z0 = (b.low.z - origin.z) * inverse.z, z1 = (b.high.z - origin.z) * inverse.z;
    const float in = std::max(std::max(std::min(x0, x1), std::min(y0, y1)), std::max(std::min(z0, z1), low));
    const float out = std::min(std::min(std::max(x0, x1), std::max(y0, y1)), std::min(std::max(z0, z1), high));
    return in <= out ? in : 1e30f;
  }
};

}  // namespace

Hit PosedScene::trace(const Ray& ray, float low, float high) const {
  Hit best{high, kNothing};
  if (!order_.empty()) {
    const RayBoxes boxes(ray);
    struct Entry { int node; float t; } stack[64];
    int depth = 0;
    stack[depth++] = {0, boxes.enter(nodes_[0].box, low, best.t)};
    while (depth > 0) {
      const Entry entry = stack[--depth];
      if (entry.t >= best.t) continue;
      const Node& node = nodes_[static_cast<size_t>(entry.node)];
      if (node.count > 0) {
        for (int i = 0; i < node.count; ++i) {
          const int part = order_[static_cast<size_t>(node.first + i)];
          if (const auto t = intersect(scene_->parts[static_cast<size_t>(part)].shape, to_local(part, ray), low, best.t)) best = {*t, part};
        }
        continue;
      }
      Entry near{node.first, boxes.enter(nodes_[static_cast<size_t>(node.first)].box, low, best.t)};
      Entry far{node.first + 1, boxes.enter(nodes_[static_cast<size_t>(node.first + 1)].box, low, best.t)};
      if (far.t < near.t) std::swap(near, far);
      if (far.t < best.t) stack[depth++] = far;
      if (near.t < best.t) stack[depth++] = near;
    }
  }
  if (scene_->terrain)
    if (const auto t = scene_->terrain->intersect(ray, low, best.t)) best = {*t, kTerrainPart};
  if (scene_->has_water() && ray.direction.y < -1e-6f) {
    const float t = (scene_->water_level - ray.origin.y) / ray.direction.y;
    if (t > low && t < best.t) best = {t, kWaterPart};
  }
  if (best.part == kNothing) best.t = 1e30f;
  return best;
}

bool PosedScene::blocked(const Ray& ray, float low, float high) const {
  if (!order_.empty()) {
    const RayBoxes boxes(ray);
    int stack[64], depth = 0;
    stack[depth++] = 0;
    while (depth > 0) {
      const Node& node = nodes_[static_cast<size_t>(stack[--depth])];
      if (boxes.enter(node.box, low, high) >= 1e30f) continue;
      if (node.count > 0) {
        for (int i = 0; i < node.count; ++i) {
          const int part = order_[static_cast<size_t>(node.first + i)];
          if (intersects_roughly(scene_->parts[static_cast<size_t>(part)].shape, to_local(part, ray), low, high)) return true;
        }
        continue;
      }
      stack[depth++] = node.first, stack[depth++] = node.first + 1;
    }
  }
  return scene_->terrain && scene_->terrain->intersect(ray, low, high).has_value();
}

Vec3 PosedScene::normal(const Hit& hit, const Vec3& world) const {
  if (hit.part >= 0) {
    const Affine& map = pose(hit.part).from_world;
    return normalised(transposed_times(map.linear, local_normal(scene_->parts[static_cast<size_t>(hit.part)].shape, map * world)));
  }
  if (hit.part == kTerrainPart) {
    const Terrain::Sample s = scene_->terrain->at(world.x, world.z);
    return normalised({-s.slope_x, 1, -s.slope_z});
  }
  return {0, 1, 0};
}

Kind PosedScene::kind(int part) const {
  return part >= 0 ? scene_->parts[static_cast<size_t>(part)].kind : part == kTerrainPart ? Kind::kGround : part == kWaterPart ? Kind::kWater : Kind::kSky;
}

}  // namespace attelier::world
