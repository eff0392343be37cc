// 3x3 convolutions of float32 activations on the CPU, at less than half the multiplications of the direct form.
#pragma once

#include <ATen/ATen.h>

namespace attelier::kernels {

/// True for weights [out, in, 3, 3] that convolve_3x3() is the faster way for: float32 on the CPU, at least 16 input channels, and output channels that
/// rounding up to a multiple of 16 makes little more.
bool can_pack_3x3(const at::Tensor& weight);

/// The numbers of `weight` [out, in, 3, 3] in the order in which convolve_3x3() reads them, as one row, with zeros for the outputs that rounding adds;
/// unpack_3x3() gives a weight of this shape back bit for bit.
at::Tensor pack_3x3(const at::Tensor& weight);
at::Tensor unpack_3x3(const at::Tensor& packed, at::IntArrayRef shape);

/// x [B, in, H, W] convolved with a packed weight of `shape` [out, in, 3, 3], stride 1 and zero padding 1, plus `bias` [out] and `addend` [B, out, H, W]
/// (either may be undefined), float32. Works and answers in channels-last. Not differentiable. The thread count changes nothing.
at::Tensor convolve_3x3(const at::Tensor& x, const at::Tensor& packed, at::IntArrayRef shape, const at::Tensor& bias, const at::Tensor& addend);

}  // namespace attelier::kernels
