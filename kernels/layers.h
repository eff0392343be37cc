// The cheap layers between convolutions and products, each in as few passes over memory as it needs. On the CPU, without gradients, in float32 and
// bfloat16, they run as own kernels that round once; everywhere else as libtorch's operators.
#pragma once

#include <ATen/ATen.h>

namespace attelier::kernels {

/// Group normalisation of x [B,C,H,W] plus `shift` [B|1,C] (or undefined), then SiLU where asked; weight and bias [C]. Statistics in float32 or better
/// whatever the dtype. The own kernel takes channels-last tensors and answers in channels-last.
at::Tensor group_norm(const at::Tensor& x, int64_t groups, const at::Tensor& weight, const at::Tensor& bias, double epsilon, const at::Tensor& shift = {}, bool silu = false);

/// gelu(x), exact. Moved in, a tensor that nobody else holds is overwritten where no gradient is wanted.
at::Tensor gelu(at::Tensor x);

/// silu(weight * (x - mean) / sqrt(variance + epsilon) + bias) for x [B,C,H,W], all others [C]: batch normalisation with known statistics, and SiLU. The own
/// kernel takes channels-last tensors and answers in channels-last; a tensor that was moved in and that nobody else holds is overwritten.
at::Tensor batch_norm_silu(at::Tensor x, const at::Tensor& mean, const at::Tensor& variance, const at::Tensor& weight, const at::Tensor& bias, double epsilon);

/// GEGLU (Shazeer 2020): the halves a, b of the last axis of x [..., 2C] give a * gelu(b) [..., C], with the exact GELU.
at::Tensor gated_gelu(const at::Tensor& x);

}  // namespace attelier::kernels
