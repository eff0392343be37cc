// The meaning of region attention and of warps in double precision, in plain loops. Slow on purpose; the fast paths share none of its code.
#pragma once

#include "kernels/regions.h"
#include "kernels/warp.h"

namespace attelier::kernels::reference {

/// As kernels::attend_regions with o in float64 on the CPU. Sampled keys and values are rounded to q's dtype; nothing else is. Throws as validate() does.
at::Tensor attend_regions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const RegionAttention& attention);

/// As kernels::warp, in float64 on the CPU. The position, and what is rounded of it by nearest sampling, is computed in float32 unless the flow is float64.
at::Tensor warp(const at::Tensor& x, const Warp& warp);

}  // namespace attelier::kernels::reference
