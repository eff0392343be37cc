// Bilinear and nearest warp of latents and feature maps by a flow, with what occlusion leaves of it, in one pass (LatentWarp, arXiv 2311.00353).
//   W(y, x) = x sampled at (x + flow_x(y, x), y + flow_y(y, x))            backward: the flow leads from the result to where it comes from
//   out     = M W + (1 - M) base                                           with a base; M = mask, and 0 where the sampled position lies outside the map
#pragma once

#include <ATen/ATen.h>

namespace attelier::kernels {

enum class WarpSampling { kBilinear, kNearest /* halves go to the even cell */ };
enum class WarpPadding { kZeros, kBorder };

struct Warp {
  at::Tensor flow;  // f32 [B|1,2,rows,columns], in cells of x: channel 0 to the right, channel 1 down; (0, 0) is the centre of the first cell
  WarpSampling sampling = WarpSampling::kBilinear;
  WarpPadding padding = WarpPadding::kZeros;
  at::Tensor base;           // [B,C,rows,columns], x's dtype; undefined = the warp alone
  at::Tensor mask;           // f32 [B|1,1,rows,columns], 1 - occlusion; undefined = 1. Needs a base
  bool inside_only = true;   // with a base: M = 0 where the position (nearest: its cell) lies outside the map
};

/// Throws std::invalid_argument, the name of the argument first.
void validate(const Warp& warp, const at::Tensor& x);

/// x [B,C,rows,columns] of any strides -> the same shape and dtype, channels-last where x is. Positions and weights in float32, one rounding of the result;
/// a flow of 0 and M = 1 give x bit for bit, M = 0 gives the base. Positions that are not numbers lie outside and give 0. In float32, bfloat16 and float16
/// without gradients through the kernels of this folder; otherwise through libtorch's operators, differentiable in x, flow (bilinear), base and mask.
at::Tensor warp(const at::Tensor& x, const Warp& warp);

}  // namespace attelier::kernels
