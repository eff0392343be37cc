// Backbones against their references (tests/parity/backbone_fixtures.py), and what all of them share.
#include "core/models/backbones/backbone.h"

#include "core/models/backbones/vit.h"
#include "tests/core/models/backbones/backbones_testing.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

struct ParityCase {
  const char *model, *title;
};
void PrintTo(const ParityCase& run, std::ostream* out) { *out << run.model << " " << run.title; }

class BackboneParity : public ModelTest, public ::testing::WithParamInterface<ParityCase> {
 protected:
  void expect_equal(const Backbone& model) {
    const BackboneCase fixture(GetParam().model, GetParam().title);
    const bool with_records = std::any_of(fixture.out.begin(), fixture.out.end(), [](const auto& out) { return out.first.starts_with("route"); });
    const auto outputs = named_outputs(model.forward(fixture.image, {}, with_records));
    ASSERT_EQ(outputs.size(), fixture.out.size());
    for (const auto& [name, expected] : fixture.out) {
      ASSERT_TRUE(outputs.contains(name)) << name;
      if (at::isIntegralType(expected.scalar_type(), false)) EXPECT_TRUE(at::equal(outputs.at(name), expected)) << name;
      else EXPECT_TRUE(close(outputs.at(name), expected, 2e-5)) << name;
    }
  }
};

TEST_P(BackboneParity, PreparedForInference) { expect_equal(*load_backbone(backbone_folder(GetParam().model), at::kCPU, at::kFloat)); }

TEST_P(BackboneParity, OnLibtorchsOperators) {
  const std::string folder = backbone_folder(GetParam().model).string();
  const ModelFiles files(folder);
  const auto model = make_backbone(files.config("backbone"));
  const std::string name = GetParam().model;
  load_weights(*model, *files.weights("backbone"), at::kCPU, at::kFloat, name == "biformer" ? "model" : name == "biformer_mm" ? "backbone" : "");
  expect_equal(*model);
  const at::AutoGradMode gradients(true);
  for (const auto& [path, parameter] : model->named_parameters()) {
    parameter->value = parameter->value.clone();
    if (!parameter->is_buffer) parameter->value.requires_grad_(true);
  }
  expect_equal(*model);  // regions through the differentiable operators
}

INSTANTIATE_TEST_SUITE_P(All, BackboneParity,
                         ::testing::Values(ParityCase{"biformer", "batch"}, ParityCase{"biformer", "rectangle"}, ParityCase{"biformer_pad", "odd"},
                                           ParityCase{"biformer_pad", "batch"}, ParityCase{"biformer_pad", "one_pixel"},
                                           ParityCase{"biformer_mm", "odd"}, ParityCase{"biformer_stl", "batch"},
                                           ParityCase{"biformer_stl_nchw", "odd"}, ParityCase{"biformer_stl_nchw", "divisible"},
                                           ParityCase{"vit", "batch"}, ParityCase{"vit", "larger"}, ParityCase{"vit", "smaller"}));

using Backbones = ModelTest;

TEST_F(Backbones, AWeightFileBesideItsConfigIsAModel) {
  const BackboneCase fixture("biformer", "batch");
  const auto model = load_backbone(backbone_folder("biformer") / "checkpoint.pth", at::kCPU, at::kFloat);
  EXPECT_TRUE(close(model->forward(fixture.image, {}).logits, fixture.out.at("logits"), 2e-5));
  EXPECT_TRUE(model->forward(fixture.image, {}).records.empty());
}

TEST_F(Backbones, BFloat16IsNear) {
  for (const char* name : {"biformer", "vit"}) {
    const BackboneCase fixture(name, "batch");
    const auto model = load_backbone(backbone_folder(name), at::kCPU, at::kBFloat16);
    const BackboneOutputs outputs = model->forward(fixture.image.to(at::kBFloat16), {});
    EXPECT_EQ(outputs.logits.scalar_type(), at::kBFloat16);
    // Rounding may choose other regions, so that single cells differ.
    const at::Tensor& expected = fixture.out.at("features.0");
    EXPECT_LT((outputs.features[0].to(at::kFloat) - expected).abs().mean().item<double>(), 0.03 * expected.abs().mean().item<double>()) << name;
  }
}

TEST_F(Backbones, OneRowAtATimeIsTheBatch) {
  for (const char* name : {"biformer", "biformer_pad", "biformer_stl", "vit"}) {
    const BackboneCase fixture(name, "batch");
    const auto model = load_backbone(backbone_folder(name), at::kCPU, at::kFloat);
    const at::Tensor all = model->forward(fixture.image, {}).logits;
    for (int64_t b = 0; b < 3; ++b) EXPECT_TRUE(close(model->forward(fixture.image.slice(0, b, b + 1), {}).logits, all.slice(0, b, b + 1))) << name;
  }
}

TEST_F(Backbones, AnotherModelsWeightsAreAllNamed) {
  const TemporaryFolder folder;
  Json config = Json::parse(read_file(backbone_folder("biformer_pad") / "config.json"));
  config["embed_dim"][3] = 40;
  config["qk_dims"][3] = 40;
  config["side_dwconv"] = 0;
  write_file_atomically(folder.path() / "config.json", config.dump());
  std::filesystem::copy_file(backbone_folder("biformer_pad") / "model.safetensors", folder.path() / "model.safetensors");
  const std::string message = message_of(ExitCode::kModel, [&] { load_backbone(folder.path(), at::kCPU, at::kFloat); });
  for (const char* part :
       {"unexpected", "stages.0.0.attn.lepe.weight", "wrong shape", "downsample_layers.3.0.weight\" is [24, 16, 3, 3], [40, 16, 3, 3] was expected"})
    EXPECT_TRUE(contains(message, part)) << part << " in " << message;
}

TEST_F(Backbones, UnknownArchitecturesAreNamedWithTheNearest) {
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_backbone({{"architecture", "bifromer"}}); }), "did you mean \"biformer\"?"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_backbone({{"architecture", 3}}); }), "known are biformer"));
}

TEST_F(Backbones, StopBetweenBlocks) {
  std::stop_source stop;
  stop.request_stop();
  ForwardContext context;
  context.stop = stop.get_token();
  for (const char* name : {"biformer", "vit"})
    EXPECT_THROW(load_backbone(backbone_folder(name), at::kCPU, at::kFloat)->forward(BackboneCase(name, "batch").image, context), Interrupted);
}

TEST_F(Backbones, ProgramsReachDenseAttention) {
  SilentProgram program;
  ForwardContext context;
  context.program = &program;
  const BackboneCase vit("vit", "batch"), biformer("biformer", "batch");
  const auto model = load_backbone(backbone_folder("vit"), at::kCPU, at::kFloat);
  EXPECT_TRUE(at::equal(model->forward(vit.image, context).logits, model->forward(vit.image, {}).logits));
  ASSERT_EQ(program.visited.size(), 2u);
  EXPECT_EQ(program.visited[1].path, "vit.encoder.layer.1.attention.attention");
  EXPECT_EQ(program.visited[1].kind, AttentionKind::kVision);
  program.visited.clear();
  const auto other = load_backbone(backbone_folder("biformer"), at::kCPU, at::kFloat);
  EXPECT_TRUE(at::equal(other->forward(biformer.image, context).logits, other->forward(biformer.image, {}).logits));
  ASSERT_EQ(program.visited.size(), 1u);
  EXPECT_EQ(program.visited[0].path, "stages.3.0.attn");
  EXPECT_EQ(program.visited[0].index, 4);
  EXPECT_EQ(program.visited[0].heads, 8);
}

const Json kTinyVit = {{"architecture", "vit"},   {"hidden_size", 8}, {"num_hidden_layers", 2}, {"num_attention_heads", 2},
                       {"intermediate_size", 12}, {"image_size", 12}, {"patch_size", 4},        {"num_labels", 3}};

TEST_F(Backbones, GradientsOfTheViT) { expect_right_gradients(*random_backbone(kTinyVit, at::kDouble), random_image({2, 3, 16, 12}, at::kDouble)); }

TEST(ViTSizes, ParametersOfThePublishedModel) {
  const ViTConfig config = ViTConfig::from_json({{"architectures", {"ViTForImageClassification"}}, {"num_labels", 1000}});
  ViT vit(config);
  EXPECT_EQ(vit.parameter_count(), 86567656);
  EXPECT_EQ(vit.named_parameters().size(), 200u);
  EXPECT_NEAR(vit.multiply_adds(224, 224) / 17.58e9, 1, 0.002);
}

TEST(ViTConfigs, SurviveJsonAndComplainTogether) {
  const ViTConfig config = ViTConfig::from_json(kTinyVit);
  EXPECT_EQ(ViTConfig::from_json(config.to_json()).to_json(), config.to_json());
  const std::string message = message_of(ExitCode::kModel, [] {
    ViTConfig::from_json({{"hidden_size", 0}, {"hidden_act", "relu"}, {"patch_size", {16, 16}}, {"layer_norm_eps", "small"}});
  });
  for (const char* part : {"hidden_size", "hidden_act", "patch_size", "layer_norm_eps"}) EXPECT_TRUE(contains(message, part)) << part;
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { ViTConfig::from_json({{"hidden_size", 770}}); }), "num_attention_heads"));
}

TEST_F(Backbones, PicturesThatDoNotFitTheViT) {
  const auto vit = random_backbone(kTinyVit);
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{1, 1, 12, 12}, {1, 3, 3, 12}, {3, 12, 12}, {0, 3, 12, 12}})
    EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { vit->forward(at::zeros(shape), {}); }), "shape")) << fmt::format("{}", fmt::join(shape, ","));
}

}  // namespace
}  // namespace attelier
