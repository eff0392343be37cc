#include "core/evaluation/judgement.h"

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/base/context.h"
#include "core/base/files.h"
#include "core/weights/load.h"
#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

fs::path fixtures() { return fs::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/evaluation"; }

std::unique_ptr<Judge> fixture_judge() {
  auto judge = std::make_unique<Judge>(JudgeConfig::from_json(nlohmann::json::parse(read_file(fixtures() / "judge/config.json"))));
  load_weights(*judge, *open_tensors(fixtures() / "judge/model.safetensors"), at::kCPU, at::kFloat);
  return judge;
}

void write_judge(const fs::path& folder, const JudgeConfig& config) {
  fs::create_directories(folder);
  Judge judge(config);
  judge.initialise(make_generator(4));
  write_file_atomically(folder / "config.json", config.to_json().dump());
  write_safetensors(folder / "model.safetensors", named_tensors(judge, at::kHalf));
}

TEST(JudgeParity, EqualsPyTorch) {
  const c10::NoGradGuard no_grad;
  const auto judge = fixture_judge();
  const auto tensors = read_all(*open_tensors(fixtures() / "judge.safetensors"));
  for (const auto& [input, prefix] : {std::pair<std::string, std::string>{"in.sample", "out."}, {"in.wide", "wide."}}) {
    const JudgeOutputs outputs = judge->forward(tensors.at(input));
    const auto expect = [&, prefix = prefix](const at::Tensor& actual, const std::string& name) {
      const at::Tensor& expected = tensors.at(prefix + name);
      ASSERT_EQ(actual.sizes(), expected.sizes()) << name;
      EXPECT_LT((actual - expected).abs().max().item<double>(), 1e-5 * std::max(1.0, expected.abs().max().item<double>())) << name;
    };
    expect(outputs.counts, "counts");
    expect(outputs.hues, "hues");
    expect(outputs.x, "x");
    expect(outputs.depth, "depth");
    ASSERT_EQ(outputs.attributes.size(), 2u);
    expect(outputs.attributes[0], "attributes.place");
    expect(outputs.attributes[1], "attributes.style");
  }
}

TEST(JudgeParity, EveryWeightGetsAGradient) {
  const auto judge = fixture_judge();
  for (const nn::NamedParameter& named : judge->named_parameters()) named.parameter->value = named.parameter->value.clone().requires_grad_(true);
  const JudgeOutputs outputs = judge->forward(at::randn({2, 3, 32, 32}, make_generator(1), at::kFloat));
  at::Tensor loss = outputs.counts.pow(2).mean() + outputs.hues.pow(2).mean() + outputs.x.pow(2).mean() + outputs.depth.pow(2).mean();
  for (const at::Tensor& attribute : outputs.attributes) loss = loss + attribute.pow(2).mean();
  loss.backward();
  for (const nn::NamedParameter& named : judge->named_parameters()) {
    ASSERT_TRUE(named.parameter->value.grad().defined()) << named.name;
    // A constant added to the places where to look changes nothing.
    EXPECT_TRUE(named.name == "attention.bias" || named.parameter->value.grad().abs().max().item<double>() > 0) << named.name;
  }
}

TEST(JudgeConfigs, BadOnesAreRefused) {
  const nlohmann::json good = judge_config(WorldName::kSmall).to_json();
  EXPECT_EQ(JudgeConfig::from_json(good).to_json(), good);
  const auto refuse = [&](const char* key, const nlohmann::json& value, const char* part) {
    nlohmann::json bad = good;
    if (value.is_null()) bad.erase(key);
    else bad[key] = value;
    EXPECT_EQ(error_of([&] { JudgeConfig::from_json(bad); }, part), ExitCode::kModel);
  };
  refuse("kinds", nullptr, "\"kinds\" is missing");
  refuse("kinds", nlohmann::json::array(), "empty");
  refuse("widths", {8, 16}, "2 numbers");
  refuse("widths", {8, 16, 20, 24}, "20");
  refuse("counts", 1, "\"counts\" is 1");
  refuse("picture_size", 100, "100");
  refuse("hues", "red", "\"hues\" is");
  refuse("attributes", {{{"name", "place"}}}, "\"values\" is missing");
  EXPECT_EQ(error_of([&] { JudgeConfig::from_json("text"); }, "missing"), ExitCode::kModel);
}

TEST(LoadJudge, ReadsWhatWasWrittenAndRefusesTheRest) {
  const TemporaryFolder folder;
  write_judge(folder / "good", judge_config(WorldName::kSmall));
  EXPECT_EQ(load_judge(folder / "good")->config().kinds.size(), 12u);
  EXPECT_EQ(error_of([&] { load_judge(folder / "none"); }, "is no judge"), ExitCode::kModel);

  JudgeConfig other = judge_config(WorldName::kSmall);
  other.hues.pop_back();
  write_judge(folder / "other", other);
  EXPECT_EQ(error_of([&] { load_judge(folder / "other"); }, "other words"), ExitCode::kModel);

  write_judge(folder / "cut", judge_config(WorldName::kSmall));
  fs::resize_file(folder / "cut" / "model.safetensors", 1000);
  EXPECT_EQ(error_of([&] { load_judge(folder / "cut"); }, "model.safetensors"), ExitCode::kModel);
  folder.write("good/config.json", "{");
  EXPECT_EQ(error_of([&] { load_judge(folder / "good"); }, "not JSON"), ExitCode::kModel);
}

TEST(JudgePictures, SaysSomethingOfEveryPictureWhateverItsSize) {
  Judge judge(judge_config(WorldName::kFull));
  judge.initialise(make_generator(2));
  const at::Tensor pictures = at::rand({2, 3, 160, 160}, make_generator(3), at::kFloat);
  const std::vector<Judgement> judgements = judge_pictures(judge, pictures);
  ASSERT_EQ(judgements.size(), 2u);
  const WorldWords& words = words_of(WorldName::kFull);
  for (const Judgement& judgement : judgements) {
    ASSERT_EQ(judgement.labels.count.size(), words.kinds.size());
    for (size_t k = 0; k < words.kinds.size(); ++k) EXPECT_EQ(judgement.labels.hue[k] >= 0, judgement.labels.count[k] > 0);
    ASSERT_EQ(judgement.attributes.size(), words.attributes.size());
    for (const std::vector<double>& probabilities : judgement.attributes) EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1, 1e-9);
    EXPECT_EQ(judgement.depth.sizes(), at::IntArrayRef({16, 16}));
  }
  // One picture alone is judged as in company.
  EXPECT_EQ(judge_pictures(judge, pictures.slice(0, 1))[0].labels.count, judgements[1].labels.count);
}

/// A house that is red at 0.3 and a blue cat at 0.7, by the sea at night, as a mosaic.
SceneLabels two_things() {
  const WorldWords& words = words_of(WorldName::kSmall);
  SceneLabels labels{std::vector<int64_t>(12, 0), std::vector<int64_t>(12, -1), std::vector<float>(12, -1), {words.value("place", "sea"), words.value("daytime", "night"), words.value("style", "mosaic")}};
  labels.count[0] = labels.count[5] = 1;
  labels.hue[0] = 0, labels.hue[5] = 4;
  labels.x[0] = 0.3f, labels.x[5] = 0.7f;
  return labels;
}

std::map<std::string, bool> verdicts(const SceneLabels& claims, const SceneLabels& judged) {
  std::map<std::string, bool> found;
  for (const Verdict& verdict : compare_labels(claims, judged, words_of(WorldName::kSmall))) found[verdict.attribute] = verdict.right;
  return found;
}

TEST(CompareLabels, ATruePictureIsRightInEverything) {
  const std::map<std::string, bool> found = verdicts(two_things(), two_things());
  EXPECT_EQ(found.size(), 8u);
  for (const auto& [name, right] : found) EXPECT_TRUE(right) << name;
}

TEST(CompareLabels, EachFaultHasItsVerdict) {
  using Changes = std::vector<std::pair<std::string, std::function<void(SceneLabels&)>>>;
  const Changes changes = {
      {"colour", [](SceneLabels& labels) { labels.hue[0] = 3; }},
      {"count", [](SceneLabels& labels) { labels.count[0] = 2; }},
      {"count", [](SceneLabels& labels) { labels.count[7] = 1; }},
      {"relation", [](SceneLabels& labels) { std::swap(labels.x[0], labels.x[5]); }},
      {"place", [](SceneLabels& labels) { labels.attributes[0] = 0; }},
      {"daytime", [](SceneLabels& labels) { labels.attributes[1] = 0; }},
      {"style", [](SceneLabels& labels) { labels.attributes[2] = 0; }},
  };
  for (const auto& [name, change] : changes) {
    SceneLabels judged = two_things();
    change(judged);
    for (const auto& [attribute, right] : verdicts(two_things(), judged)) EXPECT_EQ(right, attribute != name && attribute != "everything") << name << ": " << attribute;
  }
  SceneLabels judged = two_things();
  judged.count[5] = 0, judged.hue[5] = -1, judged.x[5] = -1;
  const std::map<std::string, bool> found = verdicts(two_things(), judged);
  for (const char* name : {"objects", "colour", "count", "relation", "everything"}) EXPECT_FALSE(found.at(name)) << name;
  EXPECT_TRUE(found.at("place"));
}

TEST(CompareLabels, WhatIsNotSaidIsNotAsked) {
  SceneLabels claims = two_things();
  claims.attributes[1] = -1;
  claims.hue[0] = claims.hue[5] = -1;
  claims.x[0] = -1;
  const std::map<std::string, bool> found = verdicts(claims, two_things());
  for (const char* name : {"daytime", "colour", "relation"}) EXPECT_FALSE(found.contains(name)) << name;
  claims.count.assign(12, -1);
  claims.attributes.assign(3, -1);
  EXPECT_TRUE(verdicts(claims, two_things()).empty());
}

}  // namespace
}  // namespace attelier
