// Attention of regions as the official codes compute it, with libtorch's operators: chosen regions are gathered, windows sampled into memory. The baseline of
// `attelier bench backbone`.
#pragma once

#include "kernels/regions.h"

namespace attelier {

/// As kernels::attend_regions(), but for indices of -1, which it does not take.
at::Tensor gathered_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const kernels::RegionAttention& attention);

}  // namespace attelier
