#include "core/scenes/world/outlines.h"

#include <algorithm>
#include <cmath>

namespace attelier::world {
namespace {

constexpr float kJump = 0.06f;    // of the nearer one's depth
constexpr float kCrease = 0.55f;  // cosine of the angle between normals

}  // namespace

std::vector<uint8_t> outlines(const TruthMaps& maps) {
  const auto [width, height, depth, normal, instance, kind] = maps;
  const auto parted = [&, depth = depth, normal = normal, instance = instance, kind = kind](size_t a, size_t b) {
    if (instance[a] != instance[b]) return true;
    if (instance[a] == 0) return kind[a] != kind[b];
    const float cosine = normal[3 * a] * normal[3 * b] + normal[3 * a + 1] * normal[3 * b + 1] + normal[3 * a + 2] * normal[3 * b + 2];
    return std::abs(depth[a] - depth[b]) > kJump * std::min(depth[a], depth[b]) || cosine < kCrease;
  };
  std::vector<uint8_t> lines(depth.size());
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const size_t i = static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x);
      lines[i] = (x + 1 < width && parted(i, i + 1)) || (y + 1 < height && parted(i, i + static_cast<size_t>(width)));
    }
  return lines;
}

}  // namespace attelier::world
