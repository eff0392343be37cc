// Painting on masks: strokes, shapes, and the mask as a whole. No window; every function costs what the pixels it touches cost.
#pragma once

#include <utility>
#include <vector>

#include "app/session/instance_map.h"
#include "app/session/mask.h"

namespace attelier {

/// A point in pixels; the middle of the first pixel is at 0.5, 0.5.
struct MaskPoint {
  double x = 0, y = 0;
};

enum class MaskInk { kPaint, kErase };

struct Brush {
  double radius = 32;     // pixels
  double hardness = 0.8;  // share of the radius that is covered whole; from there it fades to nothing
  double flow = 1;        // what one stroke lays down where it covers whole
  MaskInk ink = MaskInk::kPaint;
};
constexpr double kSmallestBrush = 0.5, kLargestBrush = 1000;

/// One stroke on a mask. The disc is swept along the way, so that there are no gaps however far apart the points are, and a stroke over itself adds
/// nothing: soft edges stay as soft as the brush. Points may lie outside the mask.
class Stroke {
 public:
  Stroke(Mask before, const Brush& brush);
  /// Paints from the last point to this one; the first one is a dab. Moves too short to be seen wait for the next point or finish().
  void to(MaskPoint point);
  /// Paints what waits.
  void finish();
  const Mask& before() const { return before_; }
  const Mask& mask() const { return mask_; }

 private:
  void paint_to(MaskPoint point);
  void sweep(MaskPoint from, MaskPoint to);

  Mask before_, cover_, mask_;
  Brush brush_;
  std::vector<uint8_t> profile_;  // cover by squared distance
  MaskPoint painted_, last_;
  bool begun_ = false;
};

/// Corners in any order; whole pixels whose middle lies inside.
void fill_rectangle(Mask& mask, MaskPoint a, MaskPoint b, MaskInk ink);
/// The inside of a closed line, which may cross itself (even-odd).
void fill_lasso(Mask& mask, const std::vector<MaskPoint>& line, MaskInk ink);
/// White at `from`, fading to nothing at `to`, straight across; adds to what is there, or takes away from it.
void fill_gradient(Mask& mask, MaskPoint from, MaskPoint to, MaskInk ink);
/// The area around a point up to where the mask changes sides (painted or not, half = painted): a ring that was drawn is filled.
void fill_area(Mask& mask, MaskPoint point, MaskInk ink);
/// The thing of `map` at a point, whose map may have another size than the mask. False where there is none.
bool fill_thing(Mask& mask, const InstanceMap& map, MaskPoint point, MaskInk ink);
void invert(Mask& mask);
/// Wider by so many pixels all around, or narrower where negative; the edges of the picture are no edges of the mask.
void grow(Mask& mask, double pixels);
/// A softer edge, about `pixels` wide to each side.
void feather(Mask& mask, double pixels);

/// The mask at another size, smooth, as the pipelines resize it.
Mask resized(const Mask& mask, int64_t width, int64_t height);
/// What a diffusion model sees of it: 255 or 0 for each cell of `cell` x `cell` pixels, once the mask is as large as the picture that is made (sides
/// multiples of `cell`) and cut at half. `largest`: a cell counts if any of its pixels does, else its top left one decides.
Image as_latent(const Mask& mask, int64_t width, int64_t height, int64_t cell, bool largest);

}  // namespace attelier
