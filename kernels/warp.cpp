#include "kernels/warp.h"

#include "kernels/cpu/maps_cpu.h"
#include "kernels/cuda/attention_cuda.h"
#include "kernels/map_operators.h"
#include "kernels/refuse.h"

namespace attelier::kernels {
namespace {

/// Whether the own kernels count the elements of a plane in 31 bits, and its rows and columns in floats with a half to spare.
bool has_small_planes(const at::Tensor& x) {
  constexpr int64_t kElements = int64_t{1} << 31, kLine = 1 << 22;
  const at::MemoryFormat format = x.suggest_memory_format();
  const int64_t extent = format == at::MemoryFormat::ChannelsLast ? x.numel() / x.size(0) : (x.size(2) - 1) * x.stride(2) + (x.size(3) - 1) * x.stride(3);
  return std::max(extent, (x.size(2) - 1) * x.stride(2) + (x.size(3) - 1) * x.stride(3)) < kElements && x.size(2) < kLine && x.size(3) < kLine;
}

/// floating [B|1, channels, rows, columns]
void check_plane(const at::Tensor& tensor, const char* name, int64_t channels, const at::Tensor& x) {
  if (!tensor.is_floating_point()) refuse(name, "has dtype {}; it must be a floating-point tensor", c10::toString(tensor.scalar_type()));
  if (tensor.dim() != 4 || (tensor.size(0) != 1 && tensor.size(0) != x.size(0)) || tensor.size(1) != channels || tensor.size(2) != x.size(2) || tensor.size(3) != x.size(3))
    refuse(name, "has shape {}; it must be [{}|1,{},{},{}]", shape_text(tensor), x.size(0), channels, x.size(2), x.size(3));
  if (tensor.device() != x.device()) refuse(name, "is on {}, x on {}; move it there", tensor.device().str(), x.device().str());
}

}  // namespace

void validate(const Warp& warp, const at::Tensor& x) {
  if (!x.defined() || x.dim() != 4) refuse("x", "has shape {}; it must be [B,C,rows,columns]", x.defined() ? shape_text(x) : "none");
  if (!x.is_floating_point()) refuse("x", "has dtype {}; it must be a floating-point tensor", c10::toString(x.scalar_type()));
  if (!warp.flow.defined()) refuse("flow", "is missing");
  check_plane(warp.flow, "flow", 2, x);
  if (warp.base.defined()) {
    if (warp.base.sizes() != x.sizes()) refuse("base", "has shape {}, x has {}; they must be equal", shape_text(warp.base), shape_text(x));
    if (warp.base.scalar_type() != x.scalar_type()) refuse("base", "has dtype {}, x has {}; they must be equal", c10::toString(warp.base.scalar_type()), c10::toString(x.scalar_type()));
    if (warp.base.device() != x.device()) refuse("base", "is on {}, x on {}; move it there", warp.base.device().str(), x.device().str());
  }
  if (!warp.mask.defined()) return;
  if (!warp.base.defined()) refuse("mask", "has a meaning only with a base, which fills what the mask leaves");
  check_plane(warp.mask, "mask", 1, x);
}

at::Tensor warp(const at::Tensor& x, const Warp& warp) {
  validate(warp, x);
  if (x.numel() == 0) return at::empty_like(x);
  if (wants_gradient({x, warp.flow, warp.base, warp.mask}) || !has_small_planes(x)) return warp_by_operators(warp, x);
  if (x.is_cpu() && cpu::takes_element(x.scalar_type())) return cpu::warp(warp, x);
  if (cuda::takes_warp(x)) return cuda::warp(warp, x);
  return warp_by_operators(warp, x);
}

}  // namespace attelier::kernels
