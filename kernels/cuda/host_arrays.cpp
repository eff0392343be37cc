#include "kernels/cuda/host_arrays.h"

namespace attelier::kernels::cuda {
namespace {

void drop_identity(const int32_t*& slots, int64_t size) {
  for (int64_t i = 0; slots && i < size; ++i)
    if (slots[i] != i) return;
  slots = nullptr;
}

}  // namespace

std::vector<HostArray> host_arrays(cpu::Call& call, bool weights_are_numbers) {
  std::vector<HostArray> arrays;
  const auto add = [&](auto& pointer, int64_t count) {
    if (pointer) arrays.push_back({reinterpret_cast<const void**>(&pointer), count * static_cast<int64_t>(sizeof *pointer)});
  };
  if (call.scale_stride) add(call.scales, call.heads);
  for (int s = 0; s < call.source_count; ++s) {
    add(call.sources[s].batch_map, call.batches);
    if (call.blend && weights_are_numbers) add(call.sources[s].blend_weight.data, 1);
  }
  add(call.class_gain, cpu::kClasses * (call.class_gain_stride ? call.heads : 1));
  add(call.visual.heads, call.heads);
  for (int p = 0; p < call.probe_count; ++p) {
    cpu::ProbeView& probe = call.probes[p];
    add(probe.head_slot, call.heads);
    add(probe.head_weight, call.heads);
    add(probe.row_slot, call.rows);
    if (probe.reading == cpu::Reading::kKeys) add(probe.keys, probe.width);
  }
  return arrays;
}

int64_t bytes_of(const std::vector<HostArray>& arrays) {
  int64_t bytes = 0;
  for (const HostArray& array : arrays) bytes += (array.bytes + 15) / 16 * 16;
  return bytes;
}

void drop_identities(cpu::Call& call) {
  for (int p = 0; p < call.probe_count; ++p) {
    drop_identity(call.probes[p].head_slot, call.heads);
    drop_identity(call.probes[p].row_slot, call.rows);
  }
}

}  // namespace attelier::kernels::cuda
