// Large pictures in overlapping tiles that are blended into each other.
#pragma once

#include <ATen/ATen.h>

#include <functional>

namespace attelier {

/// Sides of a tile before and after the model, and the part by which neighbours overlap.
struct Tiling {
  int64_t input_side, output_side;
  double overlap;
};

/// Runs `model` on tiles of x [B, C, h, w] and joins them to [B, channels, height, width]: each tile is cross-faded linearly with the finished tile
/// above, then with the finished tile to the left, as AutoencoderKL of diffusers does. Holds two rows of tiles beside the result. `progress(done, total)` may throw.
at::Tensor in_tiles(const at::Tensor& x, const Tiling& tiling, int64_t channels, int64_t height, int64_t width,
                    const std::function<at::Tensor(const at::Tensor&)>& model, const std::function<void(int64_t, int64_t)>& progress);

}  // namespace attelier
