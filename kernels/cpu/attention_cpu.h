// The fused CPU kernels behind kernels::attention: one pass over the keys, in tiles, for the whole descriptor. float32, bfloat16 and float16; products and
// probabilities are float32 (bfloat16 factors where the processor multiplies those). No gradients.
#pragma once

#include "kernels/attention.h"

namespace attelier::kernels::cpu {

/// True when these tensors are for the CPU kernels: on the CPU, of a supported dtype, and no gradient is wanted of anything in the call.
bool takes(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// What a call is to return besides its probes.
struct Wanted {
  bool o = true, lse = false;
};

/// The control as it is: `canonical` must have passed validate() for these tensors. o [B,H,Lq,Dv] in q's dtype is laid out as [B,Lq,H,Dv] in memory, so that
/// joining the heads copies nothing. Probes change no bit of o. Two runs are equal bit for bit, and the number of threads changes nothing.
AttentionResult attention(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, Wanted wanted);

}  // namespace attelier::kernels::cpu
