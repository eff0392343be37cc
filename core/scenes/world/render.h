// Pictures of a posed scene, with the truth of every pixel's centre.
#pragma once

#include <cstdint>
#include <vector>

#include "core/scenes/world/camera.h"
#include "core/scenes/world/posed_scene.h"
#include "core/scenes/world/shading.h"

namespace attelier::world {

struct RenderSettings {
  Lighting lighting = Lighting::kFull;
  /// Rays per pixel. 1: one for the truth and the colour, two more where the picture has an edge (the training setting). From 4 on every pixel gets
  /// that many, with soft shadows and traced ambient occlusion (the documentation setting: 16 to 64).
  int samples = 1;
  bool shadows = true;
  bool smooth_edges = true;  // at samples 1: the two more
  bool occlusion = true;     // at samples 1: ambient occlusion from the depth (full lighting only)
  bool colour = true;        // false: the truth alone
  int threads = 1;           // never changes a bit of the result
};

/// All of width * height, row major. Truth is exact at the pixel's centre; colours average over the pixel.
struct Frame {
  int width = 0, height = 0;
  std::vector<float> rgb;           // x 3, display colour (sRGB) in [0, 1]
  std::vector<float> depth;         // metres: z for perspective, distance for 360 degrees; 0 where there is only sky
  std::vector<float> normal;        // x 3, unit, world space, of the geometry (no relief); 0 for the sky
  std::vector<int32_t> part;        // as Hit::part
  std::vector<uint16_t> instance;   // 0 surroundings, else 1 + index of the object
  std::vector<uint8_t> kind;        // Kind

  size_t index(int x, int y) const { return static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x); }
  size_t pixels() const { return static_cast<size_t>(width) * static_cast<size_t>(height); }
};

Frame render(const PosedScene& posed, const Camera& camera, const RenderSettings& settings = {});

/// Linear light to display colour: exposure, a filmic shoulder (K. Narkowicz's fit of ACES, 2015) and sRGB.
Colour display_colour(const Colour& light, float exposure);

/// The display colour along one ray, one sample: what a picture shows at any sub-pixel place.
Colour colour_along(const PosedScene& posed, const Camera& camera, float x, float y, const RenderSettings& settings);

}  // namespace attelier::world
