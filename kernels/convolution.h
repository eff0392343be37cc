// 3x3 convolutions of float32 activations on the CPU, at less than half the multiplications of the direct form.
#pragma once

#include <ATen/ATen.h>

namespace attelier::kernels {

/// True for weights [out, in, 3, 3] that convolve_3x3() takes: float32 on the CPU, both channel counts multiples of 16.
bool can_pack_3x3(const at::Tensor& weight);

/// The numbers of `weight` [out, in, 3, 3] in the order in which convolve_3x3() reads them, as one row; unpack_3x3() gives them back bit for bit.
at::Tensor pack_3x3(const at::Tensor& weight);
at::Tensor unpack_3x3(const at::Tensor& packed, int64_t outputs, int64_t channels);

/// x [B, C, H, W] convolved with stride 1 and zero padding 1, plus `bias` [out] and `addend` [B, out, H, W] (either may be undefined), float32.
/// Works and answers in channels-last. Not differentiable. The thread count changes nothing.
at::Tensor convolve_3x3(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias, const at::Tensor& addend);

}  // namespace attelier::kernels
