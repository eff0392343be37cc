// The CUDA kernels as kernels/attention.cpp, regions.cpp and warp.cpp use them: from a module, libattelier_cuda.so, that is loaded when the first CUDA tensor comes and a driver and
// the module are there. Without it such tensors take the path on libtorch's operators.
#pragma once

#include <string>

#include "kernels/attention.h"
#include "kernels/regions.h"
#include "kernels/warp.h"

namespace attelier::kernels::cuda {

/// True when these tensors are for the CUDA kernels: on a GPU of compute capability 8.0 or newer, float32, bfloat16 or float16, heads of at most 256
/// elements with dense rows, no gradient wanted, and the module is there.
bool takes(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

struct Wanted {
  bool o = true, lse = false;
};

/// o [B,H,Lq,Dv] in q's dtype, laid out as [B,Lq,H,Dv] in memory; lse when asked for; the probes of the control. `canonical` must have passed validate().
/// On the current stream; waits for nothing; its memory comes from libtorch's allocator. Only where takes() is true.
AttentionResult attention(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, Wanted wanted);

/// True when these tensors are for the CUDA kernels on maps: on such a GPU, in such a dtype, heads of at most 128 elements (float32: 64).
bool takes_regions(const at::Tensor& q, const at::Tensor& v);
bool takes_warp(const at::Tensor& x);

/// As kernels::attend_regions and kernels::warp, for arguments that have passed validate() and want no gradient. Only where they are taken.
at::Tensor attend_regions(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
at::Tensor warp(const Warp& warp, const at::Tensor& x);

/// Why there is no module, or empty when there is one.
std::string module_absence();

/// What the module exports as `attelier_cuda_module`.
struct Module {
  int version;  // kModuleVersion
  bool (*takes)(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
  AttentionResult (*attention)(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, Wanted wanted);
  bool (*takes_regions)(const at::Tensor& q, const at::Tensor& v);
  at::Tensor (*attend_regions)(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
  bool (*takes_warp)(const at::Tensor& x);
  at::Tensor (*warp)(const Warp& warp, const at::Tensor& x);
};
inline constexpr int kModuleVersion = 2;

}  // namespace attelier::kernels::cuda
