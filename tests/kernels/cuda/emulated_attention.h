// Attention by the CUDA kernels on the emulator, from tensors in host memory.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/plan.h"

namespace attelier::kernels::cuda {

/// A canonical control; o, lse and probes as kernels::attention gives them. `plan` receives how it was computed.
AttentionResult emulated_attention(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const DeviceCaps& caps, Plan* plan = nullptr);

}  // namespace attelier::kernels::cuda
