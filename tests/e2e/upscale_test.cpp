// attelier upscale as a user calls it: files, folders, videos, wrong checkpoints, and interruption inside a tile.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/files.h"
#include "core/media/image.h"
#include "core/media/video_file.h"
#include "core/models/upscalers/rgt.h"
#include "core/weights/load.h"
#include "tests/e2e/program.h"
#include "tests/testing/sanitizers.h"
#include "tests/testing/seeded_weights.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

RgtConfig tiny_config() {
  RgtConfig config;
  config.upscale = 2;
  config.depth = {2};
  config.num_heads = {2};
  config.embed_dim = 32;
  config.split_size = {4, 8};
  return config;
}

void write_model(const fs::path& folder, const RgtConfig& config) {
  fs::create_directories(folder);
  Rgt model(config);
  fill_seeded(model, 5);
  write_safetensors(folder / "model.safetensors", named_tensors(model));
  write_file_atomically(folder / "config.json", config.to_json().dump());
}

class UpscaleProgram : public ::testing::Test {
 protected:
  UpscaleProgram() { write_model(home_ / "tiny", tiny_config()); }

  ProgramResult upscale(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"upscale", "--model", (home_ / "tiny").string(), "-q"});
    return Program(home_.path(), arguments).finish();
  }
  std::string picture(const std::string& name, int64_t width, int64_t height) {
    std::vector<uint8_t> pixels;
    for (int64_t i = 0; i < width * height * 3; ++i) pixels.push_back(static_cast<uint8_t>(37 * i % 251));
    save_image(home_ / name, {width, height, 3, pixels});
    return (home_ / name).string();
  }
  std::string path(const std::string& name) const { return (home_ / name).string(); }
  void expect_size(const std::string& name, int64_t width, int64_t height) {
    const Image image = load_image(home_ / name);
    EXPECT_EQ(image.width, width) << name;
    EXPECT_EQ(image.height, height) << name;
  }
  /// A video of three frames; false where this machine writes none.
  bool video(const std::string& name) {
    try {
      VideoWriter writer(home_ / name, 24, 18, 10);
      for (uint8_t n = 0; n < 3; ++n) writer.write({24, 18, 3, std::vector<uint8_t>(24 * 18 * 3, static_cast<uint8_t>(60 * n + 20))});
      writer.finish();
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  TemporaryFolder home_;
};

TEST_F(UpscaleProgram, FilesAndFolders) {
  fs::create_directory(home_ / "in");
  const std::string a = picture("in/a.png", 20, 17), b = picture("in/b.jpg", 16, 30);
  ProgramResult result = upscale({a, b, path("files")});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(result.output, path("files/a.png") + "\n" + path("files/b.png") + "\n");
  expect_size("files/a.png", 40, 34);
  expect_size("files/b.png", 32, 60);
  home_.write("in/notes.txt", "no picture");
  result = upscale({path("in"), path("folder")});
  EXPECT_EQ(result.code, 0) << result.errors;
  expect_size("folder/a.png", 40, 34);
  expect_size("folder/b.png", 32, 60);
  // A damaged file does not stop the others.
  home_.write("in/a.png", "damaged");
  result = upscale({path("in"), path("rest")});
  EXPECT_EQ(result.code, 7) << result.errors;
  EXPECT_NE(result.errors.find("a.png"), std::string::npos) << result.errors;
  EXPECT_FALSE(fs::exists(home_ / "rest/a.png"));
  expect_size("rest/b.png", 32, 60);
}

TEST_F(UpscaleProgram, Videos) {
  if (!video("in.mp4")) GTEST_SKIP() << "no .mp4 can be written here";
  fs::create_directory(home_ / "both");
  fs::rename(home_ / "in.mp4", home_ / "both/film.mp4");
  picture("both/still.png", 20, 17);
  const ProgramResult result = upscale({path("both"), path("large")});
  EXPECT_EQ(result.code, 0) << result.errors;
  expect_size("large/still.png", 40, 34);
  VideoReader reader(home_ / "large/film.mp4");
  EXPECT_EQ(reader.width(), 48);
  EXPECT_EQ(reader.height(), 36);
  EXPECT_EQ(reader.frames_per_second(), 10);
  Image frame;
  int64_t frames = 0;
  while (reader.read(frame)) ++frames;
  EXPECT_EQ(frames, 3);
  EXPECT_TRUE(fs::exists(home_ / "large/film.mp4.json")) << "the job lies beside a video";
}

TEST_F(UpscaleProgram, PicturesAreNoVideos) {
  const std::string a = picture("a.png", 20, 17);
  ProgramResult result = upscale({a, path("b.mp4")});
  EXPECT_EQ(result.code, 3);
  EXPECT_NE(result.errors.find("a picture cannot be written as .mp4; choose .png"), std::string::npos) << result.errors;
  result = upscale({home_.write("junk.mp4", "junk").string(), path("c.mp4")});
  EXPECT_EQ(result.code, 3);
  EXPECT_NE(result.errors.find("junk.mp4: cannot be read as a video"), std::string::npos) << result.errors;
  EXPECT_FALSE(fs::exists(home_ / "b.mp4"));
  EXPECT_FALSE(fs::exists(home_ / "c.mp4"));
}

TEST_F(UpscaleProgram, AWrongCheckpointIsToldInShortAndInFull) {
  RgtConfig other = tiny_config();
  other.depth = {6};
  write_file_atomically(home_ / "tiny/config.json", other.to_json().dump());
  const std::string a = picture("a.png", 20, 17);
  const ProgramResult shortened = upscale({a, path("b.png")}), full = upscale({a, path("b.png"), "-v"});
  EXPECT_EQ(shortened.code, 4);
  EXPECT_EQ(full.code, 4);
  EXPECT_NE(shortened.errors.find("-v names all of them"), std::string::npos) << shortened.errors;
  EXPECT_EQ(shortened.errors.find("layers.0.blocks.5.norm2.bias"), std::string::npos);
  EXPECT_NE(full.errors.find("layers.0.blocks.5.norm2.bias"), std::string::npos) << full.errors;
}

/// A tile of RGT-S takes many seconds.
TEST_F(UpscaleProgram, SignalsStopInsideATile) {
  RgtConfig config;
  write_model(home_ / "large", config);
  const std::string a = picture("a.png", 288, 288);
  Program program(home_.path(), {"upscale", a, path("b.png"), "--model", path("large"), "--threads", "1"});
  std::this_thread::sleep_for(std::chrono::seconds(3));
  ASSERT_TRUE(program.running()) << program.finish().errors;
  const Clock::time_point sent = Clock::now();
  program.send(SIGINT);
  const ProgramResult result = program.finish();
  EXPECT_EQ(result.code, 130) << result.errors;
  EXPECT_LT(Clock::now() - sent, std::chrono::seconds(kSanitized ? 6 : 2)) << "one second, and as much again for a busy machine";
  for (const auto& entry : fs::directory_iterator(home_.path())) EXPECT_FALSE(entry.path().filename().string().starts_with("b.png")) << entry.path();
}

}  // namespace
}  // namespace attelier
