// Random calls of region attention and of warps.
#pragma once

#include "kernels/regions.h"
#include "kernels/warp.h"
#include "tests/kernels/random_cases.h"

namespace attelier::kernels {

struct RegionCase {
  at::Tensor q, k, v;
  RegionAttention attention;
  std::string what;
};

/// [B,H,rows,columns,D] in one of the layouts that layers produce: contiguous, a view of [B,rows,columns,H*D], or part of a wider projection.
inline at::Tensor random_map(int64_t batches, int64_t heads, int64_t rows, int64_t columns, int64_t width, Layout layout, at::ScalarType type) {
  const at::Tensor flat = random_heads(batches, heads, rows * columns, width, layout, type);
  return flat.unflatten(2, {rows, columns});
}

struct MapSizes {
  int64_t batches = 1, heads = 1, depth = 8, value_depth = 8;
};

inline MapSizes map_sizes(Generator& g) {
  MapSizes s{1 + g.below(2), 1 + g.below(3), g.any_of<int64_t>({1, 3, 8, 15, 16, 32, 33}), 0};
  s.value_depth = g.one_in(2) ? s.depth : g.any_of<int64_t>({1, 5, 16, 30});
  return s;
}

/// Regions and maps of odd sizes, repeated and absent indices, positions far outside, one region, no keys.
inline RegionCase random_region_case(Generator& g, MapSizes (*sizes)(Generator&) = map_sizes) {
  RegionCase c;
  const at::ScalarType type = g.any_of({at::kFloat, at::kFloat, at::kBFloat16, at::kHalf});
  const MapSizes s = sizes(g);
  const int64_t rows = 1 + g.below(11), columns = 1 + g.below(11);
  RegionGrid& grid = c.attention.grid;
  grid = regions_over(rows, columns, g.one_in(6) ? rows : 1 + g.below(7), g.one_in(6) ? columns : 1 + g.below(7));
  if (g.one_in(3)) {
    grid.top = g.below(grid.height);
    grid.left = g.below(grid.width);
    grid.rows = (grid.top + rows + grid.height - 1) / grid.height;
    grid.columns = (grid.left + columns + grid.width - 1) / grid.width;
  }
  const int64_t batches = g.one_in(2) ? 1 : s.batches, heads = g.one_in(2) ? 1 : s.heads, count = g.one_in(20) ? 0 : 1 + g.below(5);
  int64_t key_rows = rows, key_columns = columns, keys;
  if (g.one_in(2)) {
    c.attention.index = at::randint(g.one_in(4) ? -1 : 0, grid.regions(), {batches, heads, grid.regions(), count}, g.one_in(2) ? at::kInt : at::kLong);
    keys = count * grid.cells();
  } else {
    key_rows = g.one_in(2) ? rows : 1 + g.below(9);
    key_columns = g.one_in(2) ? columns : 1 + g.below(9);
    keys = g.one_in(6) ? 90 + g.below(12) : count * g.any_of<int64_t>({1, 3, 9});
    const at::Tensor size = at::tensor({static_cast<double>(key_columns + 2), static_cast<double>(key_rows + 2)}, at::kFloat);
    c.attention.points = at::rand({batches, heads, grid.regions(), keys, 2}) * size - 1.5;
    if (g.one_in(3)) c.attention.points.round_();
    if (keys > 0 && g.one_in(4)) c.attention.points.select(3, 0).fill_(g.any_of({1e9f, -1e9f, -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}));
  }
  c.q = random_map(s.batches, s.heads, rows, columns, s.depth, static_cast<Layout>(g.below(3)), type);
  c.k = random_map(s.batches, s.heads, key_rows, key_columns, s.depth, static_cast<Layout>(g.below(3)), type);
  c.v = random_map(s.batches, s.heads, key_rows, key_columns, s.value_depth, static_cast<Layout>(g.below(3)), type);
  if (g.one_in(3)) c.attention.scale = g.any_of({0.1, 1.0, -0.3});
  if (g.one_in(2)) {
    c.attention.pair_bias = at::randn({g.one_in(2) ? 1 : s.heads, grid.cells(), keys});
    if (g.one_in(3)) c.attention.pair_bias.masked_fill_(at::rand(c.attention.pair_bias.sizes()) < g.any_of({0.3, 0.95}), -kInfinity);
  }
  c.what = fmt::format("{}, maps {}x{} and {}x{}, {}x{} regions of {}x{} from ({}, {}), {}, keys {}, B {}, H {}, D {}/{}", c10::toString(type), rows, columns, key_rows, key_columns, grid.rows, grid.columns,
                       grid.height, grid.width, -grid.top, -grid.left, c.attention.index.defined() ? "index" : "points", keys, s.batches, s.heads, s.depth, s.value_depth);
  return c;
}

/// Within two roundings of the largest magnitude (section 9 of the tests of attention), and in norm.
inline void expect_regions(const RegionCase& c, const at::Tensor& fast, const at::Tensor& exact) {
  const at::ScalarType type = c.q.scalar_type();
  ASSERT_EQ(fast.scalar_type(), type) << c.what;
  ASSERT_EQ(fast.sizes(), exact.sizes()) << c.what;
  ASSERT_TRUE(at::isfinite(fast).all().item<bool>()) << c.what;
  if (fast.numel() == 0) return;
  const double unit = type == at::kBFloat16 ? 1.0 / 128 : type == at::kHalf ? 1.0 / 1024 : 1e-5;
  EXPECT_LE((fast.to(at::kDouble) - exact).abs().max().item<double>(), 2 * unit * std::max(1.0, c.v.abs().max().item<double>())) << c.what;
  if (exact.norm().item<double>() > 0.3 * std::sqrt(static_cast<double>(exact.numel()))) {
    EXPECT_LE(relative_difference(fast, exact), type == at::kFloat ? 2e-5 : 1.5 * output_gate(type)) << c.what;
  }
}

struct WarpCase {
  at::Tensor x;
  Warp warp;
  std::string what;
};

inline at::Tensor random_planes(Generator& g, int64_t batches, int64_t channels, int64_t rows, int64_t columns, at::ScalarType type) {
  const at::Tensor x = at::randn({batches, channels, rows, columns + 2}).to(type);
  switch (g.below(4)) {
    case 0: return x.slice(3, 1, columns + 1);
    case 1: return x.slice(3, 1, columns + 1).contiguous(at::MemoryFormat::ChannelsLast);
    case 2: return x.slice(3, 1, columns + 1).permute({0, 1, 3, 2}).contiguous().permute({0, 1, 3, 2});
    default: return x.slice(3, 1, columns + 1).contiguous();
  }
}

/// Odd sizes, one cell, both layouts, flows of whole and half cells and far outside, every mode.
inline WarpCase random_warp_case(Generator& g) {
  WarpCase c;
  const at::ScalarType type = g.any_of({at::kFloat, at::kFloat, at::kBFloat16, at::kHalf});
  const int64_t batches = 1 + g.below(3), channels = g.any_of<int64_t>({1, 3, 4, 16, 20, 35}), rows = 1 + g.below(9), columns = g.one_in(8) ? 60 + g.below(12) : 1 + g.below(9);
  c.x = random_planes(g, batches, channels, rows, columns, type);
  Warp& warp = c.warp;
  warp.sampling = g.any_of({WarpSampling::kBilinear, WarpSampling::kNearest});
  warp.padding = g.any_of({WarpPadding::kZeros, WarpPadding::kBorder});
  warp.flow = at::randn({g.one_in(2) ? 1 : batches, 2, rows, columns}) * g.any_of({0.5, 3.0, 20.0});
  if (g.one_in(3)) warp.flow = (warp.flow * 2).round() / 2;
  if (g.one_in(5)) warp.flow.select(1, g.below(2)).select(1, 0).fill_(g.any_of({1e9f, -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}));
  if (g.one_in(2)) {
    warp.base = random_planes(g, batches, channels, rows, columns, type);
    warp.inside_only = g.one_in(2);
    if (g.one_in(2)) warp.mask = g.one_in(2) ? at::rand({batches, 1, rows, columns}) : at::randint(0, 2, {1, 1, rows, columns}, at::kFloat);
  }
  c.what = fmt::format("{}, {}x{}x{}x{}, {} {}, base {}, mask {}", c10::toString(type), batches, channels, rows, columns, warp.sampling == WarpSampling::kNearest ? "nearest" : "bilinear",
                       warp.padding == WarpPadding::kBorder ? "border" : "zeros", warp.base.defined(), warp.mask.defined());
  return c;
}

/// One rounding of a mix of five values.
inline void expect_warp(const WarpCase& c, const at::Tensor& fast, const at::Tensor& exact) {
  const at::ScalarType type = c.x.scalar_type();
  ASSERT_EQ(fast.scalar_type(), type) << c.what;
  ASSERT_TRUE(at::isfinite(fast).all().item<bool>()) << c.what;
  const double largest = std::max(c.x.abs().max().item<double>(), c.warp.base.defined() ? c.warp.base.abs().max().item<double>() : 0);
  const double unit = type == at::kBFloat16 ? 1.0 / 256 : type == at::kHalf ? 1.0 / 2048 : 1e-6;
  EXPECT_LE((fast.to(at::kDouble) - exact).abs().max().item<double>(), 1.01 * unit * largest) << c.what;
}

}  // namespace attelier::kernels
