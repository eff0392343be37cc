// Points, linear maps, rays and boxes of the world. Metres; x right, y up, z towards the viewer of a scene as first composed (right-handed).
#pragma once

#include <algorithm>
#include <cmath>

namespace attelier::world {

struct Vec3 {
  float x = 0, y = 0, z = 0;

  float operator[](int axis) const { return axis == 0 ? x : axis == 1 ? y : z; }
};

inline Vec3 operator+(const Vec3& a, const Vec3& b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vec3 operator-(const Vec3& a, const Vec3& b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Vec3 operator-(const Vec3& a) { return {-a.x, -a.y, -a.z}; }
inline Vec3 operator*(const Vec3& a, const Vec3& b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }
inline Vec3 operator*(const Vec3& a, float s) { return {a.x * s, a.y * s, a.z * s}; }
inline Vec3 operator*(float s, const Vec3& a) { return a * s; }
inline Vec3 operator/(const Vec3& a, float s) { return a * (1 / s); }
inline Vec3& operator+=(Vec3& a, const Vec3& b) { return a = a + b; }
inline float dot(const Vec3& a, const Vec3& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Vec3 cross(const Vec3& a, const Vec3& b) { return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x}; }
inline float length(const Vec3& a) { return std::sqrt(dot(a, a)); }
inline Vec3 normalised(const Vec3& a) { return a * (1 / std::max(1e-20f, length(a))); }
inline Vec3 mix(const Vec3& a, const Vec3& b, float t) { return a + (b - a) * t; }
inline float mix(float a, float b, float t) { return a + (b - a) * t; }
inline Vec3 minimum(const Vec3& a, const Vec3& b) { return {std::min(a.x, b.x), std::min(a.y, b.y), std::min(a.z, b.z)}; }
inline Vec3 maximum(const Vec3& a, const Vec3& b) { return {std::max(a.x, b.x), std::max(a.y, b.y), std::max(a.z, b.z)}; }
inline Vec3 absolute(const Vec3& a) { return {std::fabs(a.x), std::fabs(a.y), std::fabs(a.z)}; }
inline float clamp01(float v) { return v < 0 ? 0 : v > 1 ? 1 : v; }
/// 0 below a, 1 above b, smooth between.
inline float smooth_step(float a, float b, float v) {
  const float t = clamp01((v - a) / (b - a));
  return t * t * (3 - 2 * t);
}

/// Linear light or display colour, red, green, blue.
using Colour = Vec3;
inline float luminance(const Colour& c) { return 0.2126f * c.x + 0.7152f * c.y + 0.0722f * c.z; }

struct Mat3 {
  Vec3 row[3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
};

inline Vec3 operator*(const Mat3& m, const Vec3& v) { return {dot(m.row[0], v), dot(m.row[1], v), dot(m.row[2], v)}; }
/// Transposed product: takes covectors (normals, gradients) through the inverse map.
inline Vec3 transposed_times(const Mat3& m, const Vec3& v) { return m.row[0] * v.x + m.row[1] * v.y + m.row[2] * v.z; }
inline Mat3 transposed(const Mat3& m) {
  return {{{m.row[0].x, m.row[1].x, m.row[2].x}, {m.row[0].y, m.row[1].y, m.row[2].y}, {m.row[0].z, m.row[1].z, m.row[2].z}}};
}
inline Mat3 operator*(const Mat3& a, const Mat3& b) {
  Mat3 out;
  for (int i = 0; i < 3; ++i) out.row[i] = transposed_times(b, a.row[i]);
  return out;
}
/// The map whose columns are the images of the axes.
inline Mat3 from_columns(const Vec3& x, const Vec3& y, const Vec3& z) { return transposed(Mat3{{x, y, z}}); }
inline Mat3 scaling(const Vec3& s) { return {{{s.x, 0, 0}, {0, s.y, 0}, {0, 0, s.z}}}; }
inline Mat3 inverse(const Mat3& m) {
  const Vec3 a = cross(m.row[1], m.row[2]), b = cross(m.row[2], m.row[0]), c = cross(m.row[0], m.row[1]);
  const float scale = 1 / dot(m.row[0], a);
  return from_columns(a * scale, b * scale, c * scale);
}

struct Affine {
  Mat3 linear;
  Vec3 offset;
};

inline Vec3 operator*(const Affine& m, const Vec3& p) { return m.linear * p + m.offset; }
inline Affine operator*(const Affine& a, const Affine& b) { return {a.linear * b.linear, a * b.offset}; }
inline Affine inverse(const Affine& m) {
  const Mat3 linear = inverse(m.linear);
  return {linear, -(linear * m.offset)};
}

/// Points origin + t direction; the direction has unit length in world space, so t is a distance in metres there.
struct Ray {
  Vec3 origin, direction;

  Vec3 at(float t) const { return origin + direction * t; }
};

struct Box {
  Vec3 low{1e30f, 1e30f, 1e30f}, high{-1e30f, -1e30f, -1e30f};

  void include(const Vec3& p) { low = minimum(low, p), high = maximum(high, p); }
  void include(const Box& b) { low = minimum(low, b.low), high = maximum(high, b.high); }
  Vec3 centre() const { return (low + high) * 0.5f; }
};

}  // namespace attelier::world
