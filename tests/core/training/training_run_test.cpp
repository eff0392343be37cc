#include "core/training/training_run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/base/error.h"
#include "core/weights/tensor_file.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class TrainingRun : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("attelier-training-{}-{}", getpid(), testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static Json tiny_vae() {
    return {{"objective", "vae"},
            {"seed", 5},
            {"steps", 12},
            {"batch", 2},
            {"crop", 16},
            {"picture_size", 32},
            {"pool", 4},
            {"fresh", 1},
            {"bfloat16", false},
            {"output", "run"},
            {"optimizer", {{"learning_rate", 0.002}, {"muon_rate", 0.02}, {"warm_up", 1}}},
            {"vae", {{"latent_channels", 4}, {"block_out_channels", {8, 8}}, {"layers_per_block", 1}, {"norm_num_groups", 1}, {"sample_size", 32}, {"mid_block_add_attention", false}}}};
  }
  fs::path write(const Json& config) {
    std::ofstream(folder_ / "config.json") << config.dump();
    return folder_ / "config.json";
  }
  std::map<std::string, at::Tensor> state() const { return read_all(*open_tensors(folder_ / "run/state.safetensors")); }

  fs::path folder_;
};

TEST_F(TrainingRun, LearnsAndLeavesAModelThatLoads) {
  Json config = tiny_vae();
  config["steps"] = 60;
  std::vector<double> losses;
  Context context;
  context.log = [&](LogLevel, const std::string& text) {
    if (const size_t at = text.find("loss "); at != std::string::npos) losses.push_back(std::stod(text.substr(at + 5)));
  };
  const TrainingResult result = train(write(config), false, false, context);
  EXPECT_EQ(result.steps, 60);
  ASSERT_FALSE(losses.empty());
  EXPECT_LT(result.loss, 0.8 * losses.front());
  for (const char* file : {"state.safetensors", "losses.csv", "losses.png", "sheet.png", "figures.json", "model/vae/config.json", "model/vae/diffusion_pytorch_model.safetensors"})
    EXPECT_TRUE(fs::is_regular_file(folder_ / "run" / file)) << file;
}

TEST_F(TrainingRun, AStoppedRunGoesOnAsIfItHadNotStopped) {
  const fs::path path = write(tiny_vae());
  train(path, false, false, {});
  const auto whole = state();
  fs::remove_all(folder_ / "run");

  std::stop_source source;
  Context stopping;
  stopping.stop = source.get_token();
  stopping.progress = [&](const Progress& progress) {
    if (progress.stage == "training" && progress.done == 5) source.request_stop();
  };
  EXPECT_THROW(train(path, false, false, stopping), Interrupted);
  train(path, true, false, {});
  const auto resumed = state();
  ASSERT_EQ(whole.size(), resumed.size());
  for (const auto& [name, tensor] : whole) EXPECT_TRUE(at::equal(tensor, resumed.at(name))) << name;
}

TEST_F(TrainingRun, MistakesAreNamed) {
  const auto code_of = [&](const Json& config) {
    try {
      train(write(config), false, false, {});
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::kOk;
  };
  EXPECT_EQ(code_of({{"objective", "poetry"}}), ExitCode::kBadInput);
  Json wrong = tiny_vae();
  wrong["batch"] = "many";
  EXPECT_EQ(code_of(wrong), ExitCode::kBadInput);
  wrong = tiny_vae();
  wrong["vae"] = "large";
  EXPECT_EQ(code_of(wrong), ExitCode::kModel);
  std::ofstream(folder_ / "config.json") << "{";
  EXPECT_THROW(train(folder_ / "config.json", false, false, {}), Error);
  EXPECT_THROW(train(folder_ / "absent.json", false, false, {}), Error);
}

}  // namespace
}  // namespace attelier
