// A run that is killed again and again ends with the weights of one that was not.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/core/training/training_testing.h"

extern char** environ;

namespace attelier {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariable = "ATTELIER_TEST_TRAINING_CONFIG";

class KilledRun : public TrainingTest {
 protected:
  /// This program again, as a process that does nothing but train.
  pid_t start(const fs::path& config) const {
    setenv(kVariable, config.c_str(), 1);
    std::string filter = "--gtest_filter=KilledRun.DISABLED_Child", disabled = "--gtest_also_run_disabled_tests", brief = "--gtest_brief=1", self = fs::read_symlink("/proc/self/exe").string();
    char* arguments[] = {self.data(), filter.data(), disabled.data(), brief.data(), nullptr};
    pid_t child = -1;
    EXPECT_EQ(posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments, environ), 0);
    unsetenv(kVariable);
    return child;
  }

  /// Kills the run a random while after its next checkpoint; false if it ended before.
  bool killed(const fs::path& config, std::mt19937& random) const {
    const pid_t child = start(config);
    const fs::path state = folder_ / "run/state.safetensors";
    std::error_code none;
    const auto before = fs::last_write_time(state, none);
    const bool resumed = !none;
    int status = 0;
    for (int i = 0; i < 6000; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (waitpid(child, &status, WNOHANG) == child) return false;
      const auto now = fs::last_write_time(state, none);
      if (!none && (!resumed || now != before)) break;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40000));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
  }

  /// Lets a run come to its end after `kills` kills.
  void end_after(int kills, const Json& config) const {
    const fs::path path = write(config);
    std::mt19937 random(7);
    for (int i = 0; i < kills; ++i) EXPECT_TRUE(killed(path, random)) << "it ended before kill " << i;
    int status = 0;
    waitpid(start(path), &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
};

/// Not a test: what the killed process runs.
TEST_F(KilledRun, DISABLED_Child) {
  const char* config = std::getenv(kVariable);
  if (config == nullptr) GTEST_SKIP();
  const bool resume = fs::exists(fs::path(config).parent_path() / "run/state.safetensors");
  train(config, {.resume = resume}, {});
}

TEST_F(KilledRun, EndsWithTheSameWeights) {
  Json config = tiny_vae_config();
  config["steps"] = 60, config["save_every_steps"] = 3;
  run(config);
  const auto whole = state();
  const std::string curve_of_the_whole = curve(), model = read_file(folder_ / "run/model/vae/diffusion_pytorch_model.safetensors");
  fs::remove_all(folder_ / "run");
  end_after(5, config);
  expect_equal(whole, state());
  EXPECT_EQ(curve(), curve_of_the_whole);
  EXPECT_EQ(read_file(folder_ / "run/model/vae/diffusion_pytorch_model.safetensors"), model);
}

TEST_F(KilledRun, OfALoraToo) {
  std::filesystem::create_directories(folder_ / "pictures");
  for (int i = 0; i < 3; ++i) save_image(folder_ / fmt::format("pictures/{}.png", i), to_image(at::rand({1, 3, 20, 24}, make_generator(static_cast<uint64_t>(i)), at::kFloat)));
  Json config = tiny_denoising_config("lora");
  config["data"] = {{"source", "folder"}, {"path", "pictures"}, {"caption", "a red ball"}, {"crop", "random"}, {"flip", true}};
  config["steps"] = 12, config["save_every_steps"] = 1, config["validation_pictures"] = 0, config["sheet"] = {"a red ball"};
  run(config);
  const auto whole = state();
  fs::remove_all(folder_ / "run");
  end_after(3, config);
  expect_equal(whole, state());
}

}  // namespace
}  // namespace attelier
