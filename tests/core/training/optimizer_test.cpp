#include "core/training/optimizer.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "core/base/context.h"
#include "core/nn/layers.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

/// One linear layer with fixed weights; the gradient of sum(weight * direction) is the direction.
struct Layer {
  Layer() : linear(3, 4) {
    linear.weight.value = at::arange(12, at::kFloat).view({4, 3}) / 10 - 0.5;
    linear.bias.value = at::ones({4}, at::kFloat);
  }
  void backward(const at::Tensor& weight_gradient, const at::Tensor& bias_gradient) {
    ((linear.weight.value * weight_gradient).sum() + (linear.bias.value * bias_gradient).sum()).backward();
  }
  nn::Linear linear;
};

OptimizerConfig plain_config() {
  OptimizerConfig config;
  config.learning_rate = 0.1;
  config.warm_up = 1;
  config.clip_norm = 0;
  config.weight_decay = 0.1;
  return config;
}

TEST(Optimizer, MuonAloneStepsWhereThereIsNoVector) {
  Layer layer;
  OptimizerConfig config = plain_config();
  config.muon_rate = 0.05;
  config.clip_norm = 1;
  Optimizer optimizer(layer.linear, config);
  const at::Tensor weight = layer.linear.weight.value.detach().clone(), bias = layer.linear.bias.value.detach().clone();
  (layer.linear.weight.value * at::full({4, 3}, 5.0)).sum().backward();
  EXPECT_GT(optimizer.step(0, 10), 1);
  EXPECT_FALSE(at::equal(layer.linear.weight.value, weight));
  EXPECT_TRUE(at::equal(layer.linear.bias.value, bias));
}

TEST(Optimizer, TwoStepsOfAdamWByHand) {
  Layer layer;
  const OptimizerConfig config = plain_config();
  Optimizer optimizer(layer.linear, config);
  double weight = layer.linear.weight.value[2][1].item<double>(), first = 0, second = 0;
  for (int64_t step = 0; step < 2; ++step) {
    const double gradient = step == 0 ? 0.7 : -0.2;
    layer.backward(at::full({4, 3}, gradient), at::zeros({4}));
    const double rate = optimizer.learning_rate(step, 10);
    optimizer.step(step, 10);
    first = config.beta1 * first + (1 - config.beta1) * gradient;
    second = config.beta2 * second + (1 - config.beta2) * gradient * gradient;
    const double count = static_cast<double>(step) + 1;
    weight -= rate * config.weight_decay * weight;
    weight -= rate * (first / (1 - std::pow(config.beta1, count))) / (std::sqrt(second / (1 - std::pow(config.beta2, count))) + config.epsilon);
    EXPECT_NEAR(layer.linear.weight.value[2][1].item<double>(), weight, 1e-6);
  }
}

TEST(Optimizer, TheRateWarmsUpAndDecaysToItsMinimum) {
  Layer layer;
  OptimizerConfig config = plain_config();
  config.warm_up = 10;
  config.minimum_rate = 0.02;
  const Optimizer optimizer(layer.linear, config);
  EXPECT_NEAR(optimizer.learning_rate(0, 1000), 0.01, 1e-4);
  EXPECT_NEAR(optimizer.learning_rate(9, 1000), 0.1, 1e-4);
  EXPECT_NEAR(optimizer.learning_rate(500, 1000), 0.1 * (0.02 + 0.98 / 2), 1e-4);
  EXPECT_NEAR(optimizer.learning_rate(1000, 1000), 0.002, 1e-9);
}

TEST(Optimizer, ClippingShortensTheGradientAndReportsItsLength) {
  Layer clipped, scaled;
  OptimizerConfig config = plain_config();
  config.clip_norm = 1;
  Optimizer a(clipped.linear, config), b(scaled.linear, plain_config());
  const at::Tensor direction = at::ones({4, 3}) * 5;
  clipped.backward(direction, at::zeros({4}));
  EXPECT_NEAR(a.step(0, 10), 5 * std::sqrt(12.0), 1e-4);
  scaled.backward(direction / (5 * std::sqrt(12.0)), at::zeros({4}));
  b.step(0, 10);
  EXPECT_TRUE(at::allclose(clipped.linear.weight.value, scaled.linear.weight.value, 1e-5, 1e-6));
}

TEST(Optimizer, MuonStepsByAnOrthogonalMatrixWhateverTheSizeOfTheGradient) {
  at::Tensor changes[2];
  for (int run = 0; run < 2; ++run) {
    Layer layer;
    OptimizerConfig config = plain_config();
    config.weight_decay = 0;
    config.muon_rate = 0.05;
    Optimizer optimizer(layer.linear, config);
    const at::Tensor before = layer.linear.weight.value.detach().clone();
    const at::Tensor gradient = at::randn({4, 3}, make_generator(3), at::kFloat);
    layer.backward(gradient * (run == 0 ? 1 : 1000), at::ones({4}));
    optimizer.step(0, 10);
    changes[run] = (layer.linear.weight.value - before).detach();
  }
  EXPECT_TRUE(at::allclose(changes[0], changes[1], 1e-3, 1e-6));
  // A step of rate * sqrt(4/3) times a matrix whose singular values lie near one.
  const at::Tensor values = std::get<1>(at::linalg_svd(changes[0] / (0.05 * std::sqrt(4.0 / 3))));
  EXPECT_GT(values.min().item<double>(), 0.6);
  EXPECT_LT(values.max().item<double>(), 1.3);
}

TEST(Optimizer, AGradientThatIsNotFiniteChangesNothing) {
  Layer layer;
  Optimizer optimizer(layer.linear, plain_config());
  const at::Tensor before = layer.linear.weight.value.detach().clone();
  layer.backward(at::full({4, 3}, std::nan("")), at::ones({4}));
  EXPECT_FALSE(std::isfinite(optimizer.step(0, 10)));
  EXPECT_TRUE(at::equal(layer.linear.weight.value, before));
}

TEST(Optimizer, TheAverageFollowsAndCanBeExchangedTwice) {
  Layer layer;
  Optimizer optimizer(layer.linear, plain_config());
  const at::Tensor start = layer.linear.weight.value.detach().clone();
  layer.backward(at::ones({4, 3}), at::ones({4}));
  optimizer.step(0, 10);
  const at::Tensor stepped = layer.linear.weight.value.detach().clone();
  optimizer.swap_average();
  EXPECT_TRUE(at::allclose(layer.linear.weight.value, start + 0.9 * (stepped - start), 1e-5, 1e-6));
  optimizer.swap_average();
  EXPECT_TRUE(at::equal(layer.linear.weight.value, stepped));
}

/// A convolution with batch normalisation behind it.
struct Normalised : nn::Module {
  Normalised() : norm(3) { add("norm", norm); }
  nn::BatchNorm2d norm;
};

TEST(Optimizer, RunningStatisticsAreKeptAndNotStepped) {
  Normalised module;
  module.initialise(make_generator(1));
  OptimizerConfig config = plain_config();
  config.ema_decay = 0.5;
  Optimizer optimizer(module, config);
  const auto statistics = [&] { return std::pair{module.norm.running_mean.value.clone(), module.norm.running_var.value.clone()}; };
  const at::Tensor x = at::randn({4, 3, 5, 5}, make_generator(2), at::kFloat) * 3 + 1;
  for (int64_t step = 0; step < 3; ++step) {
    (module.norm.forward(x, true) * x).mean().backward();
    const auto before = statistics();
    optimizer.step(step, 10);
    EXPECT_TRUE(at::equal(statistics().first, before.first) && at::equal(statistics().second, before.second)) << "weight decay or a step changed them";
  }
  EXPECT_GT(module.norm.running_mean.value.min().item<double>(), 0.1);
  EXPECT_FALSE(at::allclose(module.norm.weight.value, at::ones({3})));

  // The average has the statistics of now, and no moments are stored for them.
  const auto now = statistics();
  optimizer.swap_average();
  EXPECT_TRUE(at::equal(statistics().first, now.first) && at::equal(statistics().second, now.second));
  optimizer.swap_average();
  std::map<std::string, at::Tensor> state;
  for (const auto& [name, tensor] : optimizer.state()) state[name] = tensor.clone();
  EXPECT_TRUE(state.contains("model.norm.running_var") && state.contains("average.norm.running_mean"));
  EXPECT_FALSE(state.contains("moment1.norm.running_mean") || state.contains("moment2.norm.running_var"));
  EXPECT_TRUE(state.contains("moment2.norm.weight"));

  const TemporaryFolder folder;
  write_safetensors(folder / "state.safetensors", optimizer.state());
  Normalised other;
  other.initialise(make_generator(3));
  Optimizer restored(other, config);
  restored.restore(*open_tensors(folder / "state.safetensors"), 3);
  for (const auto& [name, tensor] : restored.state()) EXPECT_TRUE(at::equal(tensor, state.at(name))) << name;
  module.norm.running_var.value.fill_(std::numeric_limits<float>::infinity());
  EXPECT_EQ(optimizer.not_finite(), "norm.running_var");
}

TEST(Optimizer, ARestoredOneKnowsHowOftenItSteppedEachParameter) {
  // The bias has a gradient in every second step.
  const auto step = [](Layer& layer, Optimizer& optimizer, int64_t number) {
    if (number % 2 == 0) layer.backward(at::full({4, 3}, 0.3), at::full({4}, 0.2));
    else (layer.linear.weight.value * at::full({4, 3}, -0.1)).sum().backward();
    optimizer.step(number, 10);
  };
  Layer whole;
  Optimizer optimizer(whole.linear, plain_config());
  for (int64_t number = 0; number < 4; ++number) step(whole, optimizer, number);
  const TemporaryFolder folder;
  NamedTensors state = optimizer.state();
  write_safetensors(folder / "state.safetensors", state);
  std::erase_if(state, [](const auto& entry) { return entry.first.starts_with("step."); });
  write_safetensors(folder / "old.safetensors", state);

  Layer again;
  Optimizer restored(again.linear, plain_config());
  restored.restore(*open_tensors(folder / "state.safetensors"), 4);
  for (int64_t number = 4; number < 6; ++number) step(whole, optimizer, number), step(again, restored, number);
  EXPECT_TRUE(at::equal(again.linear.bias.value, whole.linear.bias.value));
  EXPECT_TRUE(at::equal(again.linear.weight.value, whole.linear.weight.value));
  // Of a state that lacks the counts every parameter has been stepped as often as the run.
  restored.restore(*open_tensors(folder / "old.safetensors"), 4);
  const NamedTensors counted = restored.state();
  for (const auto& [name, tensor] : counted) {
    if (name.starts_with("step.")) {
      EXPECT_EQ(tensor.item<double>(), 4) << name;
    }
  }
}

}  // namespace
}  // namespace attelier
