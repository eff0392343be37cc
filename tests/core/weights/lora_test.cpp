#include "core/weights/lora.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "core/models/text_encoder.h"
#include "core/models/unet.h"
#include "core/nn/layers.h"
#include "core/weights/load.h"
#include "core/weights/model_files.h"
#include "tests/core/weights/model_files_testing.h"

namespace attelier {
namespace {

constexpr double kWeight = 0.7;  // of the fixtures

// A tiny pipeline's modules in float32, loaded once for all tests.
struct Pipeline {
  explicit Pipeline(const std::string& name) : files(fixture("model_files/" + name)), unet(UNetConfig::from_json(files.config("unet"))) {
    load_weights(unet, *files.weights("unet"), at::kCPU, at::kFloat);
    targets.push_back({"unet", &unet});
    for (const std::string component : {"text_encoder", "text_encoder_2"}) {
      if (!files.has(component)) continue;
      auto& encoder = encoders.emplace_back(std::make_unique<TextEncoder>(TextEncoderConfig::from_json(files.config(component)), component));
      load_weights(*encoder, *files.weights(component), at::kCPU, at::kFloat);
      targets.push_back({component, encoder.get()});
    }
  }
  std::map<std::string, at::Tensor> weights() {
    std::map<std::string, at::Tensor> all;
    for (const LoraTarget& target : targets)
      for (const auto& [name, parameter] : target.module->named_parameters(target.component)) all[name] = parameter->value;
    return all;
  }
  static Pipeline& get(const std::string& name) {
    static std::map<std::string, std::unique_ptr<Pipeline>> made;
    auto& pipeline = made[name];
    if (!pipeline) pipeline = std::make_unique<Pipeline>(name);
    return *pipeline;
  }

  ModelFiles files;
  UNet unet;
  std::vector<std::unique_ptr<TextEncoder>> encoders;
  std::vector<LoraTarget> targets;
};

struct Fixture {
  const char *file, *model;
  size_t layers;
};
const std::vector<Fixture> kFixtures = {{"kohya", "sd1", 17}, {"diffusers", "sd1", 8}, {"diffusers_old", "sd1", 8}, {"peft", "sd1", 8}, {"kohya_xl", "sdxl", 7}};

TEST(Lora, MergedWeightsAreThoseOfDiffusersInEveryDialect) {
  for (const Fixture& entry : kFixtures) {
    SCOPED_TRACE(entry.file);
    Pipeline& pipeline = Pipeline::get(entry.model);
    const auto before = pipeline.weights();
    const Lora lora = Lora::open(fixture(fmt::format("lora/{}.safetensors", entry.file)));
    const auto expected = read_all(*open_tensors(fixture(fmt::format("lora/{}.merged.safetensors", entry.file))));
    EXPECT_EQ(lora.layers().size(), entry.layers);
    AppliedLoras applied(pipeline.targets, {{&lora, kWeight}}, LoraMode::kMerged);
    EXPECT_EQ(applied.reports().at(0).applied, entry.layers);
    EXPECT_TRUE(applied.reports().at(0).unmatched.empty()) << applied.reports()[0].warning(lora);
    for (const auto& [name, value] : pipeline.weights()) {
      const auto place = expected.find(name);
      if (place == expected.end()) {
        EXPECT_TRUE(value.is_same(before.at(name))) << name << " was touched";
        continue;
      }
      EXPECT_LT((value - place->second.view_as(value)).abs().max().item<double>(), 1e-6) << name;
      EXPECT_GT((value - before.at(name)).abs().max().item<double>(), 1e-4) << name << " did not change";
    }
    applied.remove();
    for (const auto& [name, value] : pipeline.weights()) EXPECT_TRUE(at::equal(value, before.at(name))) << name;
  }
}

TEST(Lora, RunTimeAndMergedAgreeToRounding) {
  Pipeline& pipeline = Pipeline::get("sd1");
  const Lora lora = Lora::open(fixture("lora/kohya.safetensors"));
  auto generator = at::detail::createCPUGenerator(3);
  UNetInputs inputs;
  inputs.sample = at::randn({2, 4, 8, 8}, generator);
  inputs.timestep = at::tensor(std::vector<float>{300.f});
  inputs.encoder_hidden_states = at::randn({2, 5, 16}, generator);
  const at::Tensor plain = pipeline.unet.forward(inputs, {});
  at::Tensor merged, beside;
  {
    const AppliedLoras applied(pipeline.targets, {{&lora, kWeight}}, LoraMode::kMerged);
    merged = pipeline.unet.forward(inputs, {});
  }
  {
    const AppliedLoras applied(pipeline.targets, {{&lora, kWeight}}, LoraMode::kRunTime);
    beside = pipeline.unet.forward(inputs, {});
  }
  const double scale = merged.abs().max().item<double>();
  EXPECT_LT((merged - beside).abs().max().item<double>(), 1e-5 * scale);
  EXPECT_GT((merged - plain).abs().max().item<double>(), 1e-3 * scale) << "the LoRA changed nothing";
  EXPECT_TRUE(at::equal(pipeline.unet.forward(inputs, {}), plain)) << "something stayed after the end of the LoRA";
}

// linear [3, 4], unit: 1x1 convolution [3, 4], wide: 3x3 convolution [3, 4] with stride 2
class Layers : public nn::Module {
 public:
  Layers() : linear(4, 3), unit(4, 3, 1), wide(4, 3, 3, 2, 1) {
    add("linear", linear);
    add("unit", unit);
    add("wide", wide);
    initialise(at::detail::createCPUGenerator(1));
  }
  nn::Linear linear;
  nn::Conv2d unit, wide;
  std::vector<LoraTarget> targets() { return {{"unet", this}}; }
};

class LoraFile {
 public:
  explicit LoraFile(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {}, const std::string& name = "lora.safetensors") {
    write_safetensors(folder / name, tensors, metadata);
    path = folder / name;
  }
  Lora open() const { return Lora::open(path); }
  std::string error() const {
    return message_of(ExitCode::kModel, [&] { Lora::open(path); });
  }
  TemporaryFolder folder;
  std::filesystem::path path;
};

const at::Tensor& down() {
  static const at::Tensor tensor = at::randn({2, 4}, at::detail::createCPUGenerator(11));
  return tensor;
}
const at::Tensor& up() {
  static const at::Tensor tensor = at::randn({3, 2}, at::detail::createCPUGenerator(12));
  return tensor;
}

double largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

TEST(Lora, AlphaRules) {
  const auto scale_of = [](NamedTensors extra, std::map<std::string, std::string> metadata = {}) {
    NamedTensors tensors = {{"unet.linear.lora_A.weight", down()}, {"unet.linear.lora_B.weight", up()}};
    tensors.insert(tensors.end(), extra.begin(), extra.end());
    return LoraFile(tensors, metadata).open().layers().at(0).scale;
  };
  EXPECT_EQ(scale_of({}), 1);
  EXPECT_EQ(scale_of({{"unet.linear.alpha", at::scalar_tensor(0.f)}}), 1);
  EXPECT_EQ(scale_of({{"unet.linear.alpha", at::scalar_tensor(3.f)}}), 1.5);
  EXPECT_EQ(scale_of({{"unet.linear.alpha", at::full({1}, 3, at::kHalf)}}), 1.5);
  const std::string key = "lora_adapter_metadata";
  EXPECT_EQ(scale_of({}, {{key, R"({"unet.lora_alpha": 8})"}}), 4);
  EXPECT_EQ(scale_of({}, {{key, R"({"unet.lora_alpha": 8, "unet.use_rslora": true})"}}), 8 / std::sqrt(2.0));
  EXPECT_EQ(scale_of({}, {{key, R"({"unet.lora_alpha": 8, "unet.alpha_pattern": {"linear": 6}})"}}), 3);
  EXPECT_EQ(scale_of({}, {{key, R"({"text_encoder.lora_alpha": 8})"}}), 1);
  EXPECT_TRUE(contains(LoraFile({{"unet.linear.lora_A.weight", down()}, {"unet.linear.lora_B.weight", up()}}, {{key, "{"}}).error(), "not valid JSON"));
  EXPECT_TRUE(contains(LoraFile({{"unet.linear.lora_A.weight", down()}, {"unet.linear.lora_B.weight", up()}}, {{key, R"({"unet.lora_alpha":1,"unet.use_dora":true})"}}).error(), "DoRA"));
}

TEST(Lora, PeftFolderWithItsOwnConfig) {
  const LoraFile file({{"base_model.model.linear.lora_A.weight", down()}, {"base_model.model.linear.lora_B.weight", up()}}, {}, "adapter_model.safetensors");
  file.folder.write("adapter_config.json", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 1})");
  const Lora lora = Lora::open(file.folder.path());
  Layers layers;
  const at::Tensor before = layers.linear.weight.value;
  const AppliedLoras applied(layers.targets(), {{&lora, 1}}, LoraMode::kMerged);
  EXPECT_LT(largest(layers.linear.weight.value - (before + 0.5 * at::matmul(up(), down()))), 1e-6);
}

TEST(Lora, LinearUnitAndWideConvolutions) {
  auto generator = at::detail::createCPUGenerator(2);
  const at::Tensor wide_down = at::randn({2, 4, 3, 3}, generator);
  const auto unit = [](const at::Tensor& matrix) { return matrix.unsqueeze(2).unsqueeze(3); };
  // Linear weights stored as 1x1 convolutions and the other way round.
  const Lora lora = LoraFile({{"lora_unet_linear.lora_down.weight", unit(down())}, {"lora_unet_linear.lora_up.weight", unit(up())},
                              {"lora_unet_unit.lora_down.weight", down()}, {"lora_unet_unit.lora_up.weight", up()},
                              {"lora_unet_wide.lora_down.weight", wide_down}, {"lora_unet_wide.lora_up.weight", unit(up())}})
                        .open();
  Layers layers;
  const at::Tensor x = at::randn({2, 4, 5, 5}, generator), tokens = at::randn({2, 6, 4}, generator);
  const auto outputs = [&] { return std::vector<at::Tensor>{layers.linear.forward(tokens), layers.unit.forward(x), layers.wide.forward(x)}; };
  const auto plain = outputs();
  std::vector<at::Tensor> merged, beside;
  {
    const AppliedLoras applied(layers.targets(), {{&lora, 0.5}}, LoraMode::kMerged);
    merged = outputs();
  }
  {
    const AppliedLoras applied(layers.targets(), {{&lora, 0.5}}, LoraMode::kRunTime);
    beside = outputs();
  }
  const at::Tensor by_hand = plain[2] + 0.5 * at::conv2d(at::conv2d(x, wide_down, {}, {2, 2}, {1, 1}), unit(up()));
  EXPECT_LT(largest(merged[2] - by_hand), 1e-5);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_LT(largest(merged[i] - beside[i]), 1e-5) << i;
    EXPECT_GT(largest(merged[i] - plain[i]), 1e-2) << i;
    EXPECT_TRUE(at::equal(outputs()[i], plain[i])) << i;
  }
}

TEST(Lora, MiddleTensor) {
  auto generator = at::detail::createCPUGenerator(4);
  const at::Tensor middle = at::randn({2, 2, 3, 3}, generator), first = down().unsqueeze(2).unsqueeze(3), last = up().unsqueeze(2).unsqueeze(3);
  const Lora lora =
      LoraFile({{"lora_unet_wide.lora_down.weight", first}, {"lora_unet_wide.lora_mid.weight", middle}, {"lora_unet_wide.lora_up.weight", last}}).open();
  Layers layers;
  const at::Tensor x = at::randn({1, 4, 5, 5}, generator), plain = layers.wide.forward(x);
  const at::Tensor expected = plain + at::conv2d(at::conv2d(at::conv2d(x, first), middle, {}, {2, 2}, {1, 1}), last);
  for (const LoraMode mode : {LoraMode::kMerged, LoraMode::kRunTime}) {
    const AppliedLoras applied(layers.targets(), {{&lora, 1}}, mode);
    EXPECT_LT(largest(layers.wide.forward(x) - expected), 1e-4);
  }
}

TEST(Lora, SeveralWithWeightsAddUp) {
  const Lora first = LoraFile({{"unet.linear.lora.down.weight", down()}, {"unet.linear.lora.up.weight", up()}}).open();
  const Lora second = LoraFile({{"linear.lora_A.weight", down() * 2}, {"linear.lora_B.weight", up()}, {"linear.alpha", at::scalar_tensor(8.f)}}).open();
  Layers layers;
  const at::Tensor before = layers.linear.weight.value, product = at::matmul(up(), down());
  {
    const AppliedLoras both(layers.targets(), {{&first, 0.5}, {&second, -0.25}}, LoraMode::kMerged);
    EXPECT_LT(largest(layers.linear.weight.value - (before + (0.5 - 0.25 * 4 * 2) * product)), 1e-5);
  }
  {
    const AppliedLoras raw(layers.targets(), {{&second, 1, true}}, LoraMode::kMerged);
    EXPECT_LT(largest(layers.linear.weight.value - (before + 2 * product)), 1e-5) << "alpha was not ignored";
  }
  EXPECT_TRUE(layers.linear.weight.value.is_same(before));
}

TEST(Lora, EndsOfOneLeaveAnother) {
  const Lora lora = LoraFile({{"unet.linear.lora.down.weight", down()}, {"unet.linear.lora.up.weight", up()}}).open();
  Layers layers;
  AppliedLoras outer(layers.targets(), {{&lora, 1}}, LoraMode::kRunTime);
  {
    const AppliedLoras inner(layers.targets(), {{&lora, 2}}, LoraMode::kRunTime);
    EXPECT_EQ(layers.linear.low_rank.size(), 2u);
  }
  ASSERT_EQ(layers.linear.low_rank.size(), 1u);
  EXPECT_EQ(layers.linear.low_rank[0].scale, 1);
  AppliedLoras moved = std::move(outer);
  outer.remove();
  EXPECT_EQ(layers.linear.low_rank.size(), 1u);
  moved.remove();
  EXPECT_TRUE(layers.linear.low_rank.empty());
}

TEST(Lora, WeightZeroIsNoLora) {
  const Lora lora = LoraFile({{"unet.linear.lora.down.weight", down()}, {"unet.linear.lora.up.weight", up()}}).open();
  Layers layers;
  const at::Tensor before = layers.linear.weight.value;
  for (const LoraMode mode : {LoraMode::kMerged, LoraMode::kRunTime}) {
    const AppliedLoras applied(layers.targets(), {{&lora, 0}}, mode);
    EXPECT_TRUE(layers.linear.weight.value.is_same(before));
    EXPECT_TRUE(layers.linear.low_rank.empty());
  }
}

TEST(Lora, HalfPrecisionMergesInFloat32) {
  const Lora lora = LoraFile({{"unet.linear.lora.down.weight", down()}, {"unet.linear.lora.up.weight", up()}}).open();
  Layers layers;
  layers.to(at::kCPU, at::kBFloat16);
  const at::Tensor before = layers.linear.weight.value;
  const AppliedLoras applied(layers.targets(), {{&lora, 0.3}}, LoraMode::kMerged);
  EXPECT_TRUE(at::equal(layers.linear.weight.value, (before.to(at::kFloat) + 0.3 * at::matmul(up(), down())).to(at::kBFloat16)));
}

TEST(Lora, WeightsPreparedForTheKernels) {
  const Lora lora = LoraFile({{"unet.linear.lora.down.weight", down()}, {"unet.linear.lora.up.weight", up()}}).open();
  Layers layers, plain;
  layers.prepare_for_inference();
  const at::Tensor before = layers.linear.weight.value, tokens = at::randn({2, 6, 4}, at::detail::createCPUGenerator(9));
  const at::Tensor expected = plain.linear.forward(tokens) + 0.5 * at::linear(at::linear(tokens, down()), up());
  for (const LoraMode mode : {LoraMode::kMerged, LoraMode::kRunTime}) {
    AppliedLoras applied(layers.targets(), {{&lora, 0.5}}, mode);
    EXPECT_EQ(layers.linear.weight.value.is_mkldnn(), before.is_mkldnn());
    EXPECT_LT(largest(layers.linear.forward(tokens) - expected), 1e-5);
    applied.remove();
    EXPECT_TRUE(layers.linear.weight.value.is_same(before));
  }
}

TEST(Lora, UnmatchedKeysAreListed) {
  NamedTensors tensors = {{"unet.linear.lora.down.weight", down()}, {"unet.linear.lora.up.weight", up()}, {"bundle_emb.x.string_to_param.*", at::zeros({2})}};
  for (int i = 0; i < 12; ++i) {
    tensors.emplace_back(fmt::format("unet.gone.{}.lora.down.weight", i), down());
    tensors.emplace_back(fmt::format("unet.gone.{}.lora.up.weight", i), up());
  }
  const LoraFile file(tensors);
  const Lora lora = file.open();
  Layers layers;
  const AppliedLoras applied(layers.targets(), {{&lora, 1}}, LoraMode::kMerged);
  const LoraReport& report = applied.reports().at(0);
  EXPECT_EQ(report.applied, 1u);
  EXPECT_EQ(report.unmatched.size(), 13u);
  const std::string warning = report.warning(lora);
  EXPECT_TRUE(contains(warning, "13 of its 14 layers"));
  EXPECT_TRUE(contains(warning, "\"bundle_emb.x.string_to_param.*\""));
  EXPECT_TRUE(contains(warning, "and 3 more"));
}

TEST(Lora, OneThatFitsNothingIsAnError) {
  const Lora lora = Lora::open(fixture("lora/kohya_xl.safetensors"));
  Layers layers;
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { AppliedLoras applied(layers.targets(), {{&lora, 1}}, LoraMode::kMerged); }), "another family"));
}

TEST(Lora, OneOfOtherSizesChangesNothing) {
  const Lora good = LoraFile({{"unet.linear.lora.down.weight", down()}, {"unet.linear.lora.up.weight", up()}}).open();
  const Lora bad = LoraFile({{"unet.unit.lora.down.weight", at::zeros({2, 7})}, {"unet.unit.lora.up.weight", up()}}).open();
  Layers layers;
  const at::Tensor before = layers.linear.weight.value;
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { AppliedLoras applied(layers.targets(), {{&good, 1}, {&bad, 1}}, LoraMode::kMerged); }), "[2, 7]"));
  EXPECT_TRUE(layers.linear.weight.value.is_same(before));
  const Lora kernel = LoraFile({{"unet.unit.lora.down.weight", at::zeros({2, 4, 3, 3})}, {"unet.unit.lora.up.weight", up()}}).open();
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { AppliedLoras applied(layers.targets(), {{&kernel, 1}}, LoraMode::kMerged); }), "do not fit"));
}

TEST(Lora, OtherAdaptersAreRefusedByName) {
  const auto refused = [](const std::string& name) {
    return LoraFile({{"lora_unet_linear.lora_down.weight", down()}, {"lora_unet_linear.lora_up.weight", up()}, {name, at::zeros({2})}}).error();
  };
  EXPECT_TRUE(contains(refused("lora_unet_linear.dora_scale"), "a DoRA, which is not supported"));
  EXPECT_TRUE(contains(refused("unet.linear.lora_magnitude_vector.weight"), "a DoRA"));
  EXPECT_TRUE(contains(refused("lora_unet_linear.hada_w1_a"), "a LoHa"));
  EXPECT_TRUE(contains(refused("lora_unet_linear.lokr_w2"), "a LoKr"));
  EXPECT_TRUE(contains(refused("lora_unet_linear.diff"), "a full difference"));
}

TEST(Lora, DamagedFiles) {
  EXPECT_TRUE(contains(LoraFile({{"a.lora_down.weight", down()}}).error(), "up matrix is missing"));
  EXPECT_TRUE(contains(LoraFile({{"a.lora_up.weight", down()}}).error(), "down matrix is missing"));
  EXPECT_TRUE(contains(LoraFile({{"a.lora_down.weight", down()}, {"a.lora_up.weight", at::zeros({3, 5})}}).error(), "different ranks"));
  EXPECT_TRUE(contains(LoraFile({{"a.lora_down.weight", down()}, {"a.lora_up.weight", at::zeros({3, 2, 3, 3})}}).error(), "up has the shape [3, 2, 3, 3]"));
  EXPECT_TRUE(contains(LoraFile({{"a.lora_down.weight", down()}, {"a.lora_up.weight", up()}, {"a.alpha", at::zeros({2})}}).error(), "one number"));
  EXPECT_TRUE(contains(LoraFile({{"a.lora_down.weight", at::zeros({2, 4}, at::kLong)}, {"a.lora_up.weight", up()}}).error(), "no matrix of floats"));
  EXPECT_TRUE(contains(LoraFile({{"a.lora_down.weight", down()}, {"a.lora_up.weight", at::full({3, 2}, std::numeric_limits<float>::quiet_NaN())}}).error(), "NaN"));
  EXPECT_TRUE(contains(LoraFile({{"conv_in.weight", down()}}).error(), "is no LoRA"));
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { Lora::open(folder.path()); }), "without a LoRA"));
  message_of(ExitCode::kModel, [&] { Lora::open(folder / "nothing"); });
}

}  // namespace
}  // namespace attelier
