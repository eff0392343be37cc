#include "kernels/cuda/execute.h"

#include <algorithm>
#include <cstring>

#include "kernels/cuda/host_arrays.h"
#include "kernels/cuda/probe.h"

namespace attelier::kernels::cuda {
namespace {

int64_t parts_of(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

/// Brings the host arrays to `target` on the device and points the call there.
void deliver(Call& call, bool weights_are_numbers, char* target, Device& device) {
  std::vector<char> bytes;
  for (const HostArray& array : host_arrays(call, weights_are_numbers)) {
    const auto* data = static_cast<const char*>(*array.pointer);
    *array.pointer = target + bytes.size();
    bytes.insert(bytes.end(), data, data + array.bytes);
    bytes.resize((bytes.size() + 15) / 16 * 16);
  }
  for (size_t begin = 0; begin < bytes.size(); begin += Parcel::kBytes) {
    Parcel parcel = {};
    parcel.target = target + begin;
    parcel.count = static_cast<int>(std::min<size_t>(Parcel::kBytes, bytes.size() - begin));
    std::memcpy(parcel.bytes, bytes.data() + begin, static_cast<size_t>(parcel.count));
    device.deliver(parcel);
  }
}

template <typename T>
Blocks probe_blocks(const Call& call, const ProbeView& probe) {
  using Shape = ProbeTile<T>;
  const int64_t keys = probe.reading == Reading::kKeys ? probe.width : call.keys;
  const bool walks = probe.reading == Reading::kTopk || probe.reading == Reading::kClassMass;
  return {probe.reading == Reading::kColSum ? call.groups : parts_of(call.rows, Shape::kRows), walks ? 1 : parts_of(keys, Shape::kKeys), call.batches * probe.heads};
}

}  // namespace

Plan plan_for(const Call& call, DeviceCaps caps, Device& device) {
  const Plan plan = make_plan(call, caps);
  if (plan.family != Family::kWarpgroup || device.takes_warpgroups(plan, call.element, key_boxes(call, plan.tile.keys))) return plan;
  caps.warpgroups = false;
  return make_plan(call, caps);
}

void execute(const Call& call, const Plan& plan, bool weights_are_numbers, char* workspace, Device& device) {
  const Workspace& at = plan.workspace;
  Arguments a = {};
  a.call = call;
  a.scale = call.scales[0];
  if (call.scale_stride == 0) a.call.scales = nullptr;
  a.aligned = plan.aligned;
  a.plain = plan.bundle == Bundle::kPlain;
  a.gains = plan.gains;
  a.segments = plan.segments;
  a.parts = plan.parts;
  a.partial = reinterpret_cast<float*>(workspace + at.partial);
  a.partial_state = reinterpret_cast<float*>(workspace + at.partial_state);
  if (plan.statistics) a.statistics = reinterpret_cast<float*>(workspace + at.statistics);
  drop_identities(a.call);
  deliver(a.call, weights_are_numbers, workspace + at.arrays, device);
  if (plan.ordered) {
    auto* const order = reinterpret_cast<int32_t*>(workspace + at.order);
    auto* const class_count = reinterpret_cast<int32_t*>(workspace + at.class_count);
    device.order_keys(a, order, class_count);
    a.order = order;
    a.class_count = class_count;
  }
  const int64_t rows = call.batches * call.heads * call.rows;
  device.attend(plan, {parts_of(call.rows, plan.tile.rows) * call.batches * call.heads, plan.parts > 0 ? plan.segments * plan.parts : 1, plan.value_chunks}, a);
  if (plan.parts > 0) device.combine(rows, a);
  for (int p = 0; p < call.probe_count; ++p)
    device.probe(p, call.element == cpu::Element::kFloat32 ? probe_blocks<float>(call, call.probes[p]) : probe_blocks<BFloat16>(call, call.probes[p]), a);
}

}  // namespace attelier::kernels::cuda
