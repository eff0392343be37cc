// Painterly renderings of a picture. They know the truth behind it (depth, normals, parts, objects), so that lines follow silhouettes and creases,
// strokes follow surfaces, and tiles and washes keep within their objects.
#pragma once

#include <cstdint>
#include <vector>

#include "core/scenes/world/render.h"

namespace attelier::world {

/// The frame (with colours) in the manner of `look`, x 3 in [0, 1]; kPlain returns its colours. Widths of strokes scale with the picture.
/// `seed` varies the hand, never the scene. The same bits on every machine.
std::vector<float> paint(const Frame& frame, const Camera& camera, Look look, uint64_t seed);

/// What the painters share.
class Motif {
 public:
  Motif(const Frame& frame, const Camera& camera, uint64_t seed);

  int width, height;
  float unit;                    // pixels that one pixel of a 256 picture is
  const Frame& frame;
  const Camera& camera;
  uint64_t seed;
  std::vector<int> region;       // the object, or the class of the surroundings
  std::vector<float> luma;       // display luminance

  size_t index(int x, int y) const { return frame.index(std::clamp(x, 0, width - 1), std::clamp(y, 0, height - 1)); }
  Colour colour(size_t i) const { return {frame.rgb[3 * i], frame.rgb[3 * i + 1], frame.rgb[3 * i + 2]}; }
  /// The normal in the camera's axes (x right, y down, z away); 0 for the sky.
  Vec3 view_normal(size_t i) const;
  /// A drawn line's darkness per pixel: silhouettes of objects 1, part borders and creases less. `thickness` in units; `inner` scales the lesser lines.
  std::vector<float> lines(float thickness, float inner) const;
  /// Colours averaged over a square of `radius` pixels, within the region.
  std::vector<float> smoothed(int radius) const;
  /// A field in [-1, 1] over the paper, `size` units per period.
  float paper(float x, float y, float size, uint32_t stream) const;
};

/// One painter each; the result as from paint().
std::vector<float> paint_flat(const Motif& motif);
std::vector<float> paint_outline(const Motif& motif);
std::vector<float> paint_watercolour(const Motif& motif);
std::vector<float> paint_hatching(const Motif& motif);
std::vector<float> paint_stippling(const Motif& motif);
std::vector<float> paint_oil(const Motif& motif);
std::vector<float> paint_mosaic(const Motif& motif);
std::vector<float> paint_pixel_art(const Motif& motif);
std::vector<float> paint_ink(const Motif& motif);

}  // namespace attelier::world
