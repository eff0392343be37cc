// The 3x3 convolution against libtorch in double, on every instruction set of this machine.
#include "kernels/convolution.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "tests/kernels/levels.h"

namespace attelier::kernels {
namespace {

struct Case {
  int64_t batches, channels, outputs, height, width;
};

at::Tensor exact(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& addend) {
  const at::Tensor y = at::conv2d(x.to(at::kDouble), weight.to(at::kDouble), bias.defined() ? bias.to(at::kDouble) : bias, 1, 1);
  return addend.defined() ? y + addend : y;
}

double error(const at::Tensor& value, const at::Tensor& expected) { return ((value.to(at::kDouble) - expected).abs().max() / expected.abs().max()).item<double>(); }

TEST(Convolution, IsTheReferenceAtOddSizes) {
  c10::InferenceMode inference;
  at::manual_seed(1);
  on_every_level([] {
    for (const auto& [batches, channels, outputs, height, width] :
         std::vector<Case>{{1, 16, 16, 1, 1}, {2, 16, 32, 1, 7}, {1, 48, 112, 5, 7}, {3, 64, 80, 9, 4}, {2, 96, 16, 13, 13}, {1, 128, 144, 33, 2}, {1, 320, 64, 20, 31}, {1, 16, 16, 61, 67},
                           {1, 180, 180, 6, 9}, {2, 17, 15, 3, 5}, {1, 29, 125, 8, 4}})
      for (const bool with_bias : {false, true})
        for (const bool with_addend : {false, true}) {
          SCOPED_TRACE(fmt::format("{}x{}x{}x{} -> {} bias {} addend {}", batches, channels, height, width, outputs, with_bias, with_addend));
          const at::Tensor x = at::randn({batches, channels, height, width}), weight = at::randn({outputs, channels, 3, 3});
          const at::Tensor bias = with_bias ? at::randn({outputs}) : at::Tensor(), addend = with_addend ? at::randn({batches, outputs, height, width}) : at::Tensor();
          const at::Tensor y = convolve_3x3(x, pack_3x3(weight), weight.sizes(), bias, addend);
          EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
          EXPECT_LT(error(y, exact(x, weight, bias, addend)), 2e-6);
        }
  });
}

TEST(Convolution, TakesChannelsLastAndViews) {
  c10::InferenceMode inference;
  at::manual_seed(2);
  const at::Tensor weight = at::randn({32, 48, 3, 3}), packed = pack_3x3(weight), wide = at::randn({2, 96, 11, 12}).contiguous(at::MemoryFormat::ChannelsLast);
  for (const at::Tensor& x : {wide.slice(1, 0, 48), wide.slice(1, 48, 96).slice(2, 1, 9), wide.slice(1, 0, 48).transpose(2, 3), wide.slice(1, 0, 96, 2)})
    EXPECT_LT(error(convolve_3x3(x, packed, weight.sizes(), {}, {}), exact(x, weight, {}, {})), 2e-6);
  const at::Tensor x = wide.slice(1, 0, 48), row = at::randn({1, 32, 1, 1});
  EXPECT_LT(error(convolve_3x3(x, packed, weight.sizes(), {}, row), exact(x, weight, {}, row)), 2e-6);
  EXPECT_EQ(convolve_3x3(at::randn({0, 48, 4, 4}), packed, weight.sizes(), {}, {}).sizes(), at::IntArrayRef({0, 32, 4, 4}));
  EXPECT_THROW(convolve_3x3(at::randn({1, 40, 4, 4}), packed, weight.sizes(), {}, {}), c10::Error);
}

TEST(Convolution, PackedWeightsComeBackBitForBit) {
  at::manual_seed(3);
  for (const int64_t outputs : {15, 16, 64, 80, 128, 180, 320}) {
    const at::Tensor weight = at::randn({outputs, 48, 3, 3});
    EXPECT_TRUE(at::equal(unpack_3x3(pack_3x3(weight), weight.sizes()), weight));
  }
  for (const at::Tensor& weight : {at::randn({16, 32, 3, 3}), at::randn({180, 180, 3, 3}), at::randn({13, 17, 3, 3})}) EXPECT_TRUE(can_pack_3x3(weight));
  for (const at::Tensor& other : {at::randn({16, 32, 1, 1}), at::randn({8, 32, 3, 3}), at::randn({16, 4, 3, 3}), at::randn({16, 32, 3, 3}).to(at::kBFloat16), at::randn({16, 32}), at::Tensor()})
    EXPECT_FALSE(can_pack_3x3(other));
}

TEST(Convolution, DoesNotDependOnTheThreadCount) {
  c10::InferenceMode inference;
  at::manual_seed(4);
  const at::Tensor x = at::randn({2, 32, 50, 50}), weight = at::randn({160, 32, 3, 3}), packed = pack_3x3(weight);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor y = convolve_3x3(x, packed, weight.sizes(), {}, {});
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(convolve_3x3(x, packed, weight.sizes(), {}, {}), y));
  }
  at::set_num_threads(before);
}

/// An infinite or undefined number spoils the outputs that see it, and those of the same 2x2 tile: no others.
TEST(Convolution, NotANumberStaysLocal) {
  c10::InferenceMode inference;
  const at::Tensor weight = at::ones({16, 16, 3, 3});
  at::Tensor x = at::ones({1, 16, 12, 12});
  x.index_put_({at::tensor(0), at::tensor(3), at::tensor(6), at::tensor(6)}, at::full({}, std::nan("")));
  const at::Tensor spoilt = convolve_3x3(x, pack_3x3(weight), weight.sizes(), {}, {}).isnan().any(1);
  EXPECT_TRUE(spoilt.slice(1, 5, 8).slice(2, 5, 8).all().item<bool>());
  EXPECT_EQ(spoilt.sum().item<int64_t>(), spoilt.slice(1, 4, 8).slice(2, 4, 8).sum().item<int64_t>());
}

}  // namespace
}  // namespace attelier::kernels
