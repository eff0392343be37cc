#include "core/nn/layers.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "core/base/context.h"
#include "core/nn/prepared_weights.h"

namespace attelier::nn {
namespace {

struct Pair : Module {
  Pair() : linear(24, 40), conv(24, 40, 3, 2, 1), norm(8, 24, 1e-5) {
    add("a.linear", linear);
    add("", conv);
    add("norm", norm);
  }
  Linear linear;
  Conv2d conv;
  GroupNorm norm;
};

class Layers : public ::testing::Test {
 protected:
  Layers() { pair_.initialise(make_generator(3)); }
  c10::NoGradGuard no_grad_;
  Pair pair_;
  at::Tensor tokens_ = at::randn({2, 7, 24}, make_generator(4)), map_ = at::randn({2, 24, 9, 6}, make_generator(5));
};

TEST_F(Layers, ParametersCarryTheirPaths) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : pair_.named_parameters("model")) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"model.a.linear.weight", "model.a.linear.bias", "model.weight", "model.bias", "model.norm.weight", "model.norm.bias"}));
  EXPECT_EQ(pair_.parameter_count(), 24 * 40 + 40 + 24 * 40 * 9 + 40 + 2 * 24);
}

TEST_F(Layers, TheSameSeedDrawsTheSameWeights) {
  Pair other;
  other.initialise(make_generator(3));
  EXPECT_TRUE(other.conv.weight.value.equal(pair_.conv.weight.value));
  other.initialise(make_generator(4));
  EXPECT_FALSE(other.conv.weight.value.equal(pair_.conv.weight.value));
}

TEST_F(Layers, PreparedWeightsComputeTheSameAndComeBackBitForBit) {
  const at::Tensor weight = pair_.linear.weight.value, kernel = pair_.conv.weight.value;
  const at::Tensor y = pair_.linear.forward(tokens_), z = pair_.conv.forward(map_);
  const at::Tensor more_y = at::randn_like(y), more_z = at::randn_like(z);
  pair_.prepare_for_inference();
  if (!can_prepare(weight)) GTEST_SKIP() << "this CPU has no such kernels";
  EXPECT_TRUE(pair_.linear.weight.value.is_mkldnn());
  EXPECT_TRUE(pair_.conv.weight.value.is_mkldnn());
  EXPECT_TRUE(at::allclose(pair_.linear.forward(tokens_), y, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(pair_.conv.forward(map_), z, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(pair_.linear.forward(tokens_, more_y), y + more_y, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(pair_.conv.forward(map_, more_z), z + more_z, 1e-5, 1e-6));
  pair_.prepare_for_inference();  // a second call changes nothing
  pair_.to(at::kCPU, at::kFloat);
  EXPECT_TRUE(pair_.linear.weight.value.equal(weight));
  EXPECT_TRUE(pair_.conv.weight.value.equal(kernel));
}

TEST_F(Layers, PackedConvolutionsComputeTheSameAndComeBackBitForBit) {
  Conv2d conv(32, 48, 3, 1, 1), strided(32, 48, 3, 2, 1), odd(20, 45, 3, 1, 1);
  for (Conv2d* layer : {&conv, &strided, &odd}) {
    layer->initialise(make_generator(10));
    const at::Tensor weight = layer->weight.value, x = at::randn({2, layer->weight.shape[1], 9, 6}, make_generator(11)), y = layer->forward(x), more = at::randn_like(y);
    for (int time = 0; time < 2; ++time) {  // a second call changes nothing
      layer->prepare_for_inference();
      EXPECT_TRUE(at::allclose(layer->forward(x, more), y + more, 1e-5, 1e-5));
      EXPECT_TRUE(layer->weight.dense().equal(weight));
    }
    EXPECT_EQ(layer->weight.is_packed(), layer != &strided);
    layer->to(at::kCPU, at::kBFloat16);
    EXPECT_TRUE(layer->weight.value.equal(weight.to(at::kBFloat16)));
  }
}

TEST_F(Layers, PreparedConvolutionsTakeSinglePixelsAndViews) {
  const at::Tensor pixel = at::randn({1, 24, 1, 1}, make_generator(6)), wide = map_.slice(3, 1, 5).slice(2, 0, 2);
  const at::Tensor more = at::randn({1, 40, 1, 1}, make_generator(7));
  const at::Tensor y = pair_.conv.forward(pixel, more), z = pair_.conv.forward(wide);
  pair_.prepare_for_inference();
  EXPECT_TRUE(at::allclose(pair_.conv.forward(pixel, more), y, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(pair_.conv.forward(wide), z, 1e-5, 1e-6));
}

TEST_F(Layers, ConvolutionsTakeGroupsAndDilation) {
  for (const ConvolutionOptions& options : {ConvolutionOptions{.padding = 2, .groups = 24}, ConvolutionOptions{.stride = 2, .padding = 4, .dilation = 2, .groups = 3, .bias = false},
                                            ConvolutionOptions{.dilation = 1, .groups = 8}}) {
    for (const int64_t kernel : {1, 5}) {
      Conv2d conv(24, 48, kernel, options);
      conv.initialise(make_generator(12));
      EXPECT_EQ(conv.named_parameters().size(), options.bias ? 2u : 1u);
      const at::Tensor wide = at::zeros({48, 24, kernel, kernel});  // the same convolution without groups
      const int64_t in = 24 / options.groups, out = 48 / options.groups;
      for (int64_t group = 0; group < options.groups; ++group)
        wide.slice(0, group * out, (group + 1) * out).slice(1, group * in, (group + 1) * in).copy_(conv.weight.value.slice(0, group * out, (group + 1) * out));
      const at::Tensor x = at::randn({2, 24, 13, 10}, make_generator(13)), weight = conv.weight.value.clone();
      const at::Tensor y = at::conv2d(x, wide, conv.bias.value, options.stride, options.padding, options.dilation);
      EXPECT_TRUE(at::allclose(conv.forward(x), y, 1e-4, 1e-5));
      conv.prepare_for_inference();
      EXPECT_TRUE(at::allclose(conv.forward(x, y), 2 * y, 1e-4, 1e-5));
      EXPECT_TRUE(conv.weight.dense().equal(weight));
    }
  }
}

TEST_F(Layers, BatchNormMovesItsStatisticsInTrainingOnly) {
  BatchNorm2d norm(24);
  norm.initialise(make_generator(14));
  const at::Tensor x = 3 * map_ + 2, mean = x.mean({0, 2, 3}), variance = x.var(at::IntArrayRef({0, 2, 3}), false);
  EXPECT_TRUE(at::allclose(norm.forward(x), x, 1e-4, 1e-4));
  EXPECT_TRUE(norm.running_mean.value.equal(at::zeros({24})));
  const auto shaped = [](const at::Tensor& channels) { return channels.view({1, 24, 1, 1}); };
  EXPECT_TRUE(at::allclose(norm.forward(x, true), (x - shaped(mean)) / at::sqrt(shaped(variance) + 1e-5), 1e-4, 1e-4));
  const double count = static_cast<double>(x.numel()) / 24;
  EXPECT_TRUE(at::allclose(norm.running_mean.value, 0.1 * mean, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(norm.running_var.value, 0.9 + 0.1 * variance * count / (count - 1), 1e-5, 1e-6));
  for (const auto& [name, parameter] : norm.named_parameters()) EXPECT_EQ(parameter->is_buffer, name.starts_with("running")) << name;
}

TEST_F(Layers, AdaptersAddTheirProduct) {
  const LowRank linear{at::randn({3, 24}, make_generator(6)), at::randn({40, 3}, make_generator(7)), 0.5};
  const LowRank conv{at::randn({3, 24, 3, 3}, make_generator(8)), at::randn({40, 3, 1, 1}, make_generator(9)), 0.5};
  Pair merged;
  merged.initialise(make_generator(3));
  merged.linear.weight.value += 0.5 * at::matmul(linear.up, linear.down);
  merged.conv.weight.value += 0.5 * at::matmul(conv.up.flatten(1), conv.down.flatten(1)).view({40, 24, 3, 3});
  for (const bool prepared : {false, true}) {
    if (prepared) pair_.prepare_for_inference();
    pair_.linear.low_rank = {linear};
    pair_.conv.low_rank = {conv};
    EXPECT_TRUE(at::allclose(pair_.linear.forward(tokens_), merged.linear.forward(tokens_), 1e-4, 1e-5));
    EXPECT_TRUE(at::allclose(pair_.conv.forward(map_), merged.conv.forward(map_), 1e-4, 1e-5));
  }
}

TEST_F(Layers, GradientsFlowThroughUnpreparedLayers) {
  at::AutoGradMode gradients(true);
  pair_.linear.weight.value.requires_grad_(true);
  pair_.linear.forward(tokens_, at::ones({2, 7, 40})).sum().backward();
  EXPECT_TRUE(at::allclose(pair_.linear.weight.value.grad(), tokens_.sum(at::IntArrayRef({0, 1})).expand({40, 24}), 1e-4, 1e-5));
}

TEST_F(Layers, SinusoidsPutTheCosineFirst) {
  const at::Tensor e = sinusoidal_embedding(at::tensor({2.0}), 4);
  EXPECT_TRUE(at::allclose(e, at::tensor({std::cos(2.0), std::cos(0.02), std::sin(2.0), std::sin(0.02)}, at::kFloat).unsqueeze(0)));
}

}  // namespace
}  // namespace attelier::nn
