// The CUDA kernels of regions and warps on the emulator, against the double-precision reference.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "kernels/cpu/map_binding.h"
#include "kernels/reference/maps_reference.h"
#include "tests/kernels/cuda/emulated_maps.h"
#include "tests/kernels/map_cases.h"

namespace attelier::kernels::cuda {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

at::Tensor emulated(const RegionCase& c) {
  const at::Tensor o = cpu::empty_regions(c.q, c.v).fill_(kNothing);
  emulate_regions(cpu::RegionBinding(c.attention, c.q, c.k, c.v, o).call());
  return o;
}

/// Widths of all kernels, aligned and not.
MapSizes kernel_sizes(Generator& g) {
  MapSizes s{1 + g.below(2), 1 + g.below(2), g.any_of<int64_t>({8, 15, 16, 32, 33, 64}), 0};
  s.value_depth = g.one_in(2) ? s.depth : g.any_of<int64_t>({5, 16, 40, 64});
  return s;
}

TEST(CudaMaps, RandomRegionCalls) {
  c10::InferenceMode inference;
  at::manual_seed(61);
  Generator g(61);
  for (int64_t n = 0; n < 250 && !HasFailure(); ++n) {
    RegionCase c = random_region_case(g, kernel_sizes);
    c.what = fmt::format("case {}, {}", n, c.what);
    expect_regions(c, emulated(c), reference::attend_regions(c.q, c.k, c.v, c.attention));
  }
}

TEST(CudaMaps, EveryWidthAndElement) {
  c10::InferenceMode inference;
  at::manual_seed(62);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const int64_t width : {32, 64, 128}) {
      if (type == at::kFloat && width > 64) continue;
      for (const bool samples : {false, true}) {
        RegionCase c{random_map(1, 2, 9, 12, width, Layout::kTokensFirst, type), random_map(1, 2, 9, 12, width, Layout::kTokensFirst, type), random_map(1, 2, 9, 12, width, Layout::kTokensFirst, type), {}, {}};
        c.attention.grid = regions_over(9, 12, 7, 7);
        if (samples) c.attention.points = window_points(c.attention.grid, at::randn({1, 2, 4, 2}) * 2, 1 + 0.4 * at::randn({1, 2, 4, 2}));
        else c.attention.index = at::tensor({1, 0, 3, 3, 2, -1, 0, 2}).view({1, 1, 4, 2});
        c.attention.pair_bias = at::randn({2, 49, samples ? 49 : 98});
        c.what = fmt::format("{} {}, {}", c10::toString(type), width, samples ? "samples" : "regions");
        expect_regions(c, emulated(c), reference::attend_regions(c.q, c.k, c.v, c.attention));
      }
    }
}

TEST(CudaMaps, RandomWarps) {
  c10::InferenceMode inference;
  at::manual_seed(63);
  Generator g(63);
  for (int64_t n = 0; n < 300 && !HasFailure(); ++n) {
    WarpCase c = random_warp_case(g);
    c.what = fmt::format("case {}, {}", n, c.what);
    const at::Tensor y = cpu::empty_warp(c.x).fill_(kNothing);
    emulate_warp(cpu::WarpBinding(c.warp, c.x, y).call());
    expect_warp(c, y, reference::warp(c.x, c.warp));
  }
}

}  // namespace
}  // namespace attelier::kernels::cuda
