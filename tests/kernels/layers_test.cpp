// The layer kernels against libtorch in double, on every instruction set of this machine.
#include "kernels/layers.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "tests/kernels/levels.h"

namespace attelier::kernels {
namespace {

double error(const at::Tensor& value, const at::Tensor& exact) { return ((value.to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>(); }

/// One rounding of the result; in bfloat16 half a unit in the last place.
double bound(at::ScalarType type) { return type == at::kFloat ? 2e-6 : 0x1p-8; }

at::Tensor exact_group_norm(const at::Tensor& x, int64_t groups, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& shift, bool silu) {
  at::Tensor wide = x.to(at::kDouble);
  if (shift.defined()) wide = wide + shift.to(at::kDouble).unsqueeze(2).unsqueeze(3);
  const at::Tensor y = at::group_norm(wide, groups, weight.to(at::kDouble), bias.to(at::kDouble), 1e-5);
  return silu ? at::silu(y) : y;
}

TEST(LayerKernels, GroupNormIsTheReferenceAtOddSizes) {
  c10::InferenceMode inference;
  at::manual_seed(1);
  on_every_level([&] {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
      for (const auto& [batches, channels, height, width, groups] :
           std::vector<std::array<int64_t, 5>>{{2, 320, 16, 16, 32}, {1, 48, 5, 7, 16}, {3, 36, 1, 1, 4}, {1, 7, 9, 13, 7}, {2, 130, 33, 31, 10}, {1, 5, 150, 100, 1}})
        for (const bool silu : {false, true})
          for (const bool shifted : {false, true}) {
            SCOPED_TRACE(fmt::format("{} {}x{}x{}x{} groups {} silu {} shift {}", at::toString(type), batches, channels, height, width, groups, silu, shifted));
            const at::Tensor x = (at::randn({batches, channels, height, width}) * 3 + 1).to(type).contiguous(at::MemoryFormat::ChannelsLast);
            const at::Tensor weight = at::randn({channels}).to(type), bias = at::randn({channels}).to(type);
            const at::Tensor shift = shifted ? at::randn({batches, channels}).to(type) : at::Tensor();
            const at::Tensor y = group_norm(x, groups, weight, bias, 1e-5, shift, silu);
            EXPECT_EQ(y.scalar_type(), type);
            EXPECT_LT(error(y, exact_group_norm(x, groups, weight, bias, shift, silu)), bound(type));
          }
  });
}

TEST(LayerKernels, GroupNormKeepsItsDigitsFarFromZero) {
  c10::InferenceMode inference;
  at::manual_seed(2);
  const at::Tensor x = (at::randn({1, 32, 64, 64}) + 1000).contiguous(at::MemoryFormat::ChannelsLast), one = at::ones({32}), zero = at::zeros({32});
  on_every_level([&] { EXPECT_LT(error(group_norm(x, 4, one, zero, 1e-5), exact_group_norm(x, 4, one, zero, {}, false)), 1e-4); });
}

TEST(LayerKernels, GroupNormDoesNotDependOnTheThreadCount) {
  c10::InferenceMode inference;
  at::manual_seed(3);
  const at::Tensor x = at::randn({2, 64, 40, 40}).contiguous(at::MemoryFormat::ChannelsLast), one = at::ones({64}), zero = at::zeros({64});
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor y = group_norm(x, 32, one, zero, 1e-5, {}, true);
  at::set_num_threads(2);
  EXPECT_TRUE(at::equal(group_norm(x, 32, one, zero, 1e-5, {}, true), y));
  at::set_num_threads(before);
}

TEST(LayerKernels, OtherLayoutsAndGradientsTakeLibtorch) {
  at::manual_seed(4);
  const at::Tensor x = at::randn({2, 8, 5, 6}), weight = at::randn({8}), bias = at::randn({8});
  EXPECT_LT(error(group_norm(x, 2, weight, bias, 1e-5, {}, true), exact_group_norm(x, 2, weight, bias, {}, true)), 2e-6);
  at::Tensor leaf = x.contiguous(at::MemoryFormat::ChannelsLast).clone().set_requires_grad(true);
  group_norm(leaf, 2, weight, bias, 1e-5, {}, true).sum().backward();
  EXPECT_TRUE(leaf.grad().defined());
  at::Tensor rows = at::randn({3, 10}).set_requires_grad(true);
  gated_gelu(rows).sum().backward();
  EXPECT_TRUE(rows.grad().defined());
}

TEST(LayerKernels, BatchNormWithSiluIsTheReference) {
  at::manual_seed(6);
  on_every_level([&] {
    const c10::InferenceMode inference;
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
      for (const auto& [batches, channels, height, width] : std::vector<std::array<int64_t, 4>>{{2, 256, 56, 56}, {1, 48, 5, 7}, {3, 3, 1, 1}, {1, 1, 150, 100}}) {
        const at::Tensor x = (at::randn({batches, channels, height, width}) * 3 + 1).to(type).contiguous(at::MemoryFormat::ChannelsLast);
        const at::Tensor mean = at::randn({channels}).to(type), variance = (at::rand({channels}) + 0.1).to(type), weight = at::randn({channels}).to(type), bias = at::randn({channels}).to(type);
        const auto exact = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
        const at::Tensor expected = at::silu(at::batch_norm(exact(x), exact(weight), exact(bias), exact(mean), exact(variance), false, 0, 1e-5, false));
        EXPECT_LT(error(batch_norm_silu(x, mean, variance, weight, bias, 1e-5), expected), bound(type)) << channels;
        EXPECT_LT(error(batch_norm_silu(x.contiguous(), mean, variance, weight, bias, 1e-5), expected), 4 * bound(type)) << channels;
      }
  });
  const at::Tensor weight = at::ones({4}).requires_grad_(), zeros = at::zeros({4}), x = at::randn({1, 4, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  batch_norm_silu(x, zeros, at::ones({4}), weight, zeros, 1e-5).sum().backward();
  EXPECT_TRUE(weight.grad().defined());
}

TEST(LayerKernels, OnlyWhatNobodyElseHoldsIsOverwritten) {
  at::manual_seed(7);
  const at::Tensor values = at::randn({2, 8, 6, 6}).contiguous(at::MemoryFormat::ChannelsLast), zeros = at::zeros({8}), ones = at::ones({8}), expected = at::gelu(values);
  const auto normalise = [&](at::Tensor x) { return batch_norm_silu(std::move(x), zeros, ones, ones, zeros, 1e-5); };
  const auto both = [&](const auto& layer) {
    const c10::NoGradGuard no_grad;
    at::Tensor held = values.clone(), alone = values.clone();
    const void* const place = alone.const_data_ptr();
    layer(held);
    EXPECT_TRUE(held.equal(values));
    EXPECT_EQ(layer(std::move(alone)).const_data_ptr(), place);
    // Views share their memory with a tensor that somebody holds, or with none.
    at::Tensor view = held.view_as(held);
    layer(std::move(view));
    EXPECT_TRUE(held.equal(values));
    at::Tensor orphan = values.clone().view_as(values);
    const void* const its_place = orphan.const_data_ptr();
    EXPECT_EQ(layer(std::move(orphan)).const_data_ptr(), its_place);
    at::Tensor part = values.narrow(0, 0, 1), copy = values.clone();
    layer(std::move(part));
    EXPECT_TRUE(values.equal(copy));
  };
  both([](at::Tensor x) { return kernels::gelu(std::move(x)); });
  both(normalise);
  EXPECT_TRUE(at::allclose(kernels::gelu(values.clone()), expected));
  at::Tensor learnt = values.clone().requires_grad_();
  kernels::gelu(learnt * 1).sum().backward();
  EXPECT_TRUE(learnt.grad().defined());
}

TEST(LayerKernels, GatedGeluIsTheReference) {
  c10::InferenceMode inference;
  at::manual_seed(5);
  on_every_level([&] {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
      for (const int64_t width : {1, 7, 16, 100, 1280}) {
        const at::Tensor x = (at::randn({3, 5, 2 * width}) * 4).to(type);
        const std::vector<at::Tensor> halves = x.to(at::kDouble).chunk(2, -1);
        const at::Tensor exact = halves[0] * at::gelu(halves[1]);
        EXPECT_LT(((gated_gelu(x).to(at::kDouble) - exact).abs() / (exact.abs() + 1e-3)).max().item<double>(), type == at::kFloat ? 3e-6 : 0x1p-8) << width;
      }
    EXPECT_TRUE(gated_gelu(at::full({2, 64}, std::nanf(""))).isnan().all().item<bool>());
    EXPECT_EQ(gated_gelu(at::empty({0, 8})).sizes(), at::IntArrayRef({0, 4}));
  });
}

}  // namespace
}  // namespace attelier::kernels
