// The whole descriptor on libtorch's operators, a block of queries at a time: what the fused operators cannot express, and every probe. For CUDA tensors,
// float64, and the probes of calls that want a gradient; everything else on the CPU is kernels/cpu.
#pragma once

#include <vector>

#include "kernels/probes.h"
#include "kernels/resolve.h"

namespace attelier::kernels {

/// Fills `probes` and, when `with_output`, returns o [B,H,Lq,Dv] in the call's dtype. Products and probabilities are f32 (f64 for f64 input). Without
/// output only the rows that a probe asks for are computed. Not differentiable.
at::Tensor blocked_attention(const AttentionControl& canonical, const ResolvedCall& call, bool with_output, std::vector<ProbeOutput>& probes);

}  // namespace attelier::kernels
