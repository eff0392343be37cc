// Evaluations end to end on tiny random models: what they measure, that they can be stopped, and what they refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "core/base/files.h"
#include "core/models/backbones/backbone.h"
#include "core/weights/load.h"
#include "pipelines/evaluation/workbench.h"
#include "pipelines/generate/generate.h"
#include "tests/pipelines/pipelines_testing.h"
#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

const Judge& tiny_judge(WorldName world) {
  static std::map<WorldName, std::unique_ptr<Judge>> judges;
  std::unique_ptr<Judge>& judge = judges[world];
  if (!judge) {
    JudgeConfig config = judge_config(world);
    config.widths = {8, 8, 8, 8};
    config.picture_size = 32;
    judge = std::make_unique<Judge>(config);
    judge->initialise(make_generator(1));
  }
  return *judge;
}

/// A tiny classifier of characters, untrained.
const std::filesystem::path& tiny_recognizer() {
  static const std::filesystem::path folder = [] {
    const nlohmann::json config = {{"architecture", "biformer"}, {"depth", {1, 1, 1, 1}}, {"embed_dim", {8, 16, 16, 32}}, {"head_dim", 8}, {"n_win", 2}, {"topks", {1, 2, -1, -2}}, {"qk_dims", {8, 16, 16, 32}},
                                   {"mlp_ratios", {2, 2, 2, 2}}, {"num_classes", 2}, {"img_size", 64}, {"id2label", {{"0", "Mia"}, {"1", "somebody else"}}}};
    const std::filesystem::path made = test_folder() / "recognizer";
    std::filesystem::create_directories(made);
    write_file_atomically(made / "config.json", config.dump());
    const auto network = make_backbone(config);
    network->initialise(make_generator(4));
    write_safetensors(made / "model.safetensors", named_tensors(*network));
    return made;
  }();
  return folder;
}

EvaluationRequest request(WorldName world) {
  EvaluationRequest request;
  request.pictures = 2;
  request.seed = 3;
  request.world = world;
  request.model = &shared_model("sd");
  request.judge = &tiny_judge(world);
  request.steps = 3;
  return request;
}

const Measure& measure_of(const EvaluationResult& result, const std::string& name) {
  const auto found = std::find_if(result.measures.begin(), result.measures.end(), [&](const Measure& measure) { return measure.name == name; });
  if (found == result.measures.end()) throw std::runtime_error("no measure " + name);
  return *found;
}

/// Every arm and item has a place, examples have pictures, comparisons name arms.
void expect_whole(const EvaluationResult& result, size_t items) {
  ASSERT_FALSE(result.arms.empty());
  ASSERT_FALSE(result.measures.empty());
  for (const Measure& measure : result.measures) {
    ASSERT_EQ(measure.values.size(), result.arms.size()) << measure.name;
    for (const auto& arm : measure.values) {
      ASSERT_EQ(arm.size(), items) << measure.name;
      for (const double value : arm) EXPECT_TRUE(std::isnan(value) || (measure.is_share ? value == 0 || value == 1 : std::isfinite(value))) << measure.name;
    }
  }
  EXPECT_EQ(result.examples.size(), items);
  for (const EvaluationExample& example : result.examples) {
    EXPECT_FALSE(example.caption.empty());
    for (const auto& [name, image] : example.pictures) EXPECT_EQ(image.width, 128) << name;
  }
  for (const auto& [plain, method] : result.comparisons) {
    EXPECT_LT(plain, result.arms.size());
    EXPECT_LT(method, result.arms.size());
  }
  EXPECT_FALSE(result.procedure.empty());
}

TEST(Evaluations, TheTableNamesEachOnce) {
  for (const Evaluation* evaluation : evaluations()) EXPECT_EQ(find_evaluation(evaluation->name), evaluation);
  EXPECT_EQ(find_evaluation("poem"), nullptr);
}

TEST(Evaluations, StyleOnATinyModel) {
  std::map<std::string, int64_t> stages;
  Context context;
  context.progress = [&](const Progress& progress) {
    EXPECT_LE(progress.done, progress.total) << progress.stage;
    stages[std::string(progress.stage)] = progress.done;
  };
  EvaluationRequest styled = request(WorldName::kSmall);
  styled.params = {{"steps", 4}};
  const EvaluationResult result = find_evaluation("style")->run(styled, context);
  expect_whole(result, 2);
  EXPECT_EQ(stages.at("painting with StyleID"), 2);
  // The content is its own truth and has its own structure; nothing is nearer to the style than what the world paints in it.
  const Measure& structure = measure_of(result, "structure kept");
  EXPECT_GT(structure.values[0][0], 0.9);
  for (const auto& arm : structure.values) EXPECT_LE(arm[0], structure.values[0][0] + 1e-9);
  for (const char* fact : {"strength_with_words", "strength_without_words"}) {
    const double strength = result.facts.at(fact);
    EXPECT_GT(strength, 0);
    EXPECT_LE(strength, 1);
  }
  // The same seed gives the same numbers.
  const EvaluationResult again = find_evaluation("style")->run(styled, {});
  EXPECT_EQ(measure_of(again, "structure kept").values, structure.values);
}

TEST(Evaluations, StyleWithoutAJudgeMeasuresWhatItCan) {
  EvaluationRequest without = request(WorldName::kFull);
  without.judge = nullptr;
  without.params = {{"steps", 4}};
  const EvaluationResult result = find_evaluation("style")->run(without, {});
  expect_whole(result, 2);
  EXPECT_EQ(result.measures.size(), 2u);
}

TEST(Evaluations, GenerateOnATinyModel) {
  const EvaluationResult result = find_evaluation("generate")->run(request(WorldName::kSmall), {});
  expect_whole(result, 2);
  const Measure& diversity = measure_of(result, "diversity");
  EXPECT_GT(diversity.values[1][0], 0);
  EXPECT_GT(diversity.values[2][0], 0);
  EXPECT_TRUE(std::isnan(diversity.values[0][0]));
  EXPECT_TRUE(measure_of(result, "place").is_share);
}

TEST(Evaluations, AttentionOnATinyModel) {
  const EvaluationResult result = find_evaluation("attention")->run(request(WorldName::kSmall), {});
  expect_whole(result, 2);
  const Measure& changed = measure_of(result, "changed");
  EXPECT_TRUE(std::isnan(changed.values[0][0]));
  for (size_t arm = 1; arm < result.arms.size(); ++arm) EXPECT_GT(changed.values[arm][0], 0) << result.arms[arm].name;
  EXPECT_FALSE(std::isnan(measure_of(result, "objects").values[1][0]));
}

TEST(Evaluations, JudgeOnATinyModel) {
  const EvaluationResult result = find_evaluation("judge")->run(request(WorldName::kSmall), {});
  expect_whole(result, 2);
  EXPECT_TRUE(result.comparisons.empty());
}

TEST(Evaluations, ControlNetOnATinyModel) {
  EvaluationRequest controlled = request(WorldName::kFull);
  controlled.controlnet = seeded_model("controlnet");
  const EvaluationResult result = find_evaluation("controlnet")->run(controlled, {});
  expect_whole(result, 2);
  // The truth follows itself best, and a ControlNet changes the picture.
  const Measure& edges = measure_of(result, "edges followed");
  EXPECT_GT(edges.values[2][0], edges.values[0][0]);
  EXPECT_NE(edges.values[0][0], edges.values[1][0]);
  EXPECT_FALSE(std::isnan(measure_of(result, "depth followed").values[1][0]));

  controlled.control = "edges";
  EXPECT_EQ(find_evaluation("controlnet")->run(controlled, {}).measures[0].name, "edges followed");
}

TEST(Evaluations, ControlNetOnDepthOfTheSmallWorld) {
  EvaluationRequest flat = request(WorldName::kSmall);
  flat.controlnet = seeded_model("controlnet");
  const EvaluationResult result = find_evaluation("controlnet")->run(flat, {});
  expect_whole(result, 2);
  EXPECT_NE(measure_of(result, "edges followed").values[0][0], measure_of(result, "edges followed").values[1][0]);
}

TEST(Evaluations, InpaintOnTinyModels) {
  namespace fs = std::filesystem;
  const fs::path whole = test_folder() / "inpainting-whole";
  fs::copy(seeded_model("sd"), whole, fs::copy_options::recursive);
  fs::remove_all(whole / "unet");
  fs::copy(seeded_model("inpainting") / "unet", whole / "unet", fs::copy_options::recursive);
  DiffusionModel model(whole, at::kCPU, at::kFloat);
  for (const WorldName world : {WorldName::kSmall, WorldName::kFull}) {
    EvaluationRequest masked = request(world);
    masked.model = &model;
    masked.against = &shared_model("sd");
    const EvaluationResult result = find_evaluation("inpaint")->run(masked, {});
    expect_whole(result, 2);
    // The truth has no seam.
    const Measure &seam = measure_of(result, "seam"), &inside = measure_of(result, "inside"), &outside = measure_of(result, "outside");
    EXPECT_EQ(seam.values[3][0], 0);
    EXPECT_NE(inside.values[0][0], inside.values[1][0]);
    EXPECT_NE(inside.values[1][0], inside.values[2][0]);
    // What is put back at every step ends as the same latent in both.
    EXPECT_LT(std::abs(outside.values[2][0] - outside.values[0][0]), std::abs(outside.values[1][0] - outside.values[0][0]));
  }
  EXPECT_EQ(error_of([] { find_evaluation("inpaint")->run(request(WorldName::kSmall), {}); }, "--against"), ExitCode::kModel);
}

TEST(Evaluations, ControlNetRefusesWhatCannotBe) {
  EXPECT_EQ(error_of([] { find_evaluation("controlnet")->run(request(WorldName::kFull), {}); }, "--controlnet"), ExitCode::kModel);
}

TEST(Evaluations, RefuseToBeToldWhatTheyChooseThemselves) {
  EvaluationRequest told = request(WorldName::kSmall);
  told.params = {{"steps", 50}};
  EXPECT_EQ(error_of([&] { find_evaluation("generate")->run(told, {}); }, "use --steps"), ExitCode::kUsage);
  told.params = {{"prompt", "a red house"}};
  EXPECT_EQ(error_of([&] { find_evaluation("attention")->run(told, {}); }, "leave it out"), ExitCode::kUsage);
}

TEST(Evaluations, StopWhenAsked) {
  for (const Evaluation* evaluation : evaluations()) {
    std::stop_source stop;
    Context context;
    context.stop = stop.get_token();
    context.progress = [&](const Progress&) { stop.request_stop(); };
    EvaluationRequest stopped = request(evaluation->name == "controlnet" ? WorldName::kFull : WorldName::kSmall);
    stopped.controlnet = seeded_model("controlnet");
    stopped.against = stopped.model;
    stopped.recognizer = tiny_recognizer();
    stopped.character = "Mia";
    stopped.params = evaluation->name == "lora" ? nlohmann::json{{"prompt", "a red house"}} : nlohmann::json::object();
    EXPECT_THROW(evaluation->run(stopped, context), Interrupted) << evaluation->name;
  }
}

TEST(Evaluations, ALoraIsOfSomebodyWhomTheRecognizerKnows) {
  EvaluationRequest lora = request(WorldName::kSmall);
  lora.recognizer = tiny_recognizer();
  lora.params = {{"prompt", "a red house"}};
  lora.character = "Hugo";
  EXPECT_EQ(error_of([&] { find_evaluation("lora")->run(lora, {}); }, "knows Mia, somebody else"), ExitCode::kUsage);
  lora.character = "somebody else";
  EXPECT_EQ(error_of([&] { find_evaluation("lora")->run(lora, {}); }, "nobody of that name"), ExitCode::kUsage);
}

TEST(Evaluations, ARecognizerIsFedAsItsOwnFilesSay) {
  const TemporaryFolder folder;
  std::filesystem::copy(tiny_recognizer(), folder / "recognizer", std::filesystem::copy_options::recursive);
  folder.write("recognizer/preprocessor_config.json", "{\"image_std\": [1, 0, 1]}");
  EvaluationRequest lora = request(WorldName::kSmall);
  lora.recognizer = folder / "recognizer";
  lora.character = "Mia";
  lora.params = {{"prompt", "a red house"}};
  EXPECT_EQ(error_of([&] { find_evaluation("lora")->run(lora, {}); }, "image_std"), ExitCode::kModel);
}

TEST(WorkbenchTest, TakesItsFilesAwayAndNamesBadParameters) {
  const TemporaryFolder folder;
  setenv("TMPDIR", folder.path().c_str(), 1);
  {
    const Context context;
    Workbench bench(shared_model("sd"), context);
    const at::Tensor picture = at::rand({1, 3, 128, 128}, make_generator(1), at::kFloat);
    const at::Tensor made = bench.make(kGenerateMethod, {{"steps", 2}, {"strength", 1.0}, {"guidance_scale", 1}}, {{"image", picture}});
    EXPECT_EQ(made.sizes(), picture.sizes());
    EXPECT_FALSE(std::filesystem::is_empty(folder.path()));
    EXPECT_EQ(error_of([&] { bench.make(kGenerateMethod, {{"stepz", 2}}); }, "steps"), ExitCode::kBadInput);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  setenv("TMPDIR", "/nowhere/at/all", 1);
  const Context context;
  EXPECT_NO_THROW(Workbench(shared_model("sd"), context));
  unsetenv("TMPDIR");
}

TEST(HeldOutSeeds, DifferForEveryNumberAndSeed) {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 10; ++seed)
    for (int64_t number = 0; number < 100; ++number) seen.insert(held_out_seed(seed, number));
  EXPECT_EQ(seen.size(), 1000u);
}

}  // namespace
}  // namespace attelier
