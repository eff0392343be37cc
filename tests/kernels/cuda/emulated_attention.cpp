#include "tests/kernels/cuda/emulated_attention.h"

#include <limits>

#include "kernels/cpu/binding.h"
#include "tests/kernels/cuda/emulated_device.h"

namespace attelier::kernels::cuda {

AttentionResult emulated_attention(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const DeviceCaps& caps, Plan* plan) {
  cpu::Binding binding(canonical, q, k, v);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  AttentionResult result;
  result.o = at::full({q.size(0), q.size(2), q.size(1), v.size(3)}, nan, q.options()).transpose(1, 2);
  result.lse = at::full({q.size(0), q.size(1), q.size(2)}, nan, q.options().dtype(at::kFloat));
  binding.set_outputs(result.o, result.lse);
  binding.set_probes(canonical.probes);
  EmulatedDevice device;
  const Plan chosen = plan_for(binding.call(), caps, device);
  std::vector<char> memory(static_cast<size_t>(chosen.workspace.bytes) + 256, '\xff');
  char* const workspace = memory.data() + (256 - reinterpret_cast<uintptr_t>(memory.data()) % 256) % 256;
  execute(binding.call(), chosen, canonical.blend_weight_map.empty(), workspace, device);
  for (const auto& probe : binding.probes()) result.probes.push_back(probe.result(result.lse));
  if (plan) *plan = chosen;
  return result;
}

}  // namespace attelier::kernels::cuda
