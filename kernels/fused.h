// Controls that reduce to other queries, keys, values, a scale and a bias per key: libtorch's fused attention computes them, and its backward. For calls
// that want a gradient, CUDA tensors and float64; everything else on the CPU is kernels/cpu.
#pragma once

#include "kernels/resolve.h"

namespace attelier::kernels {

/// o in the call's dtype, and lse f32 [B,H,Lq] where the operator returns it exactly (CPU, f32 and f64) and one softmax covers all sources.
struct FusedResult {
  at::Tensor o, lse;
};

/// True when fused_attention computes this canonical control (without probes).
bool is_fusable(const AttentionControl& canonical, const ResolvedCall& call);

/// Differentiable. Sources are concatenated, or attended one by one and mixed under blend.
FusedResult fused_attention(const AttentionControl& canonical, const ResolvedCall& call);

}  // namespace attelier::kernels
