// Weights in the order in which oneDNN's kernels read them, so that no call has to sort them again (CPU inference).
#pragma once

#include <ATen/ATen.h>

namespace attelier::nn {

struct ConvolutionOptions {
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
};

/// True when the CPU has kernels of oneDNN for this weight's dtype: float32, and bfloat16 with AVX-512.
bool can_prepare(const at::Tensor& weight);

/// The weight as an opaque tensor (is_mkldnn()) of the same shape and dtype; `to_dense()` gives the same numbers back, bit for bit.
/// Linear weights [out, in] also serve 1x1 convolutions: as convolution weights they would be sorted again in every call.
at::Tensor prepare_linear(const at::Tensor& weight);
at::Tensor prepare_convolution(const at::Tensor& weight, const ConvolutionOptions& options);

/// x W^T + bias + addend for a prepared weight; bias and addend may be undefined. Not differentiable.
at::Tensor prepared_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& addend);
/// The convolution + addend; works and answers in channels-last.
at::Tensor prepared_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const ConvolutionOptions& options, const at::Tensor& addend);
/// A 1x1 convolution of x [B, C, H, W] through a prepared linear weight [out, C], plus addend; works and answers in channels-last.
at::Tensor prepared_pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& addend);

}  // namespace attelier::nn
