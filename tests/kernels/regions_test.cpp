// Region attention against the double-precision reference on every instruction set, against libtorch's operators, and what must hold exactly.
#include "kernels/regions.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/map_operators.h"
#include "kernels/reference/maps_reference.h"
#include "tests/kernels/gradients.h"
#include "tests/kernels/levels.h"
#include "tests/kernels/map_cases.h"

namespace attelier::kernels {
namespace {

TEST(Regions, RandomCallsOnEveryInstructionSet) {
  c10::InferenceMode inference;
  at::manual_seed(41);
  Generator g(41);
  for (int64_t n = 0; n < 600 && !testing::Test::HasFailure(); ++n) {
    RegionCase c = random_region_case(g);
    c.what = fmt::format("case {}, {}", n, c.what);
    const at::Tensor exact = reference::attend_regions(c.q, c.k, c.v, c.attention);
    on_every_level([&] { expect_regions(c, attend_regions(c.q, c.k, c.v, c.attention), exact); });
    expect_regions(c, regions_by_operators(c.attention, c.q, c.k, c.v), exact);
  }
}

TEST(Regions, OperatorsInDoubleAreTheReference) {
  at::manual_seed(42);
  Generator g(42);
  for (int64_t n = 0; n < 60; ++n) {
    RegionCase c = random_region_case(g);
    for (at::Tensor* x : {&c.q, &c.k, &c.v}) *x = x->to(at::kDouble);
    if (c.attention.points.defined()) c.attention.points = c.attention.points.to(at::kDouble);
    const at::Tensor exact = reference::attend_regions(c.q, c.k, c.v, c.attention), o = attend_regions(c.q, c.k, c.v, c.attention);
    EXPECT_LE(o.numel() == 0 ? 0 : (o - exact).abs().max().item<double>(), 1e-10) << c.what;
  }
}

/// Sizes of the models: BiFormer's three stages (queries of a region, keys), and windows of 7 and 12 cells.
TEST(Regions, SizesOfTheModels) {
  c10::InferenceMode inference;
  at::manual_seed(43);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (const auto& [side, regions, choices] : std::vector<std::array<int64_t, 3>>{{56, 7, 1}, {28, 7, 4}, {14, 7, 16}}) {
      RegionCase c{random_map(1, 2, side, side, 32, Layout::kStrided, type), random_map(1, 2, side, side, 32, Layout::kStrided, type), random_map(1, 2, side, side, 32, Layout::kStrided, type), {}, {}};
      c.attention.grid = regions_over(side, side, side / regions, side / regions);
      c.attention.index = at::rand({1, 1, 49, 49}).argsort(int64_t{3}, false).slice(3, 0, choices);
      c.attention.scale = 0.125;
      c.what = fmt::format("{} choices of {}", choices, c10::toString(type));
      expect_regions(c, attend_regions(c.q, c.k, c.v, c.attention), reference::attend_regions(c.q, c.k, c.v, c.attention));
    }
  for (const int64_t side : {7, 12}) {
    RegionCase c{random_map(1, 2, 16, 20, 32, Layout::kTokensFirst, at::kFloat), random_map(1, 2, 16, 20, 32, Layout::kTokensFirst, at::kFloat), random_map(1, 2, 16, 20, 64, Layout::kTokensFirst, at::kFloat), {}, {}};
    c.attention.grid = regions_over(16, 20, side, side);
    c.attention.points = window_points(c.attention.grid, at::randn({1, 2, c.attention.grid.regions(), 2}) * 3, 1 + 0.5 * at::randn({1, 2, c.attention.grid.regions(), 2}));
    c.attention.pair_bias = at::randn({2, side * side, side * side});
    c.what = fmt::format("windows of {}", side);
    expect_regions(c, attend_regions(c.q, c.k, c.v, c.attention), reference::attend_regions(c.q, c.k, c.v, c.attention));
  }
}

class Maps : public testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(44);
    q_ = random_map(2, 3, 12, 15, 16, Layout::kTokensFirst, at::kFloat);
    k_ = random_map(2, 3, 12, 15, 16, Layout::kTokensFirst, at::kFloat);
    v_ = random_map(2, 3, 12, 15, 24, Layout::kStrided, at::kFloat);
    by_index_.grid = by_points_.grid = regions_over(12, 15, 4, 5);
    by_index_.index = at::arange(9).view({1, 1, 9, 1});
    by_points_.points = points(0, 1);
  }

  at::Tensor points(double offset, double scale) const {
    const at::Tensor ones = at::ones({2, 3, 9, 2});
    return window_points(by_points_.grid, ones * offset, ones * scale);
  }
  at::Tensor run(const RegionAttention& attention) const { return attend_regions(q_, k_, v_, attention); }
  static double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

  at::Tensor q_, k_, v_;
  RegionAttention by_index_, by_points_;
};

TEST_F(Maps, AllRegionsAreDenseAttentionInAnyOrder) {
  by_index_.index = at::arange(9).expand({1, 1, 9, 9});
  const at::Tensor dense = plain_attention(q_.flatten(2, 3), k_.flatten(2, 3), v_.flatten(2, 3)).unflatten(2, {12, 15});
  EXPECT_LT(difference(run(by_index_), dense), 1e-5);
  by_index_.index = by_index_.index.flip(3);
  EXPECT_LT(difference(run(by_index_), dense), 1e-5);
  by_index_.grid = regions_over(12, 15, 12, 15);
  by_index_.index = at::zeros({1, 1, 1, 1}, at::kLong);
  EXPECT_LT(difference(run(by_index_), dense), 1e-5) << "one region";
}

TEST_F(Maps, WindowsAtRestAreTheirOwnRegions) { EXPECT_LT(difference(run(by_index_), run(by_points_)), 1e-6); }

TEST_F(Maps, AWindowOfOnePointGivesItsValue) {
  by_points_.points = points(0, 0);  // the centre of 4 x 5 cells
  const at::Tensor o = run(by_points_);
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 3; ++j) {
      const at::Tensor region = o.slice(2, 4 * i, 4 * i + 4).slice(3, 5 * j, 5 * j + 5);
      const at::Tensor value = (v_.select(2, 4 * i + 1) + v_.select(2, 4 * i + 2)).select(2, 5 * j + 2) / 2;
      EXPECT_LT(difference(region, value.unsqueeze(2).unsqueeze(2).expand_as(region)), 1e-6);
    }
}

TEST_F(Maps, AWindowMovedByItsSizeSeesItsNeighbour) {
  by_points_.points = points(0, 1);
  by_points_.points.select(4, 0).add_(5);
  by_index_.index = at::tensor({1, 2, 0, 4, 5, 0, 7, 8, 0}).view({1, 1, 9, 1});
  const at::Tensor moved = run(by_points_);
  EXPECT_LT(difference(moved.slice(3, 0, 10), run(by_index_).slice(3, 0, 10)), 1e-6);
  EXPECT_EQ(moved.slice(3, 10).abs().max().item<float>(), 0) << "beyond the last column";
}

/// The official formula: linspace coordinates in [-1, 1], sampled with align_corners (ViTAE-VSA vsa.py).
TEST_F(Maps, PointsOfVsaAreTheOfficialOnes) {
  const int64_t rows = 14, columns = 21, side = 7, down = 2, across = 3;
  const at::TensorOptions wide = at::TensorOptions(at::kDouble);
  const at::Tensor offsets = at::randn({1, 2, down * across, 2}, wide), scales = at::randn({1, 2, down * across, 2}, wide) * 0.3;
  const at::Tensor x = at::linspace(-1, 1, columns, wide), y = at::linspace(-1, 1, rows, wide);
  const at::Tensor raw = offsets / at::tensor({across, down}, wide);
  const RegionGrid grid = regions_over(rows, columns, side, side);
  const at::Tensor pixels = window_points(grid, raw * at::tensor({columns - 1, rows - 1}, wide) / 2, 1 + scales);
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t g = 0; g < down * across; ++g)
      for (int64_t i = 0; i < side * side; ++i) {
        const auto expected = [&](const at::Tensor& line, int64_t region, int64_t cell, int64_t axis) {
          const at::Tensor own = line.slice(0, region * side, (region + 1) * side), centre = own.mean();
          const at::Tensor base = own - centre;
          const at::Tensor g_axis = centre + base[cell] + base[cell] * scales[0][h][g][axis] + raw[0][h][g][axis];
          return ((g_axis + 1) / 2 * (static_cast<double>(line.numel()) - 1)).item<double>();
        };
        EXPECT_NEAR(pixels[0][h][g][i][0].item<double>(), expected(x, g % across, i % side, 0), 1e-9);
        EXPECT_NEAR(pixels[0][h][g][i][1].item<double>(), expected(y, g / across, i / side, 1), 1e-9);
      }
}

TEST_F(Maps, AbsentRegionsCountForNothing) {
  const at::Tensor own = run(by_index_);
  by_index_.index = at::cat({at::full({1, 1, 9, 1}, -1, at::kLong), by_index_.index, at::full({1, 1, 9, 2}, -1, at::kLong)}, 3);
  EXPECT_TRUE(at::equal(run(by_index_), own));
  by_index_.index = by_index_.index.fill_(-1);
  EXPECT_EQ(run(by_index_).abs().max().item<float>(), 0);
}

TEST_F(Maps, OtherRegionsAreNotRead) {
  by_index_.index = at::zeros({1, 1, 9, 2}, at::kLong);
  const at::Tensor clean = run(by_index_);
  for (const at::Tensor& x : {k_, v_}) x.slice(2, 4).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(at::equal(run(by_index_), clean));
  by_points_.points = at::ones({1, 1, 9, 4, 2}) * 2;
  EXPECT_TRUE(at::isfinite(run(by_points_)).all().item<bool>()) << "whole coordinates read one cell";
}

TEST_F(Maps, TheNumberOfThreadsChangesNoBit) {
  for (const RegionAttention& attention : {by_index_, by_points_}) {
    const int before = at::get_num_threads();
    at::set_num_threads(1);
    const at::Tensor one = run(attention);
    at::set_num_threads(3);
    EXPECT_TRUE(at::equal(run(attention), one));
    at::set_num_threads(before);
  }
}

TEST_F(Maps, OutputsLieAsTheNextLayerReadsThem) {
  EXPECT_TRUE(run(by_index_).permute({0, 2, 3, 1, 4}).is_contiguous());
  EXPECT_EQ(attend_regions(q_.slice(0, 0, 0), k_.slice(0, 0, 0), v_.slice(0, 0, 0), by_index_).sizes(), at::IntArrayRef({0, 3, 12, 15, 24}));
}

TEST_F(Maps, GradientsAreThoseOfTheValues) {
  const at::TensorOptions wide = at::TensorOptions(at::kDouble);
  const at::Tensor q = at::randn({1, 2, 3, 4, 2}, wide), k = at::randn({1, 2, 3, 4, 2}, wide), v = at::randn({1, 2, 3, 4, 3}, wide);
  const RegionGrid grid = regions_over(3, 4, 2, 2);
  expect_gradients({q, k, v, at::randn({2, 4, 8}, wide)}, [&](const std::vector<at::Tensor>& in) {
    RegionAttention attention{grid, at::tensor({0, 1, 1, 3, -1, 2, 3, 3}).view({1, 1, 4, 2}), {}, 0.7, in[3]};
    return attend_regions(in[0], in[1], in[2], attention);
  });
  expect_gradients({q, k, v, at::randn({1, 2, 4, 2}, wide), 1 + 0.3 * at::randn({1, 2, 4, 2}, wide)}, [&](const std::vector<at::Tensor>& in) {
    RegionAttention attention{grid, {}, window_points(grid, in[3], in[4]), {}, {}};
    return attend_regions(in[0], in[1], in[2], attention);
  });
}

TEST_F(Maps, TrainingInBfloat16IsCloseToFloat32) {
  const auto gradient = [&](at::ScalarType type) {
    at::AutoGradMode gradients(true);
    const at::Tensor k = k_.to(type).detach().set_requires_grad(true);
    attend_regions(q_.to(type), k, v_.to(type), by_points_).pow(2).sum().backward();
    return k.grad().to(at::kFloat);
  };
  const at::Tensor exact = gradient(at::kFloat);
  EXPECT_LT(relative_difference(gradient(at::kBFloat16), exact), 2e-2);
}

std::string refusal(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const RegionAttention& attention) {
  try {
    validate(attention, q, k, v);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST_F(Maps, EveryWrongArgumentIsNamed) {
  const auto expect = [&](const std::string& start, const std::string& part, const std::function<void(RegionAttention&, at::Tensor&, at::Tensor&, at::Tensor&)>& spoil, bool index = true) {
    RegionAttention attention = index ? by_index_ : by_points_;
    at::Tensor q = q_, k = k_, v = v_;
    EXPECT_EQ(refusal(q, k, v, attention), "");
    spoil(attention, q, k, v);
    const std::string text = refusal(q, k, v, attention);
    EXPECT_TRUE(text.starts_with(start + ": ") && text.find(part) != std::string::npos) << start << ", " << part << ": " << text;
  };
  using R = RegionAttention;
  using T = at::Tensor;
  expect("q", "[B,H,rows,columns,D]", [](R&, T& q, T&, T&) { q = q.flatten(2, 3); });
  expect("q", "dtype", [](R&, T& q, T&, T&) { q = q.to(at::kInt); });
  expect("k", "dtype", [](R&, T&, T& k, T&) { k = k.to(at::kHalf); });
  expect("k", "heads", [](R&, T&, T& k, T&) { k = k.slice(1, 0, 1); });
  expect("k", "width", [](R&, T&, T& k, T&) { k = k.slice(4, 0, 8); });
  expect("k", "maps of one size", [](R&, T&, T& k, T& v) { k = k.slice(2, 0, 8), v = v.slice(2, 0, 8); });
  expect("v", "cells", [](R&, T&, T&, T& v) { v = v.slice(3, 0, 8); });
  expect("v", "at least 1", [](R&, T&, T&, T& v) { v = v.slice(4, 0, 0); });
  expect("grid", "rows of regions", [](R& a, T&, T&, T&) { a.grid.rows = 0; });
  expect("grid", "top", [](R& a, T&, T&, T&) { a.grid.top = 4; });
  expect("grid", "covers 8 of the map's 12", [](R& a, T&, T&, T&) { a.grid.rows = 2; });
  expect("grid", "beyond", [](R& a, T&, T&, T&) { a.grid.columns = 4; });
  expect("index", "missing", [](R& a, T&, T&, T&) { a.index = at::Tensor(); });
  expect("points", "beside index", [](R& a, T&, T&, T&) { a.points = at::zeros({1, 1, 9, 1, 2}); });
  expect("index", "int64 or int32", [](R& a, T&, T&, T&) { a.index = a.index.to(at::kFloat); });
  expect("index", "[2|1,3|1,9,any]", [](R& a, T&, T&, T&) { a.index = a.index.slice(2, 0, 8); });
  expect("index", "holds 9", [](R& a, T&, T&, T&) { a.index = a.index + 1; });
  expect("index", "holds -2", [](R& a, T&, T&, T&) { a.index = a.index - 2; });
  expect("points", "dtype", [](R& a, T&, T&, T&) { a.points = a.points.to(at::kLong); }, false);
  expect("points", "[2|1,3|1,9,any,2]", [](R& a, T&, T&, T&) { a.points = a.points.select(4, 0); }, false);
  expect("scale", "finite", [](R& a, T&, T&, T&) { a.scale = std::nan(""); });
  expect("pair_bias", "[3|1,20,20]", [](R& a, T&, T&, T&) { a.pair_bias = at::zeros({1, 20, 19}); });
  expect("pair_bias", "dtype", [](R& a, T&, T&, T&) { a.pair_bias = at::zeros({1, 20, 20}, at::kInt); });
  EXPECT_THROW(window_points(by_points_.grid, at::zeros({1, 1, 8, 2}), at::zeros({1, 1, 8, 2})), std::invalid_argument);
  EXPECT_THROW(window_points(by_points_.grid, at::zeros({1, 1, 9, 2}), at::zeros({1, 2, 9, 2})), std::invalid_argument);
  EXPECT_THROW(regions_over(4, 4, 0, 1), std::invalid_argument);
}

}  // namespace
}  // namespace attelier::kernels
