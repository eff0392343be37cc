// The lines that a scene's truth draws: what ControlNets for edges are told, and what a kept structure is measured against.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/scenes/world/render.h"

namespace attelier::world {

/// The maps of a Frame that lines are drawn from, row major; normals in any axes.
struct TruthMaps {
  int width = 0, height = 0;
  std::span<const float> depth, normal;
  std::span<const uint16_t> instance;
  std::span<const uint8_t> kind;
};
inline TruthMaps maps_of(const Frame& frame) { return {frame.width, frame.height, frame.depth, frame.normal, frame.instance, frame.kind}; }

/// 1 where the object, or the surroundings' class, changes to the right or below, and inside things where the depth jumps or the surface bends; else 0.
/// Surfaces of the surroundings bend and recede everywhere, so they have no lines of their own.
std::vector<uint8_t> outlines(const TruthMaps& maps);

}  // namespace attelier::world
