#include "tests/kernels/cuda/emulated_device.h"

#include "kernels/cuda/attend.h"
#include "kernels/cuda/combine.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/cuda/probe.h"
#include "kernels/cuda/warpgroups.h"

namespace attelier::kernels::cuda {
namespace {

template <typename F>
void with_element(cpu::Element element, const F& f) {
  switch (element) {
    case cpu::Element::kFloat32: return f(float{});
    case cpu::Element::kBFloat16: return f(BFloat16{});
    case cpu::Element::kFloat16: return f(Float16{});
  }
}

}  // namespace

void EmulatedDevice::deliver(const Parcel& parcel) {
  emulator::run({.threads = kDeliverThreads}, [&] { cuda::deliver(parcel); });
}

void EmulatedDevice::order_keys(const Arguments& a, int32_t* order, int32_t* class_count) {
  emulator::run({.x = a.call.batches, .threads = kOrderThreads, .shared_bytes = kOrderSharedBytes}, [&] { cuda::order_keys(a, order, class_count); });
}

bool EmulatedDevice::takes_warpgroups(const Plan&, cpu::Element, const KeyBoxes& boxes) {
  for (int s = 0; s < boxes.sources; ++s) {
    maps_.k[s] = map_of(boxes.k[s]);
    maps_.v[s] = map_of(boxes.v[s]);
  }
  return true;
}

void EmulatedDevice::attend(const Plan& plan, const Blocks& blocks, const Arguments& a) {
  const emulator::Grid grid{blocks.x, blocks.y, blocks.z, plan.tile.threads, plan.tile.shared_bytes};
  if (plan.family == Family::kWarpgroup) {
    with_warpgroup_width(plan.width, [&]<int W>(std::integral_constant<int, W>) {
      const auto run = [&](const auto& kernel) { emulator::run(grid, [&] { kernel(a, maps_); }); };
      const bool is_bfloat16 = a.call.element == cpu::Element::kBFloat16;
      if (plan.listed) run(is_bfloat16 ? attend_in_warpgroups<BFloat16, W, true> : attend_in_warpgroups<Float16, W, true>);
      else run(is_bfloat16 ? attend_in_warpgroups<BFloat16, W, false> : attend_in_warpgroups<Float16, W, false>);
    });
    return;
  }
  with_variant(a.call.element, plan.width, plan.bundle,
               [&]<typename V>(V) { emulator::run(grid, [&] { Attend<typename V::Element, V::kWidth, V::kKind>(a).run(); }); });
}

void EmulatedDevice::combine(int64_t rows, const Arguments& a) {
  with_element(a.call.element, [&]<typename T>(T) { emulator::run({.x = rows, .threads = kCombineThreads, .shared_bytes = kCombineSharedBytes}, [&] { cuda::combine<T>(a); }); });
}

void EmulatedDevice::probe(int index, const Blocks& blocks, const Arguments& a) {
  with_element(a.call.element, [&]<typename T>(T) {
    const emulator::Grid grid{blocks.x, blocks.y, blocks.z, ProbeTile<T>::kThreads, probe_shared_bytes<T>(a.call.depth)};
    emulator::run(grid, [&] { ProbeReader<T>(a, a.call.probes[index]).run(); });
  });
}

}  // namespace attelier::kernels::cuda
