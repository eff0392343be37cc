#include "tests/kernels/cuda/emulated_maps.h"

#include "kernels/cuda/flow_warp.h"
#include "kernels/cuda/regions.h"

namespace attelier::kernels::cuda {

void emulate_regions(const cpu::RegionCall& call) {
  const RegionPlan plan = plan_regions(call);
  with_region_variant(call.call.element, plan.width, call.view.index == nullptr, [&]<typename V>(V) {
    const typename V::Kind places = {{call.view}};
    emulator::run({.x = plan.blocks, .threads = plan.threads, .shared_bytes = plan.shared_bytes},
                  [&] { Attend<typename V::Element, V::kWidth, Bundle::kScore, typename V::Kind>(plan.arguments, places).run(); });
  });
}

void emulate_warp(const cpu::WarpCall& call) {
  const emulator::Grid grid{.x = warp_blocks(call), .threads = kWarpThreads};
  switch (call.element) {
    case cpu::Element::kFloat32: return emulator::run(grid, [&] { warp_element<float>(call); });
    case cpu::Element::kBFloat16: return emulator::run(grid, [&] { warp_element<BFloat16>(call); });
    case cpu::Element::kFloat16: return emulator::run(grid, [&] { warp_element<Float16>(call); });
  }
}

}  // namespace attelier::kernels::cuda
