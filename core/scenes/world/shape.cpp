#include "core/scenes/world/shape.h"

#include "core/scenes/world/functions.h"

namespace attelier::world {
namespace {

using Hit = std::optional<float>;

Hit within(float t, float low, float high) { return t > low && t < high ? Hit(t) : std::nullopt; }

Hit ball(const Ray& r, float low, float high) {
  // The nearest point of the line first: no cancellation when the ball is small and far.
  const float a = dot(r.direction, r.direction), tc = -dot(r.origin, r.direction) / a;
  const Vec3 nearest = r.at(tc);
  const float rest = 1 - dot(nearest, nearest);
  return rest <= 0 ? std::nullopt : within(tc - std::sqrt(rest / a), low, high);
}

/// Clips [enter, leave] to the half space dot(n, p) <= d.
bool clip(const Ray& r, const Vec3& n, float d, float& enter, float& leave) {
  const float speed = dot(n, r.direction), gap = d - dot(n, r.origin);
  if (std::fabs(speed) < 1e-12f) return gap >= 0;
  const float t = gap / speed;
  if (speed < 0) enter = std::max(enter, t);
  else leave = std::min(leave, t);
  return enter <= leave;
}

bool clip_box(const Ray& r, const Box& box, float& enter, float& leave) {
  for (int axis = 0; axis < 3; ++axis) {
    const float inverse = 1 / (std::fabs(r.direction[axis]) < 1e-12f ? 1e-12f : r.direction[axis]);
    const float a = (box.low[axis] - r.origin[axis]) * inverse, b = (box.high[axis] - r.origin[axis]) * inverse;
    enter = std::max(enter, std::min(a, b)), leave = std::min(leave, std::max(a, b));
  }
  return enter <= leave;
}

Hit block(const Ray& r, float low, float high) {
  float enter = -1e30f, leave = 1e30f;
  return clip_box(r, {{-1, -1, -1}, {1, 1, 1}}, enter, leave) ? within(enter, low, high) : std::nullopt;
}

Hit prism(const Ray& r, float low, float high) {
  float enter = -1e30f, leave = 1e30f;
  const bool inside = clip(r, {0, -1, 0}, 1, enter, leave) && clip(r, {0, 0, 1}, 1, enter, leave) && clip(r, {0, 0, -1}, 1, enter, leave) &&
                      clip(r, {2, 1, 0}, 1, enter, leave) && clip(r, {-2, 1, 0}, 1, enter, leave);
  return inside ? within(enter, low, high) : std::nullopt;
}

Hit frustum(const Ray& r, float top, float low, float high) {
  // Radius m + k y. Side: x^2 + z^2 = (m + k y)^2; caps: y = -1 and y = 1.
  const float m = 0.5f * (1 + top), k = 0.5f * (top - 1), best_none = high;
  float best = best_none;
  const Vec3 &o = r.origin, &d = r.direction;
  const float radius_o = m + k * o.y, slope = k * d.y;
  const float a = d.x * d.x + d.z * d.z - slope * slope, half_b = o.x * d.x + o.z * d.z - radius_o * slope, c = o.x * o.x + o.z * o.z - radius_o * radius_o;
  const auto try_side = [&](float t) {
    const float y = o.y + t * d.y;
    if (t > low && t < best && y >= -1 && y <= 1 && m + k * y >= 0) {
      // Entering only: against the outward gradient.
      const Vec3 p = r.at(t);
      if (p.x * d.x + p.z * d.z - (m + k * y) * k * d.y < 0) best = t;
    }
  };
  if (std::fabs(a) > 1e-9f) {
    const float discriminant = half_b * half_b - a * c;
    if (discriminant > 0) {
      const float root = std::sqrt(discriminant), q = half_b > 0 ? -half_b - root : -half_b + root;
      try_side(q / a);
      if (q != 0) try_side(c / q);
    }
  } else if (half_b != 0) {
    try_side(-0.5f * c / half_b);
  }
  if (d.y != 0) {
    const float y = d.y > 0 ? -1.f : 1.f, t = (y - o.y) / d.y, x = o.x + t * d.x, z = o.z + t * d.z, radius = d.y > 0 ? 1 : top;
    if (t > low && t < best && x * x + z * z <= radius * radius) best = t;
  }
  return best < best_none ? Hit(best) : std::nullopt;
}

/// Quadratic B-spline with doubled end knots' effect: the curve starts and ends at the outer control points.
struct Radius {
  float value, slope;
};
Radius lathe_radius(const std::array<float, 6>& control, float y) {
  const float u = std::clamp(y, 0.f, 1.f) * 4;
  const int i = std::min(3, static_cast<int>(u));
  const float t = u - static_cast<float>(i);
  // End segments of a clamped uniform spline, written as the ordinary ones with an extrapolated outer point.
  const float p0 = i == 0 ? 2 * control[0] - control[1] : control[static_cast<size_t>(i)];
  const float p1 = control[static_cast<size_t>(i + 1)];
  const float p2 = i == 3 ? 2 * control[5] - control[4] : control[static_cast<size_t>(i + 2)];
  const float w0 = 0.5f * (1 - t) * (1 - t), w2 = 0.5f * t * t, w1 = 1 - w0 - w2;
  return {p0 * w0 + p1 * w1 + p2 * w2, 4 * ((t - 1) * p0 + (1 - 2 * t) * p1 + t * p2)};
}

float lump_waves(const Shape& s, const Vec3& p) {
  const float f = s.b;
  return sine(f * p.x + s.c) * sine(f * p.y + 1.7f * s.c + 1) * sine(f * p.z + 2.3f * s.c + 2) + 0.5f * sine(2.1f * f * (p.x + 0.4f * p.y) + s.c) * sine(2.3f * f * (p.z - 0.3f * p.y) + 3.1f * s.c);
}

/// Signed distance or a lower bound of its size.
template <ShapeKind kKind>
float implicit(const Shape& s, const Vec3& p) {
  switch (kKind) {
    case ShapeKind::kRoundedBlock: {
      const Vec3 q = absolute(p) - s.size;
      return length(maximum(q, {0, 0, 0})) + std::min(0.f, std::max(q.x, std::max(q.y, q.z))) - s.a;
    }
    case ShapeKind::kRing: {
      const float q = std::sqrt(p.x * p.x + p.z * p.z) - 1;
      return std::sqrt(q * q + p.y * p.y) - s.a;
    }
    case ShapeKind::kLathe: {
      const float side = (std::sqrt(p.x * p.x + p.z * p.z) - lathe_radius(s.radii, p.y).value) / s.slope;
      return std::max(side, std::max(p.y - 1, -p.y));
    }
    default: {
      const float radius = length(p);
      if (radius < 1e-6f) return -0.5f;
      // Far outside the waves do not matter.
      const float above = radius - 1 - 1.5f * s.a;
      if (above > 0.1f) return above;
      return (radius - 1 - s.a * lump_waves(s, p / radius)) / (1 + 1.6f * s.a * s.b);
    }
  }
}

/// Clips to the ball of `radius` around the origin.
bool clip_ball(const Ray& r, float radius, float& enter, float& leave) {
  const float a = dot(r.direction, r.direction), tc = -dot(r.origin, r.direction) / a;
  const Vec3 nearest = r.at(tc);
  const float rest = radius * radius - dot(nearest, nearest);
  if (rest <= 0) return false;
  const float half = std::sqrt(rest / a);
  enter = std::max(enter, tc - half), leave = std::min(leave, tc + half);
  return enter <= leave;
}

template <ShapeKind kKind>
Hit march(const Shape& s, const Ray& r, float low, float high) {
  float enter = low, leave = high;
  if (kKind == ShapeKind::kLump ? !clip_ball(r, 1 + 1.5f * s.a, enter, leave) : !clip_box(r, local_bounds(s), enter, leave)) return std::nullopt;
  const float speed = 1 / length(r.direction);
  float t = enter, f = implicit<kKind>(s, r.at(t)), before = t, f_before = f;
  if (f <= 0 && enter <= low) return std::nullopt;  // starts inside
  for (int i = 0; i < 80 && f > 1e-4f; ++i) {
    before = t, f_before = f;
    t += std::max(f, 2e-4f) * speed;
    if (t > leave) return std::nullopt;
    f = implicit<kKind>(s, r.at(t));
  }
  if (f > 2e-3f) return std::nullopt;
  // Polish to the last bits by the secant method (at most as far as the march still would).
  for (int i = 0; i < 3 && f != f_before; ++i) {
    const float step = std::clamp(-f * (t - before) / (f - f_before), -4e-4f * speed, 4e-4f * speed);
    before = t, f_before = f;
    t += step;
    f = implicit<kKind>(s, r.at(t));
  }
  return within(t, low, high);
}

}  // namespace

Shape lathe(const std::array<float, 6>& radii) {
  Shape shape{.kind = ShapeKind::kLathe, .radii = radii};
  float steepest = 0;
  for (int i = 0; i <= 64; ++i) steepest = std::max(steepest, std::fabs(lathe_radius(radii, static_cast<float>(i) / 64).slope));
  shape.slope = std::sqrt(1 + steepest * steepest) * 1.02f;
  return shape;
}

Box local_bounds(const Shape& s) {
  switch (s.kind) {
    case ShapeKind::kRoundedBlock: {
      const Vec3 reach = s.size + Vec3{s.a, s.a, s.a};
      return {-reach, reach};
    }
    case ShapeKind::kRing: return {{-1 - s.a, -s.a, -1 - s.a}, {1 + s.a, s.a, 1 + s.a}};
    case ShapeKind::kLathe: {
      const float reach = *std::max_element(s.radii.begin(), s.radii.end());
      return {{-reach, 0, -reach}, {reach, 1, reach}};
    }
    case ShapeKind::kLump: {
      const float reach = 1 + 1.5f * s.a;
      return {{-reach, -reach, -reach}, {reach, reach, reach}};
    }
    case ShapeKind::kFrustum: {
      const float reach = std::max(1.f, s.a);
      return {{-reach, -1, -reach}, {reach, 1, reach}};
    }
    default: return {{-1, -1, -1}, {1, 1, 1}};
  }
}

std::optional<float> intersect(const Shape& s, const Ray& local, float low, float high) {
  switch (s.kind) {
    case ShapeKind::kBall: return ball(local, low, high);
    case ShapeKind::kBlock: return block(local, low, high);
    case ShapeKind::kFrustum: return frustum(local, s.a, low, high);
    case ShapeKind::kPrism: return prism(local, low, high);
    case ShapeKind::kRoundedBlock: return march<ShapeKind::kRoundedBlock>(s, local, low, high);
    case ShapeKind::kRing: return march<ShapeKind::kRing>(s, local, low, high);
    case ShapeKind::kLathe: return march<ShapeKind::kLathe>(s, local, low, high);
    default: return march<ShapeKind::kLump>(s, local, low, high);
  }
}

bool intersects_roughly(const Shape& s, const Ray& local, float low, float high) {
  return (s.kind == ShapeKind::kLump ? ball(local, low, high) : intersect(s, local, low, high)).has_value();
}

Vec3 local_normal(const Shape& s, const Vec3& p) {
  switch (s.kind) {
    case ShapeKind::kBall: return p;
    case ShapeKind::kBlock: {
      const Vec3 q = absolute(p);
      if (q.x >= q.y && q.x >= q.z) return {p.x > 0 ? 1.f : -1.f, 0, 0};
      return q.y >= q.z ? Vec3{0, p.y > 0 ? 1.f : -1.f, 0} : Vec3{0, 0, p.z > 0 ? 1.f : -1.f};
    }
    case ShapeKind::kFrustum: {
      const float k = 0.5f * (s.a - 1), radius = 0.5f * (1 + s.a) + k * p.y, side = std::fabs(std::sqrt(p.x * p.x + p.z * p.z) - radius);
      if (1 - std::fabs(p.y) < side) return {0, p.y > 0 ? 1.f : -1.f, 0};
      return {p.x, -k * radius, p.z};
    }
    case ShapeKind::kPrism: {
      const float left = std::fabs(-2 * p.x + p.y - 1), right = std::fabs(2 * p.x + p.y - 1), low = std::fabs(p.y + 1) * 2, ends = (1 - std::fabs(p.z)) * 2;
      const float least = std::min(std::min(left, right), std::min(low, ends));
      if (least == ends) return {0, 0, p.z > 0 ? 1.f : -1.f};
      if (least == low) return {0, -1, 0};
      return least == left ? Vec3{-2, 1, 0} : Vec3{2, 1, 0};
    }
    case ShapeKind::kRoundedBlock: {
      const Vec3 q = absolute(p) - s.size, out = maximum(q, {0, 0, 0});
      return {p.x < 0 ? -out.x : out.x, p.y < 0 ? -out.y : out.y, p.z < 0 ? -out.z : out.z};
    }
    case ShapeKind::kRing: {
      const float radius = std::max(1e-6f, std::sqrt(p.x * p.x + p.z * p.z)), q = (radius - 1) / radius;
      return {p.x * q, p.y, p.z * q};
    }
    case ShapeKind::kLathe: {
      const float radius = std::max(1e-6f, std::sqrt(p.x * p.x + p.z * p.z));
      const Radius r = lathe_radius(s.radii, p.y);
      const float side = std::fabs(radius - r.value) / s.slope;
      if (std::min(p.y, 1 - p.y) < side) return {0, p.y > 0.5f ? 1.f : -1.f, 0};
      return {p.x / radius, -r.slope, p.z / radius};
    }
    default: {
      constexpr float step = 1e-3f;
      const auto at = [&](float x, float y, float z) { return implicit<ShapeKind::kLump>(s, p + Vec3{x, y, z}); };
      const float f = at(0, 0, 0);
      return {at(step, 0, 0) - f, at(0, step, 0) - f, at(0, 0, step) - f};
    }
  }
}

}  // namespace attelier::world
