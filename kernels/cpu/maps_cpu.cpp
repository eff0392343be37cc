#include "kernels/cpu/maps_cpu.h"

#include "kernels/cpu/level.h"
#include "kernels/cpu/map_binding.h"
#include "kernels/parallel.h"

namespace attelier::kernels::cpu {

bool takes_element(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf; }

at::Tensor attend_regions(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  at::Tensor o = empty_regions(q, v);
  const RegionBinding binding(attention, q, k, v, o);
  const RegionCall& call = binding.call();
  const MapKernels& kernels = map_kernels_of(current_level());
  const double width = static_cast<double>(call.call.depth + call.call.value_depth);
  const double operations = static_cast<double>(call.call.batches * call.call.heads) * static_cast<double>(2 * call.call.rows + 4) * static_cast<double>(call.call.keys + 1) * width;
  run_in_parallel(kernels.region_tasks(call), kernels.region_workspace_bytes(call), operations, [&](int64_t begin, int64_t end, void* scratch) { kernels.run_regions(call, begin, end, scratch); });
  return o;
}

at::Tensor warp(const Warp& warp, const at::Tensor& x) {
  at::Tensor y = empty_warp(x);
  const WarpBinding binding(warp, x, y);
  const MapKernels& kernels = map_kernels_of(current_level());
  constexpr double kOperationsPerCell = 20, kOperationsPerElement = 10;
  const double operations = kOperationsPerElement * static_cast<double>(x.numel()) + kOperationsPerCell * static_cast<double>(x.numel() / x.size(1));
  run_in_parallel(x.size(0) * x.size(2), 64, operations, [&](int64_t begin, int64_t end, void*) { kernels.warp(binding.call(), begin, end); });
  return y;
}

}  // namespace attelier::kernels::cpu
