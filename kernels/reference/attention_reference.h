// The meaning of the attention-control descriptor, in double precision: the eight steps of kernels/attention.h, one row at a time, in plain loops.
// Slow on purpose; every fast path is tested against it and shares none of its code.
#pragma once

#include "kernels/attention.h"

namespace attelier::kernels::reference {

/// As kernels::attention, with o, lse and probe values in float64 (on the CPU). q^ is rounded to q's dtype, as step 1 says; nothing else is rounded.
/// Throws std::invalid_argument as validate() does.
AttentionResult attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionControl& control = {});

}  // namespace attelier::kernels::reference
