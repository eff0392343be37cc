// The CPU kernels on maps as kernels/regions.cpp and kernels/warp.cpp use them.
#pragma once

#include "kernels/regions.h"
#include "kernels/warp.h"

namespace attelier::kernels::cpu {

/// The dtypes of the kernels: float32, bfloat16 and float16.
bool takes_element(at::ScalarType type);

/// Arguments in host memory that have passed validate(), in such a dtype; results record no gradient.
at::Tensor attend_regions(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
at::Tensor warp(const Warp& warp, const at::Tensor& x);

}  // namespace attelier::kernels::cpu
