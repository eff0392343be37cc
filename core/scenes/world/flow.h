// Exact optical flow between two moments and two cameras, from the surfaces' own motion; visibility by looking again, not by comparing flows.
#pragma once

#include <cstdint>
#include <vector>

#include "core/scenes/world/render.h"

namespace attelier::world {

struct Flow {
  int width = 0, height = 0;
  std::vector<float> xy;           // x 2: where the pixel's centre went, in pixels, right and down positive
  std::vector<uint8_t> occluded;   // 1: what the pixel shows is hidden or outside in the other picture
};

/// From picture `from` (rendered from `here` by `camera`) to the picture of `there` by `other`. Both must pose the same scene. The sky is at infinity:
/// only turns of the camera move it. Works for either projection; 360-degree flow takes the short way round. Any thread count gives the same bits.
Flow flow_between(const PosedScene& here, const Camera& camera, const Frame& from, const PosedScene& there, const Camera& other, int threads = 1);

/// The other picture pulled back along the flow, bilinear, x 3; pixels that leave the picture are 0.
std::vector<float> warp_back(const std::vector<float>& rgb, int width, int height, const Flow& flow);

/// The world point that pixel (x, y) shows; its depth must not be 0.
Vec3 world_point(const Camera& camera, const Frame& frame, int x, int y);

}  // namespace attelier::world
