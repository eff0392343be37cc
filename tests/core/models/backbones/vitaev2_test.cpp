#include "core/models/backbones/vitaev2.h"

#include <gtest/gtest.h>

#include "core/models/backbones/vitaev2_config.h"
#include "tests/core/models/backbones/backbones_testing.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

class ViTAEv2Test : public ModelTest {};

std::string folder_of(const std::string& model) { return "vitaev2_" + model; }

at::Tensor record(const BackboneOutputs& outputs, const std::string& name) {
  for (const auto& [each, tensor] : outputs.records)
    if (each == name) return tensor;
  return {};
}

/// A model of a fixture with changes to its config, its weights as the file holds them.
std::unique_ptr<Backbone> model_of(const std::string& name, const Json& changes = Json::object(), at::ScalarType dtype = at::kFloat) {
  Json config = fixture_config(folder_of(name));
  config.update(changes);
  std::unique_ptr<Backbone> model = make_vitaev2(config);
  load_weights(*model, *open_tensors(fixture_folder(folder_of(name)) / "model.safetensors"), at::kCPU, dtype, "", model->computed_buffers());
  return model;
}

at::Tensor& value(Backbone& model, const std::string& name) {
  for (const auto& [each, parameter] : model.named_parameters())
    if (each == name) return parameter->value;
  throw std::out_of_range(name);
}

void check_case(Backbone& model, const std::string& name, const std::string& title) {
  const FixtureCase fixture(folder_of(name), title);
  const BackboneOutputs outputs = model.forward(fixture.input("image").to(at::kFloat), {}, true);
  for (const auto& [what, expected] : fixture.out) {
    SCOPED_TRACE(name + " " + title + " " + what);
    at::Tensor actual;
    if (what == "logits")
      actual = outputs.logits;
    else if (what.starts_with("features."))
      actual = outputs.features.at(std::stoul(what.substr(9)));
    else
      actual = record(outputs, what);
    ASSERT_TRUE(actual.defined());
    EXPECT_TRUE(close(actual, expected, 2e-5));
  }
}

// One of the files is as the authors' training leaves it; what counts in it is the moving average.
TEST_F(ViTAEv2Test, MatchesThePlainImplementation) {
  for (const auto& [name, titles] : std::map<std::string, std::vector<std::string>>{
           {"narrow", {"even", "padded"}}, {"wide", {"padded"}}, {"detection", {"wide"}}, {"plain", {"even", "padded"}}, {"mixed", {"padded"}}})
    for (const std::string& title : titles) {
      const std::filesystem::path folder = fixture_folder(folder_of(name)), authors_file = folder / "checkpoint.pth.tar";
      const std::unique_ptr<Backbone> prepared = load_backbone(std::filesystem::exists(authors_file) ? authors_file : folder, at::kCPU, at::kFloat);
      check_case(*prepared, name, title);
      prepared->to(at::kCPU, at::kFloat);  // undoes the preparation
      check_case(*prepared, name, title);
    }
}

TEST_F(ViTAEv2Test, FindsTheAuthorsFileInAFolder) {
  const TemporaryFolder folder;
  for (const char* name : {"config.json", "checkpoint.pth.tar"}) folder.write(name, read_file(fixture_folder(folder_of("narrow")) / name));
  check_case(*load_backbone(folder.path(), at::kCPU, at::kFloat), "narrow", "even");
}

TEST_F(ViTAEv2Test, RectanglesAreInPixels) {
  for (const char* name : {"wide", "detection"}) {
    const std::unique_ptr<Backbone> model = model_of(name);
    const FixtureCase fixture(folder_of(name), name == std::string("wide") ? "padded" : "wide");
    const at::Tensor image = fixture.input("image").to(at::kFloat);
    const BackboneOutputs outputs = model->forward(image, {}, true);
    const bool detection = name == std::string("detection");
    size_t cells = 0;
    for (const auto& [what, windows] : outputs.records) {
      if (!what.starts_with("windows.")) continue;
      ++cells;
      const std::string cell = what.substr(8);
      const at::Tensor offsets = record(outputs, "window_offsets." + cell), scales = record(outputs, "window_scales." + cell),
                       grid = record(outputs, "window_grid." + cell);
      const auto number = [&](int64_t i) { return grid[i].item<int64_t>(); };
      const int64_t size = number(2), stride = number(5);
      ASSERT_EQ(windows.sizes(), (std::vector<int64_t>{image.size(0), offsets.size(1), number(0) * number(1), 4}));
      for (int64_t axis = 0; axis < 2; ++axis) {
        const int64_t cells_along = image.size(3 - axis) / stride, cells_across = image.size(2 + axis) / stride, count = number(1 - axis),
                      before = number(4 - axis);
        const double divisor = static_cast<double>((detection ? cells_across : cells_along) / size), middle = static_cast<double>(size - 1) / 2;
        for (int64_t g = 0; g < windows.size(2); ++g) {
          const int64_t place = axis == 0 ? g % number(1) : g / number(1);
          const double offset = offsets[0][-1][g][axis].item<double>() * static_cast<double>(count * size - 1) / (2 * divisor);
          const double centre = static_cast<double>(place * size - before) + middle + offset;
          EXPECT_NEAR(windows[0][-1][g][axis].item<double>(), (centre + 0.5) * static_cast<double>(stride) - 0.5, 1e-3);
          EXPECT_NEAR(windows[0][-1][g][2 + axis].item<double>(), (1 + scales[0][-1][g][axis].item<double>()) * static_cast<double>(size * stride) / 2, 1e-3);
        }
      }
    }
    EXPECT_EQ(cells, name == std::string("wide") ? 6U : 4U);
    EXPECT_TRUE(model->forward(image, {}).records.empty());
  }
}

TEST_F(ViTAEv2Test, SizesAreThoseOfThePaper) {
  struct Expected {
    const char* variant;
    int64_t parameters;
    size_t tensors;
    double multiply_adds;
  };
  for (const Expected& e : {Expected{"ViTAEv2_VSA_S", 19'773'300, 672, 5.73e9}, Expected{"ViTAEv2_VSA_widePCM_S", 20'342'442, 672, 6.29e9},
                            Expected{"ViTAEv2_VSA_widePCM_48M", 51'089'119, 780, 15.04e9}, Expected{"ViTAEv2_VSA_widePCM_B", 93'711'532, 816, 27.13e9},
                            Expected{"ViTAEv2_VSA_widePCM_B_ws12", 93'833'932, 816, 28.8e9}}) {
    const std::unique_ptr<Backbone> model = make_vitaev2({{"variant", e.variant}});
    int64_t parameters = 0;
    size_t tensors = 0;
    for (const auto& [name, parameter] : model->named_parameters()) {
      if (!parameter->is_buffer) parameters += c10::multiply_integers(parameter->shape);
      // Beside what the module holds, files carry an index for each table and a count for each batch normalisation.
      tensors += name.ends_with("relative_position_bias_table") || name.ends_with("running_mean") ? 2 : 1;
    }
    EXPECT_EQ(parameters, e.parameters) << e.variant;
    EXPECT_EQ(tensors, e.tensors) << e.variant;
    EXPECT_NEAR(model->multiply_adds(224, 224) / e.multiply_adds, 1, 0.005) << e.variant;
  }
}

TEST_F(ViTAEv2Test, RowsOfABatchDoNotMix) {
  const std::unique_ptr<Backbone> model = model_of("mixed");
  const at::Tensor image = FixtureCase(folder_of("mixed"), "padded").input("image").to(at::kFloat), all = model->forward(image, {}).logits;
  for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(close(model->forward(image.slice(0, i, i + 1), {}).logits, all.slice(0, i, i + 1)));
}

TEST_F(ViTAEv2Test, SwitchesAreZerosInTheWeights) {
  const at::Tensor image = FixtureCase(folder_of("wide"), "padded").input("image").to(at::kFloat);
  const at::Tensor plain = model_of("wide")->forward(image, {}).logits;
  for (const auto& [changes, mark] : {std::pair<Json, std::string>{{{"identity_windows", true}}, ".sampling_"}, {{{"skip_cpe", true}}, ".pos."}}) {
    const std::unique_ptr<Backbone> switched = model_of("wide", changes), zeroed = model_of("wide");
    for (const auto& [name, parameter] : zeroed->named_parameters())
      if (name.find(mark) != std::string::npos) parameter->value = at::zeros_like(parameter->value);
    const BackboneOutputs outputs = switched->forward(image, {}, true);
    EXPECT_TRUE(close(outputs.logits, zeroed->forward(image, {}).logits)) << mark;
    EXPECT_GT(relative_error(outputs.logits, plain), 1e-3) << mark;
  }
  // One stage alone.
  const BackboneOutputs outputs = model_of("wide", {{"identity_windows", {false, true, false, false}}})->forward(image, {}, true);
  EXPECT_EQ(record(outputs, "window_offsets.1.RC").abs().max().item<double>(), 0);
  EXPECT_GT(record(outputs, "window_offsets.2.RC").abs().max().item<double>(), 0);
}

TEST_F(ViTAEv2Test, HalfPrecisionStaysNear) {
  const FixtureCase fixture(folder_of("wide"), "padded");
  const std::unique_ptr<Backbone> model = model_of("wide", Json::object(), at::kBFloat16);
  model->prepare_for_inference();
  EXPECT_LT(relative_error(model->forward(fixture.input("image").to(at::kBFloat16), {}).logits, fixture.out.at("logits")), 0.05);
}

void check_gradients(const Json& config) {
  const std::unique_ptr<Backbone> model = random_backbone(config, at::kDouble);
  // Regressions that move windows to where bilinear sampling has a slope.
  for (const auto& [name, parameter] : model->named_parameters())
    if (name.find("sampling_") != std::string::npos) parameter->value = parameter->value * 3 + 0.1;
  expect_right_gradients(*model, random_image({2, 3, 20, 24}, at::kDouble));
}

TEST_F(ViTAEv2Test, GradientsAreRight) {
  const Json tiny = {{"architecture", "vitaev2_vsa"},
                     {"stages", 1},
                     {"embed_dims", 2},
                     {"token_dims", {4}},
                     {"downsample_ratios", {4}},
                     {"kernel_size", {5}},
                     {"dilations", {{1, 2}}},
                     {"NC_depth", {1}},
                     {"NC_heads", 2},
                     {"RC_heads", 2},
                     {"NC_group", 2},
                     {"RC_group", 1},
                     {"mlp_ratio", 2.0},
                     {"window_size", 2},
                     {"num_classes", 3},
                     {"cpe", true}};
  check_gradients(tiny);
  Json detection = tiny;
  detection["detection"] = true;
  detection["RC_tokens_type"] = "window";  // whose windows are of 7 there
  check_gradients(detection);
  Json plain = tiny;
  plain["RC_tokens_type"] = plain["NC_tokens_type"] = "window";
  plain["relative_pos"] = true;
  check_gradients(plain);
}

TEST_F(ViTAEv2Test, TrainingUsesTheStatisticsOfTheBatch) {
  const std::unique_ptr<Backbone> model = model_of("wide");
  // Values may be views of the file.
  for (const auto& [name, parameter] : model->named_parameters()) parameter->value = parameter->value.clone();
  const at::Tensor image = at::randn({2, 3, 64, 64}, make_generator(4)), before = value(*model, "layers.0.RC.PCM.1.running_mean").clone();
  const at::Tensor evaluated = model->forward(image, {}).logits;
  model->set_training(true);
  EXPECT_GT(relative_error(model->forward(image, {}).logits, evaluated), 1e-3);
  EXPECT_GT(relative_error(value(*model, "layers.0.RC.PCM.1.running_mean"), before), 1e-3);
}

TEST_F(ViTAEv2Test, AWrongCheckpointListsAllWrongTensors) {
  const std::string text = message_of(ExitCode::kModel, [] {
    model_of("plain", {{"NC_heads", {2, 2}}, {"kernel_size", {5, 3}}, {"num_classes", 7}, {"relative_pos", true}});
  });
  for (const char* part :
       {"layers.0.RC.PRM.convs.3.0.weight", "head.weight", "head.bias", "missing (4)", "wrong shape (6)", "layers.1.NC.0.attn.relative_position_bias_table"})
    EXPECT_TRUE(contains(text, part));
}

TEST_F(ViTAEv2Test, ImpossibleConfigsAreRefusedWithAllComplaints) {
  const std::string text = message_of(ExitCode::kModel, [] {
    make_vitaev2({{"token_dims", {64, 128}},
                  {"RC_tokens_type", "performer"},
                  {"window_size", 1},
                  {"NC_heads", 5},
                  {"downsample_ratios", {3, 2, 2, 2}},
                  {"NC_depth", "many"},
                  {"kernel_size", {2, 1, 3, 3}}});
  });
  for (const char* part : {"token_dims", "performer", "window_size", "NC_heads", "downsample_ratios", "many", "kernel_size"}) EXPECT_TRUE(contains(text, part));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_vitaev2({{"variant", "ViTAEv2_VSA_L"}}); }), "ViTAEv2_VSA_widePCM_B_ws12"));
}

TEST_F(ViTAEv2Test, ImpossiblePicturesAreRefused) {
  const std::unique_ptr<Backbone> model = model_of("mixed");  // multiples of 8, at least 24
  for (const auto& [shape, part] : std::vector<std::pair<std::vector<int64_t>, std::string>>{{{1, 3, 23, 24}, "multiples of 8"},
                                                                                             {{1, 3, 24, 16}, "at least 24"},
                                                                                             {{1, 1, 24, 24}, "[B,3,H,W]"},
                                                                                             {{3, 24, 24}, "[B,3,H,W]"},
                                                                                             {{0, 3, 24, 24}, "empty"},
                                                                                             {{1, 3, 1, 1}, "1 x 1"},
                                                                                             {{1, 3, 0, 0}, "0 x 0"}}) {
    EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&, &sizes = shape] { model->forward(at::zeros(sizes), {}); }), part));
  }
}

TEST_F(ViTAEv2Test, StopsWhereItIsAskedTo) {
  const std::unique_ptr<Backbone> model = model_of("mixed");
  std::stop_source source;
  source.request_stop();
  ForwardContext context;
  context.stop = source.get_token();
  EXPECT_THROW(model->forward(at::zeros({1, 3, 24, 24}), context), Interrupted);
}

}  // namespace
}  // namespace attelier
