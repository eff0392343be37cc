// Pictures of any size through an upscaler in overlapping tiles, rows of the result coming out as soon as they are finished.
#pragma once

#include <ATen/ATen.h>

#include <functional>

#include "core/base/context.h"

namespace attelier {

/// [1,3,h,w] in [0,1] -> [1,3,s h,s w] of an upscaler.
using UpscaleTile = std::function<at::Tensor(const at::Tensor& tile)>;

/// Sides in pixels of the picture, multiples of `alignment` where tiles begin. Neighbours are cross-faded over 2 * fade pixels in the middle of their
/// overlap.
struct UpscaleTiles {
  int64_t side = 256;     // of a tile without its overlap; pictures up to side + 2 * overlap in both directions are not cut
  int64_t overlap = 64;   // that a tile sees beyond its own area at every inner edge
  int64_t fade = 8;
  int64_t alignment = 32;
};

struct UpscaleSource {
  int64_t height = 0, width = 0;
  std::function<at::Tensor(int64_t top, int64_t bottom)> rows;  // f32 [3,bottom - top,W] in [0,1]
};

/// Hands `sink` the rows of the result from top to bottom, f32 [3,rows,s W], not clipped. Pictures with a side below `least` are mirrored at their edges for
/// the model and cut again. Holds one band of tiles of the result. Reports "upscaling" tile by tile, throws Interrupted once stopped.
void upscale_rows(const UpscaleSource& source, int64_t scale, const UpscaleTiles& tiles, int64_t least, const UpscaleTile& model,
                  const std::function<void(const at::Tensor& rows)>& sink, const Context& context);

/// The mean over the eight turned and mirrored forms of a picture ("+" of the papers), each turned back.
UpscaleTile self_ensemble(UpscaleTile model);

}  // namespace attelier
