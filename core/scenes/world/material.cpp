#include "core/scenes/world/material.h"

#include "core/scenes/world/functions.h"
#include "core/scenes/world/noise.h"

namespace attelier::world {
namespace {

/// 1 for detail much larger than the footprint, 0 for detail below two pixels.
float visible(float period, float footprint) { return clamp01(1.6f - 3 * footprint / period); }

/// The share of a pixel of width w on the positive side of an edge at distance d.
float edge(float d, float w) { return clamp01(0.5f + d / std::max(w, 1e-5f)); }

/// A band pattern of duty 1/2 along v (period 1), filtered.
float bands(float v, float footprint) {
  const float f = v - floor_of(v), d = std::min(std::fabs(f - 0.25f), std::fabs(f - 1.25f));
  return edge(0.25f - d, footprint) * clamp01(2 - 2 * footprint) + 0.5f * clamp01(2 * footprint - 1);
}

/// Coordinates on the face that the normal points out of.
void face_coordinates(const Vec3& p, const Vec3& n, float& u, float& v) {
  const Vec3 a = absolute(n);
  if (a.y > a.x && a.y > a.z) u = p.x, v = p.z;
  else if (a.x > a.z) u = p.z, v = p.y;
  else u = p.x, v = p.y;
}

struct Cell {
  float joint;   // 1 inside the brick, 0 in the joint
  float random;  // of the brick
  float du, dv;  // slope of its rim
};
/// Rows of cells of size (width, 1), every other row shifted by half.
Cell cells(float u, float v, float width, float joint, float footprint, uint32_t seed) {
  const float row = floor_of(v), x = u / width + 0.5f * static_cast<float>(static_cast<int>(row) & 1), column = floor_of(x);
  const float fx = (x - column - 0.5f) * width, fy = v - row - 0.5f;
  const float dx = 0.5f * width - std::fabs(fx) - joint, dy = 0.5f - std::fabs(fy) - joint;
  const float inside = std::min(edge(dx, footprint + 0.03f), edge(dy, footprint + 0.03f)), fade = clamp01(1.5f - 2 * footprint);
  return {mix(1 - 3 * joint, inside, fade), cell_random(static_cast<int>(column), static_cast<int>(row), 0, seed), dx < 0.06f ? (fx > 0 ? -fade : fade) : 0,
          dy < 0.06f ? (fy > 0 ? -fade : fade) : 0};
}

/// Nearest of jittered points in the plane: distance to it and its cell's number in [0, 1).
std::pair<float, float> nearest_point(float u, float v, float jitter, uint32_t seed) {
  const int cx = static_cast<int>(floor_of(u)), cy = static_cast<int>(floor_of(v));
  float best = 9, id = 0;
  for (int dy = -1; dy <= 1; ++dy)
    for (int dx = -1; dx <= 1; ++dx) {
      const int x = cx + dx, y = cy + dy;
      const float px = static_cast<float>(x) + 0.5f + jitter * (cell_random(x, y, 1, seed) - 0.5f), py = static_cast<float>(y) + 0.5f + jitter * (cell_random(x, y, 2, seed) - 0.5f);
      const float d = (u - px) * (u - px) + (v - py) * (v - py);
      if (d < best) best = d, id = cell_random(x, y, 3, seed);
    }
  return {std::sqrt(best), id};
}

}  // namespace

SurfacePoint surface_at(const Material& m, const Vec3& p, const Vec3& normal, float footprint) {
  const Vec3 q = p / m.scale;
  const float w = footprint / m.scale, see = visible(1, w);
  SurfacePoint out{m.base, {}};
  const auto blotches = [&](float amount, int octaves, float frequency) {
    const float fade = visible(1 / frequency, w);
    if (fade <= 0) return;
    const NoiseSample n = fractal_noise(q * frequency, octaves);
    out.albedo = mix(m.base, m.second, clamp01(0.5f + amount * n.value) * fade + 0.5f * (1 - fade));
    out.relief = n.gradient * (m.bump * frequency * fade);
  };
  const auto masonry = [&](float width, float joint, bool tiles) {
    float u, v;
    face_coordinates(q, normal, u, v);
    const Cell cell = tiles ? cells(u, 2 * floor_of(v) + (v - floor_of(v)), 1, joint, w, 5) : cells(u, v, width, joint, w, 5);
    out.albedo = mix(m.second, m.base * (0.8f + 0.4f * mix(0.5f, cell.random, see)), cell.joint);
    const Vec3 a = absolute(normal);
    out.relief = (a.y > a.x && a.y > a.z ? Vec3{cell.du, 0, cell.dv} : a.x > a.z ? Vec3{0, cell.dv, cell.du} : Vec3{cell.du, cell.dv, 0}) * m.bump;
  };
  switch (m.pattern) {
    case Pattern::kPlain: break;
    case Pattern::kMottled: blotches(0.9f, 2, 1); break;
    case Pattern::kStripes: out.albedo = mix(m.base, m.second, bands(q.y, w)); break;
    case Pattern::kRings: out.albedo = mix(m.base, m.second, bands(q.x, w)); break;
    case Pattern::kChecks: {
      float u, v;
      face_coordinates(q, normal, u, v);
      const float a = bands(u, w), b = bands(v, w);
      out.albedo = mix(m.base, m.second, a * (1 - b) + b * (1 - a));
      break;
    }
    case Pattern::kBricks: masonry(2.2f, 0.06f, false); break;
    case Pattern::kTiles: masonry(1, 0.03f, true); break;
    case Pattern::kShingles: masonry(0.8f, 0.05f, false); break;
    case Pattern::kPlanks: {
      float u, v;
      face_coordinates(q, normal, u, v);
      const Cell cell = cells(v * 0.9f, u, 6, 0.02f, w, 7);
      const NoiseSample grain = noise({q.x * 9, q.y * 2, q.z * 1.3f});
      out.albedo = mix(m.second, m.base * (0.78f + 0.4f * mix(0.5f, cell.random, see) + 0.12f * grain.value * visible(0.1f, w)), 0.4f + 0.6f * cell.joint);
      break;
    }
    case Pattern::kSpots: {
      float u, v;
      face_coordinates(q, normal, u, v);
      const auto [distance, id] = nearest_point(u, v, 0.5f, 11);
      out.albedo = mix(m.base, m.second, edge(0.2f + 0.12f * id - distance, w + 0.02f));
      break;
    }
    case Pattern::kWood: {
      const NoiseSample warp = noise(q * 0.7f);
      const float ring = sine(14 * (q.x + 0.3f * q.z) + 2.5f * warp.value + 0.6f * noise_value({q.x * 30, q.y * 2, q.z * 30}) * visible(0.05f, w));
      out.albedo = mix(m.base, m.second, 0.5f + 0.5f * ring * visible(0.4f, w));
      break;
    }
    case Pattern::kMarble: {
      const NoiseSample warp = fractal_noise(q, 3);
      out.albedo = mix(m.base, m.second, power(1 - std::fabs(sine(3 * q.x + 2 * q.y + 5 * warp.value)), 3));
      break;
    }
    case Pattern::kLeaves: {
      const float fade = visible(0.5f, w), fine = visible(0.15f, w);
      const NoiseSample large = noise(q * 2), small = fine > 0 ? noise(q * 5.3f, 3) : NoiseSample{};
      out.albedo = mix(m.base, m.second, clamp01(0.45f + 0.5f * large.value * fade + 0.4f * small.value * fine));
      out.relief = large.gradient * (2 * m.bump * fade) + small.gradient * (3.2f * m.bump * fine);
      break;
    }
    case Pattern::kFur: {
      const NoiseSample n = noise({q.x * 3, q.y * 1.2f, q.z * 3}), fine = noise({q.x * 11, q.y * 5, q.z * 11}, 2);
      out.albedo = mix(m.base, m.second, clamp01(0.3f + 0.35f * n.value * visible(0.3f, w) + 0.3f * fine.value * visible(0.1f, w)));
      out.relief = fine.gradient * (m.bump * visible(0.1f, w));
      break;
    }
    case Pattern::kGrass: {
      // Meadow: broad patches, tufts, and blades where a pixel is fine enough to see them.
      const float broad = noise_value({q.x * 0.12f, 0, q.z * 0.12f}, 1), middle = noise_value({q.x * 0.9f, 0, q.z * 0.9f}, 2) * visible(1, w);
      const float fade = visible(0.12f, w);
      const NoiseSample blades = fade > 0 ? noise({q.x * 9, 0, q.z * 7}, 3) : NoiseSample{};
      out.albedo = mix(m.base, m.second, clamp01(0.45f + 0.3f * broad + 0.22f * middle + 0.3f * blades.value * fade));
      out.relief = blades.gradient * (m.bump * fade);
      break;
    }
    case Pattern::kSand: {
      const float broad = noise_value({q.x * 0.2f, 0, q.z * 0.2f}, 1), fade = visible(0.35f, w), warp = noise_value({q.x * 0.5f, 0, q.z * 0.5f}, 4);
      const float phase = 16 * (q.z + 0.25f * q.x + 0.5f * warp);
      out.albedo = mix(m.base, m.second, clamp01(0.5f + 0.4f * broad + 0.12f * noise_value({q.x * 14, 0, q.z * 14}, 6) * visible(0.07f, w)));
      out.relief = Vec3{0.25f, 0, 1} * (m.bump * fade * cosine(phase));
      break;
    }
    case Pattern::kSnow: {
      const float fade = visible(0.8f, w);
      const NoiseSample n = noise({q.x * 1.1f, 0, q.z * 1.1f}, 1);
      out.albedo = mix(m.base, m.second, clamp01(0.3f + 0.3f * n.value * fade));
      out.relief = n.gradient * (m.bump * fade);
      break;
    }
    case Pattern::kRock: {
      const NoiseSample n = fractal_noise({q.x, q.y * 2.2f, q.z}, 3);
      out.albedo = mix(m.base, m.second, clamp01(0.5f + 0.9f * n.value * visible(0.7f, w)));
      out.relief = n.gradient * (m.bump * visible(0.7f, w));
      break;
    }
    case Pattern::kCobbles: {
      const auto [distance, id] = nearest_point(q.x, q.z, 0.6f, 13);
      out.albedo = mix(m.second, m.base * (0.75f + 0.5f * mix(0.5f, id, see)), mix(0.85f, clamp01((0.62f - distance) * 5), see));
      break;
    }
    case Pattern::kWeave: {
      float u, v;
      face_coordinates(q, normal, u, v);
      const float a = sine(2 * kPi * u), b = sine(2 * kPi * v);
      out.albedo = mix(m.base, m.second, 0.5f + 0.5f * a * b * see);
      break;
    }
    case Pattern::kSoil: {
      blotches(0.8f, 3, 0.8f);
      break;
    }
  }
  return out;
}

}  // namespace attelier::world
