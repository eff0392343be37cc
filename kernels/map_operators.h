// Region attention and warps through libtorch's operators: differentiable, for every device and floating dtype. Keys are gathered or sampled into memory.
#pragma once

#include "kernels/regions.h"
#include "kernels/warp.h"

namespace attelier::kernels {

/// As attend_regions() and warp(), for arguments that have passed validate(). A warp of float32 computes as the own kernels do, operation by operation.
at::Tensor regions_by_operators(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
at::Tensor warp_by_operators(const Warp& warp, const at::Tensor& x);

/// True where gradients are recorded and one of the tensors (undefined ones do not) wants one.
bool wants_gradient(at::TensorList tensors);

}  // namespace attelier::kernels
