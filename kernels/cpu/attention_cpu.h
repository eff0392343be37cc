// The fused CPU kernels behind kernels::attention: one pass over the keys, in tiles, for the whole descriptor. float32, bfloat16 and float16; products and
// probabilities are float32 (bfloat16 factors where the processor multiplies those). No gradients.
#pragma once

#include "kernels/attention.h"

namespace attelier::kernels::cpu {

/// True when these tensors are for the CPU kernels: on the CPU, of a supported dtype, and no gradient is wanted of anything in the call.
bool takes(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// o [B,H,Lq,Dv] in q's dtype, laid out as [B,Lq,H,Dv] in memory so that joining the heads copies nothing; lse when asked for. `canonical` must have passed
/// validate() for these tensors; its probes are left out.
AttentionResult attention(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool with_lse);

}  // namespace attelier::kernels::cpu
