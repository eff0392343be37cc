#include "core/training/training_run.h"

#include <sys/mount.h>
#include <unistd.h>

#include <set>

#include "core/training/journal.h"
#include "tests/core/training/training_testing.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

using TrainingRun = TrainingTest;

TEST_F(TrainingRun, LearnsAndLeavesAModelThatLoads) {
  Json config = tiny_vae_config();
  config["steps"] = 60;
  std::vector<double> losses;
  bool says_how_long = false;
  Context context;
  context.log = [&](LogLevel, const std::string& text) {
    if (const size_t at = text.find("loss "); at != std::string::npos) losses.push_back(std::stod(text.substr(at + 5)));
    says_how_long |= text.find("pictures/s") != std::string::npos && text.find("left") != std::string::npos;
  };
  const TrainingResult result = run(config, {}, context);
  EXPECT_EQ(result.steps, 60);
  EXPECT_TRUE(says_how_long);
  ASSERT_FALSE(losses.empty());
  EXPECT_LT(result.loss, 0.8 * losses.front());
  for (const char* file : {"state.safetensors", "losses.csv", "losses.png", "sheet.png", "sheets/0000060.png", "figures.json", "model/vae/config.json", "model/vae/diffusion_pytorch_model.safetensors"})
    EXPECT_TRUE(fs::is_regular_file(folder_ / "run" / file)) << file;
}

TEST_F(TrainingRun, AStoppedRunGoesOnAsIfItHadNotStopped) {
  Json config = tiny_vae_config();
  config["steps"] = 25;
  run(config);
  const auto whole = state();
  const std::string curve_of_the_whole = curve();
  EXPECT_EQ(std::count(curve_of_the_whole.begin(), curve_of_the_whole.end(), '\n'), 4);
  fs::remove_all(folder_ / "run");

  stop_after(config, 7);
  stop_after(config, 13, {.resume = true});
  run(config, {.resume = true});
  expect_equal(whole, state());
  EXPECT_EQ(curve(), curve_of_the_whole);
}

TEST_F(TrainingRun, AccumulationIsOneLargeBatch) {
  // Where every picture is the same, the mean over two micro-batches is the mean over one batch twice as large.
  Json config = tiny_vae_config();
  config["steps"] = 1, config["crop"] = 32, config["pool"] = 1, config["fresh"] = 0, config["loss"] = {{"kl", 0.0}};
  config["accumulate"] = 3;
  run(config);
  const double norm_of_three = state().at("moment1.encoder.conv_in.weight").norm().item<double>();
  fs::remove_all(folder_ / "run");
  config["accumulate"] = 1;
  run(config);
  const double norm_of_one = state().at("moment1.encoder.conv_in.weight").norm().item<double>();
  // Crops are mirrored at random, so that the gradients differ, but by no factor of three.
  EXPECT_GT(norm_of_three, 0.3 * norm_of_one);
  EXPECT_LT(norm_of_three, 2 * norm_of_one);
}

TEST_F(TrainingRun, ACheckpointIsNotOverwrittenByMistake) {
  run(tiny_vae_config());
  const auto before = state();
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(tiny_vae_config()); }), "--restart"));
  expect_equal(before, state());
  Json other = tiny_vae_config();
  other["seed"] = 6;
  other["steps"] = 2;
  folder_.write("run/sheets/mine.png", "x");
  EXPECT_TRUE(fs::exists(folder_ / "run/sheets/0000012.png"));
  run(other, {.restart = true});
  std::set<std::string> sheets;
  for (const auto& entry : fs::directory_iterator(folder_ / "run/sheets")) sheets.insert(entry.path().filename().string());
  EXPECT_EQ(sheets, (std::set<std::string>{"0000002.png", "mine.png"})) << "those of the earlier run are gone";
  EXPECT_FALSE(at::equal(before.at("model.encoder.conv_in.weight"), state().at("model.encoder.conv_in.weight")));
}

TEST_F(TrainingRun, ARestartThatIsKilledLeavesNothingToGoOnFrom) {
  run(tiny_vae_config());
  struct Killed {};
  Context context;
  context.progress = [&](const Progress& progress) {
    EXPECT_FALSE(fs::exists(folder_ / "run/state.safetensors")) << progress.stage;
    if (progress.stage == "training") throw Killed();
  };
  EXPECT_THROW(run(tiny_vae_config(), {.restart = true}, context), Killed);
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(tiny_vae_config(), {.resume = true}); }), "no checkpoint"));
}

TEST_F(TrainingRun, TwoDoNotShareAFolder) {
  Json config = tiny_vae_config();
  config["save_every_steps"] = 1;
  int64_t refused = 0;
  const std::string holder = fmt::format("process {}", getpid());
  Context context;
  context.progress = [&](const Progress& progress) {
    if (progress.stage != "training" || progress.done != 3) return;
    for (const TrainingOptions& options : {TrainingOptions{.resume = true}, TrainingOptions{.restart = true}, TrainingOptions{.export_only = true}}) {
      const std::string message = message_of(ExitCode::kBadInput, [&] { run(config, options); });
      for (const char* part : {"/output: ", "is in use", holder.c_str(), "choose another folder"}) EXPECT_TRUE(contains(message, part));
      ++refused;
    }
  };
  EXPECT_EQ(run(config, {}, context).steps, 12);
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(run(config, {.resume = true}).steps, 12);
}

TEST_F(TrainingRun, NothingIsMadeWhereThereIsNoCheckpoint) {
  for (const TrainingOptions& options : {TrainingOptions{.resume = true}, TrainingOptions{.export_only = true}})
    EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(tiny_vae_config(), options); }), options.resume ? "start without --resume" : "start without --export"));
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(TrainingRun, AModelIsReplacedAsAWhole) {
  const Journal journal(folder_.path(), {{"objective", "vae"}});
  const auto write = [&](const char* name, bool fails) {
    journal.write_model([&](const fs::path& folder) {
      write_file_atomically(folder / name, name);
      if (fails) fail(ExitCode::kBadInput, "the disk is full");
    });
  };
  const auto files = [&](const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
    return names;
  };
  EXPECT_THROW(write("half", true), Error);
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  write("first", false), write("second", false);
  EXPECT_THROW(write("third", true), Error);
  EXPECT_EQ(files(folder_ / "model"), (std::set<std::string>{"second", "training"}));
  EXPECT_TRUE(fs::is_regular_file(folder_ / "model/training/vae.json"));
  EXPECT_EQ(files(folder_.path()), std::set<std::string>{"model"});
  for (const char* name : {"model.tmp-1/weights", "model.tmp-1-old/weights", "state.safetensors.tmp-1", "photographs.tmp-1/mine.png", "notes.tmp-mine"}) folder_.write(name, "x");
  journal.remove_leftovers();
  EXPECT_EQ(files(folder_.path()), (std::set<std::string>{"model", "notes.tmp-mine", "photographs.tmp-1"})) << "what is not the run's own stays";
}

TEST_F(TrainingRun, ResumingTellsWhatHasChanged) {
  run(tiny_vae_config());
  Json config = tiny_vae_config();
  config["steps"] = 13;
  std::string warnings;
  Context context;
  context.log = [&](LogLevel level, const std::string& text) {
    if (level == LogLevel::kWarning) warnings += text + "\n";
  };
  run(config, {.resume = true}, context);
  EXPECT_TRUE(contains(warnings, "/steps: 12 -> 13"));
  fs::remove_all(folder_ / "run");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(config, {.resume = true}); }), "no checkpoint"));
}

TEST_F(TrainingRun, NotANumberStopsWithTheLastGoodState) {
  Json config = tiny_vae_config();
  config["save_every_steps"] = 2, config["steps"] = 400;
  config["optimizer"] = {{"learning_rate", 10}, {"warm_up", 1}, {"clip_norm", 0}, {"weight_decay", 1}, {"epsilon", 1e-30}};
  config["loss"] = {{"kl", 1e6}};
  const std::string message = message_of(ExitCode::kNumerical, [&] { run(config); });
  EXPECT_TRUE(contains(message, "--resume"));
  ASSERT_TRUE(contains(message, "state.safetensors")) << message;
  for (const auto& [name, tensor] : state()) {
    if (!name.starts_with("model.")) continue;
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  }
}

TEST_F(TrainingRun, AFullDiskInTheMiddleCostsACheckpointAndNotTheRun) {
  Json config = tiny_vae_config();
  config["save_every_steps"] = 4, config["steps"] = 10;
  const fs::path temporary = folder_ / "run" / fmt::format("state.safetensors.tmp-{}", getpid());
  int64_t failed = 0;
  Context context;
  context.progress = [&](const Progress& progress) {
    if (progress.stage == "training" && progress.done == 3) fs::create_symlink("/dev/full", temporary);
  };
  context.log = [&](LogLevel level, const std::string& text) { failed += level == LogLevel::kWarning && text.find("No space left") != std::string::npos; };
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  EXPECT_EQ(run(config, {}, context).steps, 10);
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(open_tensors(folder_ / "run/state.safetensors")->metadata().at("step"), "10");
}

/// A small disk of its own, where the system allows it.
class SmallDisk {
 public:
  SmallDisk(const fs::path& path, const std::string& size) : path_(path) {
    fs::create_directories(path);
    mounted_ = mount("none", path.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount(path_.c_str());
  }
  bool mounted() const { return mounted_; }

 private:
  fs::path path_;
  bool mounted_;
};

TEST_F(TrainingRun, ADiskThatFillsUpLeavesTheLastStateWhole) {
  const SmallDisk disk(folder_ / "run", "4m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting is not allowed here";
  Json config = tiny_vae_config();
  config["save_every_steps"] = 2, config["steps"] = 6;
  Context context;
  context.progress = [&](const Progress& progress) {
    if (progress.stage != "training" || progress.done != 3) return;
    std::ofstream filler(folder_ / "run/filler", std::ios::binary);  // until nothing fits
    const std::string block(1 << 16, 'x');
    while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  };
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(config, {}, context); }), "No space left"));
  EXPECT_EQ(open_tensors(folder_ / "run/state.safetensors")->metadata().at("step"), "2");
  fs::remove(folder_ / "run/filler");
  EXPECT_EQ(run(config, {.resume = true}).steps, 6);
}

TEST_F(TrainingRun, ADiskWithoutRoomIsRefusedBeforeAnyWork) {
  const SmallDisk disk(folder_ / "run", "64k");
  if (!disk.mounted()) GTEST_SKIP() << "mounting is not allowed here";
  bool worked = false;
  Context context;
  context.progress = [&](const Progress&) { worked = true; };
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { run(tiny_vae_config(), {}, context); }), "MB free"));
  EXPECT_FALSE(worked);
}

}  // namespace
}  // namespace attelier
