#include "tests/kernels/cuda/emulated_device.h"

#include "kernels/cuda/attend.h"
#include "kernels/cuda/combine.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/cuda/probe.h"

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

void EmulatedDevice::attend(const Plan& plan, const Blocks& blocks, const Arguments& a) {
  const emulator::Grid grid{blocks.x, blocks.y, blocks.z, plan.tile.threads, plan.tile.shared_bytes};
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
