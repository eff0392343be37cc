#include "core/weights/load.h"
#include "core/weights/weights_error.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/nn/layers.h"
#include "tests/core/weights/weights_testing.h"

namespace attelier {
namespace {

// proj.weight [3, 4], proj.bias [3], conv.weight [2, 4, 1, 1], conv.bias [2]
class Small : public nn::Module {
 public:
  Small() : proj(4, 3), conv(4, 2, 1) {
    add("proj", proj);
    add("conv", conv);
  }
  nn::Linear proj;
  nn::Conv2d conv;
};

NamedTensors good_tensors() {
  return {{"proj.weight", at::randn({3, 4})}, {"proj.bias", at::randn({3})}, {"conv.weight", at::randn({2, 4, 1, 1})}, {"conv.bias", at::randn({2})}};
}

std::shared_ptr<TensorSource> written(const TemporaryFolder& folder, const NamedTensors& tensors) {
  write_safetensors(folder / "model.safetensors", tensors);
  return open_tensors(folder / "model.safetensors");
}

TEST(LoadWeights, AssignsEveryParameterByName) {
  const TemporaryFolder folder;
  const auto tensors = good_tensors();
  const auto source = written(folder, tensors);
  Small module;
  load_weights(module, *source, at::kCPU, at::kFloat);
  EXPECT_TRUE(at::equal(module.proj.weight.value, tensors[0].second));
  EXPECT_TRUE(at::equal(module.conv.bias.value, tensors[3].second));
  EXPECT_EQ(module.proj.weight.value.const_data_ptr(), source->read("proj.weight").const_data_ptr()) << "a tensor of the wanted dtype was copied";
}

TEST(LoadWeights, ConvertsToTheWantedDtype) {
  const TemporaryFolder folder;
  const auto tensors = good_tensors();
  const auto source = written(folder, tensors);
  for (const auto dtype : {at::kHalf, at::kBFloat16, at::kDouble}) {
    Small module;
    load_weights(module, *source, at::kCPU, dtype);
    EXPECT_TRUE(at::equal(module.proj.weight.value, tensors[0].second.to(dtype)));
  }
}

TEST(LoadWeights, ReadsBelowAPrefixAndIgnoresTheRest) {
  const TemporaryFolder folder;
  NamedTensors tensors = {{"other.weight", at::zeros({1})}, {"model", at::zeros({1})}, {"models.x", at::zeros({1})}};
  for (const auto& [name, tensor] : good_tensors()) tensors.emplace_back("model." + name, tensor);
  const auto source = written(folder, tensors);
  for (const std::string prefix : {"model", "model."}) {
    Small module;
    load_weights(module, *source, at::kCPU, at::kFloat, prefix);
    EXPECT_TRUE(at::equal(module.proj.weight.value, source->read("model.proj.weight")));
  }
}

TEST(LoadWeights, LeavesBuffersAloneThatTheModuleComputes) {
  const TemporaryFolder folder;
  auto tensors = good_tensors();
  tensors.emplace_back("proj.position_index", at::arange(6, at::kLong));
  const auto source = written(folder, tensors);
  Small module;
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { load_weights(module, *source, at::kCPU, at::kFloat); }), "proj.position_index"));
  load_weights(module, *source, at::kCPU, at::kFloat, "", {"position_index"});
  EXPECT_TRUE(at::equal(module.proj.weight.value, tensors[0].second));
}

TEST(LoadWeights, TakesLinearWeightsForUnitConvolutionsAndBack) {
  const TemporaryFolder folder;
  auto tensors = good_tensors();
  tensors[0].second = at::randn({3, 4, 1, 1});
  tensors[2].second = at::randn({2, 4});
  Small module;
  load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat);
  EXPECT_TRUE(at::equal(module.proj.weight.value, tensors[0].second.view({3, 4})));
  EXPECT_TRUE(at::equal(module.conv.weight.value, tensors[2].second.view({2, 4, 1, 1})));

  tensors[2].second = at::randn({2, 4, 1});
  load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat);
  EXPECT_TRUE(at::equal(module.conv.weight.value, tensors[2].second.view({2, 4, 1, 1})));
}

TEST(LoadWeights, ReportsMissingUnexpectedAndMisshapenTensorsTogether) {
  const TemporaryFolder folder;
  auto tensors = good_tensors();
  tensors.erase(tensors.begin() + 1);
  tensors[0].second = at::randn({4, 3});
  tensors.emplace_back("stranger", at::zeros({1}));
  Small module;
  const std::string message = message_of(ExitCode::kModel, [&] { load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat); });
  EXPECT_TRUE(contains(message, "missing (1): \"proj.bias\" [3]"));
  EXPECT_TRUE(contains(message, "unexpected (1): \"stranger\""));
  EXPECT_TRUE(contains(message, "wrong shape (1): \"proj.weight\" is [4, 3], [3, 4] was expected"));
  for (const auto& [name, parameter] : module.named_parameters()) EXPECT_FALSE(parameter->value.defined()) << name;
}

TEST(LoadWeights, DoesNotSqueezeOtherUnitAxes) {
  const TemporaryFolder folder;
  auto tensors = good_tensors();
  tensors[1].second = at::randn({3, 1});
  Small module;
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat); }), "[3, 1]"));
}

TEST(LoadWeights, ShortensLongListsAndKeepsTheWhole) {
  const TemporaryFolder folder;
  auto tensors = good_tensors();
  for (int i = 0; i < 50; ++i) tensors.emplace_back("extra." + std::to_string(i), at::zeros({1}));
  Small module;
  try {
    load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat);
    FAIL();
  } catch (const WeightsError& error) {
    EXPECT_TRUE(contains(error.what(), "unexpected (50)"));
    EXPECT_TRUE(contains(error.what(), "and 40 more"));
    EXPECT_TRUE(error.is_shortened());
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(contains(error.full(), fmt::format("\"extra.{}\"", i)));
    EXPECT_FALSE(error.full().ends_with("more"));
  }
}

TEST(LoadWeights, IgnoresTheBuffersOfOldCheckpoints) {
  const TemporaryFolder folder;
  auto tensors = good_tensors();
  tensors.emplace_back("embeddings.position_ids", at::arange(77));
  Small module;
  load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat);
}

TEST(LoadWeights, NamesEveryTensorWithNanOrInf) {
  const TemporaryFolder folder;
  for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble}) {
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
      auto tensors = good_tensors();
      tensors[0].second[2][3] = bad;
      tensors[3].second[0] = bad;
      for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
      Small module;
      const std::string message = message_of(ExitCode::kModel, [&] { load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat); });
      EXPECT_TRUE(contains(message, "NaN or Inf (2): \"proj.weight\", \"conv.bias\""));
      EXPECT_FALSE(module.proj.bias.value.defined());
    }
  }
}

TEST(LoadWeights, FindsOneNanAnywhereInALargeTensor) {
  const TemporaryFolder folder;
  class Large : public nn::Module {
   public:
    Large() { add("weight", weight); }
    nn::Parameter weight{{1000, 1001}, {}};
  };
  for (const int64_t at : {0, 262'143, 262'144, 1'000'999}) {
    at::Tensor weight = at::full({1000, 1001}, std::numeric_limits<float>::max());
    weight.view(-1)[at] = std::numeric_limits<float>::quiet_NaN();
    Large module;
    EXPECT_TRUE(contains(message_of(ExitCode::kModel,
                                    [&] {
                                      load_weights(module, *written(folder, {{"weight", weight}}), at::kCPU, at::kFloat);
                                    }),
                         "NaN"));
  }
  Large module;
  load_weights(module, *written(folder, {{"weight", at::full({1000, 1001}, std::numeric_limits<float>::max())}}), at::kCPU, at::kFloat);
}

TEST(LoadWeights, NamesWeightsTooLargeForHalfPrecision) {
  const TemporaryFolder folder;
  auto tensors = good_tensors();
  tensors[1].second[0] = 70'000.f;
  Small module;
  const auto source = written(folder, tensors);
  EXPECT_TRUE(
      contains(message_of(ExitCode::kModel, [&] { load_weights(module, *source, at::kCPU, at::kHalf); }), "too large for Half (1): \"proj.bias\""));
  load_weights(module, *source, at::kCPU, at::kBFloat16);
}

TEST(LoadWeights, FailedLoadKeepsTheEarlierWeights) {
  const TemporaryFolder folder;
  Small module;
  auto tensors = good_tensors();
  load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat);
  const at::Tensor before = module.proj.weight.value.clone();
  tensors[3].second[1] = std::numeric_limits<float>::infinity();
  message_of(ExitCode::kModel, [&] { load_weights(module, *written(folder, tensors), at::kCPU, at::kFloat); });
  EXPECT_TRUE(at::equal(module.proj.weight.value, before));
}

TEST(NamedTensors, WrittenAndLoadedAgainIsTheSameModule) {
  at::manual_seed(3);
  const TemporaryFolder folder;
  Small first, second;
  first.initialise(at::detail::createCPUGenerator(5));
  const auto source = written(folder, named_tensors(first));
  load_weights(second, *source, at::kCPU, at::kFloat);
  for (size_t i = 0; i < first.named_parameters().size(); ++i)
    EXPECT_TRUE(at::equal(first.named_parameters()[i].parameter->value, second.named_parameters()[i].parameter->value));
  EXPECT_EQ(named_tensors(first, at::kHalf).at(0).second.scalar_type(), at::kHalf);
}

TEST(NamedTensors, RefusesAModuleWithoutWeights) {
  Small module;
  EXPECT_TRUE(contains(message_of(ExitCode::kUnexpected, [&] { named_tensors(module); }), "proj.weight"));
}

}  // namespace
}  // namespace attelier
