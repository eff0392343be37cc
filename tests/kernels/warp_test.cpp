// Warps against the double-precision reference on every instruction set, against libtorch's grid sampler, and the invariants of latents that are warped.
#include "kernels/warp.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/map_operators.h"
#include "kernels/reference/maps_reference.h"
#include "tests/kernels/gradients.h"
#include "tests/kernels/levels.h"
#include "tests/kernels/map_cases.h"

namespace attelier::kernels {
namespace {

TEST(Warp, RandomCallsOnEveryInstructionSet) {
  c10::InferenceMode inference;
  at::manual_seed(51);
  Generator g(51);
  for (int64_t n = 0; n < 500 && !testing::Test::HasFailure(); ++n) {
    WarpCase c = random_warp_case(g);
    c.what = fmt::format("case {}, {}", n, c.what);
    const at::Tensor exact = reference::warp(c.x, c.warp);
    on_every_level([&] { expect_warp(c, warp(c.x, c.warp), exact); });
    expect_warp(c, warp_by_operators(c.warp, c.x), exact);
  }
}

/// grid_sample with grid 2 X / (w - 1) - 1 and align_corners, as Rerender-A-Video and TokenWarping do.
TEST(Warp, IsTheGridSamplerOfLibtorch) {
  c10::InferenceMode inference;
  at::manual_seed(52);
  const at::Tensor x = at::randn({2, 4, 12, 17}), flow = at::randn({2, 2, 12, 17}) * 4;
  const at::Tensor across = (flow.select(1, 0) + at::arange(17)) * 2 / 16 - 1, down = (flow.select(1, 1) + at::arange(12).unsqueeze(1)) * 2 / 11 - 1;
  const at::Tensor grid = at::stack({across, down}, 3);
  for (const bool border : {false, true}) {
    Warp call;
    call.flow = flow;
    call.padding = border ? WarpPadding::kBorder : WarpPadding::kZeros;
    EXPECT_LT((warp(x, call) - at::grid_sampler(x, grid, 0, border, true)).abs().max().item<double>(), 1e-5);
    call.sampling = WarpSampling::kNearest;
    EXPECT_LT((warp(x, call) - at::grid_sampler(x, grid, 1, border, true)).abs().max().item<double>(), 1e-5);
  }
}

class WarpedLatents : public testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(53);
    x_ = at::randn({2, 4, 10, 13});
    call_.flow = at::zeros({1, 2, 10, 13});
    call_.base = at::randn({2, 4, 10, 13});
  }
  void move(double right, double down) {
    call_.flow.select(1, 0).fill_(right);
    call_.flow.select(1, 1).fill_(down);
  }

  at::Tensor x_;
  Warp call_;
};

TEST_F(WarpedLatents, NoFlowIsTheIdentityAndNoMaskTheBaseBitForBit) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble})
    for (const bool last : {false, true})
      for (const WarpSampling sampling : {WarpSampling::kBilinear, WarpSampling::kNearest}) {
        const at::Tensor x = x_.to(type).contiguous(last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
        call_.base = call_.base.to(type);
        call_.sampling = sampling;
        call_.mask = at::Tensor();
        EXPECT_TRUE(at::equal(warp(x, call_), x));
        EXPECT_EQ(warp(x, call_).is_contiguous(at::MemoryFormat::ChannelsLast), last);
        call_.mask = at::zeros({1, 1, 10, 13});
        EXPECT_TRUE(at::equal(warp(x, call_), call_.base));
      }
}

TEST_F(WarpedLatents, WholeFlowsShiftAndTheEnteringStripKeepsTheBase) {
  move(3, -2);  // what lies 3 cells to the right and 2 above comes here
  for (const WarpSampling sampling : {WarpSampling::kBilinear, WarpSampling::kNearest}) {
    call_.sampling = sampling;
    const at::Tensor y = warp(x_, call_);
    EXPECT_TRUE(at::equal(y.slice(2, 2).slice(3, 0, 10), x_.slice(2, 0, 8).slice(3, 3)));
    EXPECT_TRUE(at::equal(y.slice(2, 0, 2), call_.base.slice(2, 0, 2)));
    EXPECT_TRUE(at::equal(y.slice(3, 10), call_.base.slice(3, 10)));
    call_.inside_only = false;
    EXPECT_EQ(warp(x_, call_).slice(2, 0, 2).abs().max().item<float>(), 0) << "zeros beyond the border";
    call_.padding = WarpPadding::kBorder;
    EXPECT_TRUE(at::equal(warp(x_, call_).slice(2, 0, 2).slice(3, 0, 10), x_.slice(2, 0, 1).slice(3, 3).expand({2, 4, 2, 10})));
    call_.padding = WarpPadding::kZeros;
    call_.inside_only = true;
  }
}

/// A feature at column 5 of the frame before that the flow finds 1 cell to the left: it lands at column 6.
TEST_F(WarpedLatents, TheFlowLeadsFromTheResultToItsOrigin) {
  const at::Tensor before = at::zeros({1, 1, 10, 13});
  before[0][0][4][5] = 1;
  Warp call;
  call.flow = at::zeros({1, 2, 10, 13});
  call.flow.select(1, 0).fill_(-1);
  EXPECT_EQ(warp(before, call)[0][0][4][6].item<float>(), 1);
}

TEST_F(WarpedLatents, HalvesGoToTheEvenCell) {
  move(0.5, 0);
  call_.sampling = WarpSampling::kNearest;
  const at::Tensor y = warp(x_, call_);
  EXPECT_TRUE(at::equal(y.select(3, 0), x_.select(3, 0)));
  EXPECT_TRUE(at::equal(y.select(3, 1), x_.select(3, 2)));
  EXPECT_TRUE(at::equal(y.select(3, 2), x_.select(3, 2)));
}

TEST_F(WarpedLatents, NearestKeepsTheVarianceOfNoiseAndBilinearDoesNot) {
  const at::Tensor noise = at::randn({1, 4, 200, 200});
  Warp call;
  call.flow = at::full({1, 2, 200, 200}, 0.49);
  call.padding = WarpPadding::kBorder;
  EXPECT_LT(warp(noise, call).var().item<double>(), 0.5);
  call.sampling = WarpSampling::kNearest;
  EXPECT_NEAR(warp(noise, call).var().item<double>(), noise.var().item<double>(), 0.02);
}

TEST_F(WarpedLatents, TheNumberOfThreadsChangesNoBit) {
  const at::Tensor x = at::randn({1, 8, 200, 201});
  Warp call;
  call.flow = at::randn({1, 2, 200, 201}) * 9;
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = warp(x, call);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(warp(x, call), one));
  at::set_num_threads(before);
}

TEST_F(WarpedLatents, GradientsAreThoseOfTheValues) {
  const at::TensorOptions wide = at::TensorOptions(at::kDouble);
  const std::vector<at::Tensor> inputs = {at::randn({2, 2, 3, 4}, wide), at::randn({1, 2, 3, 4}, wide), at::randn({2, 2, 3, 4}, wide), at::rand({1, 1, 3, 4}, wide)};
  for (const WarpPadding padding : {WarpPadding::kZeros, WarpPadding::kBorder})
    for (const bool inside_only : {false, true})
      expect_gradients(inputs, [&](const std::vector<at::Tensor>& in) { return warp(in[0], {in[1], WarpSampling::kBilinear, padding, in[2], in[3], inside_only}); });
  // At whole coordinates the slope to the right.
  at::AutoGradMode gradients(true);
  const at::Tensor flow = at::zeros({1, 2, 3, 4}, wide).set_requires_grad(true);
  Warp moved;
  moved.flow = flow;
  warp(inputs[0], moved).sum().backward();
  const at::Tensor row = inputs[0].sum(0).sum(0);
  EXPECT_NEAR(flow.grad()[0][0][1][1].item<double>(), (row[1][2] - row[1][1]).item<double>(), 1e-12);
}

TEST_F(WarpedLatents, EveryWrongArgumentIsNamed) {
  const auto expect = [&](const std::string& start, const std::string& part, const std::function<void(Warp&, at::Tensor&)>& spoil) {
    Warp call = call_;
    at::Tensor x = x_;
    EXPECT_NO_THROW(validate(call, x));
    spoil(call, x);
    std::string text;
    try {
      validate(call, x);
    } catch (const std::invalid_argument& error) {
      text = error.what();
    }
    EXPECT_TRUE(text.starts_with(start + ": ") && text.find(part) != std::string::npos) << start << ", " << part << ": " << text;
  };
  using T = at::Tensor;
  expect("x", "[B,C,rows,columns]", [](Warp&, T& x) { x = x[0]; });
  expect("x", "floating-point", [](Warp&, T& x) { x = x.to(at::kInt); });
  expect("flow", "missing", [](Warp& w, T&) { w.flow = at::Tensor(); });
  expect("flow", "[2|1,2,10,13]", [](Warp& w, T&) { w.flow = w.flow.slice(1, 0, 1); });
  expect("flow", "floating-point", [](Warp& w, T&) { w.flow = w.flow.to(at::kLong); });
  expect("base", "shape", [](Warp& w, T&) { w.base = w.base.slice(0, 0, 1); });
  expect("base", "dtype", [](Warp& w, T&) { w.base = w.base.to(at::kDouble); });
  expect("mask", "[2|1,1,10,13]", [](Warp& w, T&) { w.mask = at::ones({2, 2, 10, 13}); });
  expect("mask", "only with a base", [](Warp& w, T&) { w.base = at::Tensor(), w.mask = at::ones({1, 1, 10, 13}); });
  Warp still;
  still.flow = at::zeros({1, 2, 3, 3});
  EXPECT_EQ(warp(at::empty({0, 4, 3, 3}), still).sizes(), at::IntArrayRef({0, 4, 3, 3}));
}

}  // namespace
}  // namespace attelier::kernels
