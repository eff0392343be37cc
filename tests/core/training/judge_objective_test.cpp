// Judges in training: they learn, resume, are read by what evaluates, and impossible configurations are refused.
#include "core/evaluation/judgement.h"
#include "core/training/objectives.h"
#include "tests/core/training/training_testing.h"

namespace attelier {
namespace {

Json tiny_judge_config(const std::string& world) {
  return {{"objective", "judge"}, {"world", world},      {"seed", 3},
          {"steps", 10},          {"batch", 4},          {"pool", 6},
          {"fresh", 1},           {"picture_size", 32},  {"widths", {8, 8, 16, 16}},
          {"bfloat16", false},    {"output", "run"},     {"validation_pictures", 2},
          {"autoencoded_share", 0.5}, {"vae", (tiny_base() / "vae").string()},
          {"optimizer", {{"learning_rate", 0.003}, {"muon_rate", 0.02}, {"warm_up", 1}, {"ema_decay", 0.5}}}};
}

class JudgeTraining : public TrainingTest {};

TEST_F(JudgeTraining, LearnsAndIsReadByWhatEvaluates) {
  for (const std::string world : {"small", "full"}) {
    Json config = tiny_judge_config(world);
    config["steps"] = world == "small" ? 120 : 4;
    config["optimizer"]["learning_rate"] = 0.01;
    std::vector<double> losses;
    Context context;
    context.log = [&](LogLevel, const std::string& text) {
      if (const size_t at = text.find("loss "); at != std::string::npos) losses.push_back(std::stod(text.substr(at + 5)));
    };
    const TrainingResult result = run(config, {.restart = true}, context);
    ASSERT_FALSE(losses.empty());
    EXPECT_TRUE(world == "full" || result.loss < 0.85 * losses.front()) << result.loss;
    const auto judge = load_judge(folder_ / "run/model");
    EXPECT_EQ(judge->config().world, world);
    EXPECT_EQ(judge->config().depth, world == "full");
    EXPECT_FALSE(result.metrics.empty());
    for (const Metric& metric : result.metrics) EXPECT_TRUE(metric.value >= 0 && metric.value <= 1) << metric.name;
  }
}

TEST_F(JudgeTraining, AStoppedRunGoesOnAsIfItHadNotStopped) {
  Json config = tiny_judge_config("small");
  run(config);
  const auto whole = state();
  std::filesystem::remove_all(folder_ / "run");
  stop_after(config, 4);
  run(config, {.resume = true});
  expect_equal(whole, state());
}

TEST_F(JudgeTraining, ImpossibleConfigurationsAreRefused) {
  Json config = tiny_judge_config("small");
  config["widths"] = {8, 12, 16, 16};
  config["vae"] = "no/such/folder";
  const std::string message = message_of(ExitCode::kBadInput, [&] { run(config); });
  EXPECT_TRUE(contains(message, "/widths"));
  EXPECT_TRUE(contains(message, "/vae"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(tiny_judge_config("flat")); }), "/world"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(JudgeTraining, TheShippedConfigurationsAreSound) {
  const std::filesystem::path folder = std::filesystem::path(ATTELIER_SOURCE_DIR) / "assets/judge/training";
  for (const char* name : {"judge.json", "judge_full.json"}) EXPECT_NO_THROW(check_config(read_config(folder / name), folder / name)) << name;
}

}  // namespace
}  // namespace attelier
