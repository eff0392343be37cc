// Sine, exponential and power from +, -, *, / and bits alone: the same result on every machine, whatever its mathematics library.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/scenes/world/geometry.h"

namespace attelier::world {

inline constexpr float kPi = 3.14159265358979f;

/// floor for |v| < 2^31, without a call into the mathematics library.
inline float floor_of(float v) {
  const auto whole = static_cast<float>(static_cast<int>(v));
  return v < whole ? whole - 1 : whole;
}

/// Absolute error below 4e-6 for |x| < 1000 (odd polynomial after reduction to a quarter turn).
inline float sine(float x) {
  const float turns = x * (0.5f / kPi), r = turns - floor_of(turns + 0.5f);  // [-0.5, 0.5]
  const float a = std::fabs(r) > 0.25f ? (r > 0 ? 0.5f : -0.5f) - r : r, u = a * (2 * kPi), s = u * u;
  return u * (1 + s * (-1.6666667163e-1f + s * (8.3333337680e-3f + s * (-1.9841270114e-4f + s * 2.7557314297e-6f))));
}
inline float cosine(float x) { return sine(x + 0.5f * kPi); }

/// Relative error below 3e-6; clamped to 2^-126 .. 2^126.
inline float exponential2(float x) {
  const float c = x < -126 ? -126.f : x > 126 ? 126.f : x, whole = floor_of(c), f = c - whole;
  const float p = 1 + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * (0.00961813f + f * (0.00133336f + f * 0.00015469f)))));
  return p * std::bit_cast<float>(static_cast<uint32_t>(static_cast<int>(whole) + 127) << 23);
}
inline float exponential(float x) { return exponential2(x * 1.44269504f); }

/// x > 0. Absolute error below 2e-6 (series of atanh on the mantissa).
inline float logarithm2(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  int exponent = static_cast<int>(bits >> 23) - 127;
  float m = std::bit_cast<float>((bits & 0x7fffffu) | 0x3f800000u);
  if (m > 1.41421356f) m *= 0.5f, ++exponent;
  const float z = (m - 1) / (m + 1), s = z * z;
  return static_cast<float>(exponent) + z * (2.88539008f + s * (0.96179669f + s * (0.57707802f + s * (0.41219858f + s * 0.32059890f))));
}
inline float power(float x, float exponent) { return x <= 0 ? 0 : exponential2(exponent * logarithm2(x)); }

/// IEC 61966-2-1, both ways, per channel in [0, 1].
inline float linear_from_display(float v) { return v <= 0.04045f ? v / 12.92f : power((v + 0.055f) / 1.055f, 2.4f); }
inline float display_from_linear(float v) { return v <= 0.0031308f ? v * 12.92f : 1.055f * power(v, 1 / 2.4f) - 0.055f; }
inline Colour linear_from_display(const Colour& c) { return {linear_from_display(c.x), linear_from_display(c.y), linear_from_display(c.z)}; }
inline Colour display_from_linear(const Colour& c) { return {display_from_linear(c.x), display_from_linear(c.y), display_from_linear(c.z)}; }

inline Mat3 rotation_x(float angle) {
  const float c = cosine(angle), s = sine(angle);
  return {{{1, 0, 0}, {0, c, -s}, {0, s, c}}};
}
inline Mat3 rotation_y(float angle) {
  const float c = cosine(angle), s = sine(angle);
  return {{{c, 0, s}, {0, 1, 0}, {-s, 0, c}}};
}
inline Mat3 rotation_z(float angle) {
  const float c = cosine(angle), s = sine(angle);
  return {{{c, -s, 0}, {s, c, 0}, {0, 0, 1}}};
}
/// Turn about a unit axis (Rodrigues).
inline Mat3 rotation_about(const Vec3& a, float angle) {
  const float c = cosine(angle), s = sine(angle), k = 1 - c;
  return {{{c + a.x * a.x * k, a.x * a.y * k - a.z * s, a.x * a.z * k + a.y * s},
           {a.y * a.x * k + a.z * s, c + a.y * a.y * k, a.y * a.z * k - a.x * s},
           {a.z * a.x * k - a.y * s, a.z * a.y * k + a.x * s, c + a.z * a.z * k}}};
}

}  // namespace attelier::world
