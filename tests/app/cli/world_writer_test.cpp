// Scenes on disk: whole or not at all, and every output with the files it promises.
#include "app/cli/world_writer.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "core/base/files.h"
#include "core/base/parameters.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class WorldWriter : public testing::Test {
 protected:
  void SetUp() override {
    options_.folder = folder_.path().string();
    options_.count = 2, options_.frames = 3, options_.size = 32, options_.seed = 5;
    options_.look = world::Look::kPlain;
  }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.insert(entry.path().filename().string());
    return names;
  }

  TemporaryFolder folder_;
  WorldOptions options_;
};

TEST_F(WorldWriter, EveryOutputWritesItsFiles) {
  const std::map<WorldOutput, std::vector<std::string>> promised = {
      {WorldOutput::kPictures, {"scene_000005.png", "scene_000005_depth.png", "scene_000005_normal.png", "scene_000005_instance.png", "scene_000005_class.png", "scene_000006.png", "images.txt", "cameras.txt"}},
      {WorldOutput::kVideo, {"scene_000005_frame_0002.png", "scene_000005_flow_0000_0001.flo", "scene_000005_flow_0001_0000.flo", "scene_000005_occluded_0001_0002.png"}},
      {WorldOutput::kViews, {"scene_000006_view_0002.png", "images.txt"}},
      {WorldOutput::kPanorama, {"scene_000005.png", "scene_000005_depth.png", "scene_000005_crop_5.png"}},
      {WorldOutput::kStory, {"scene_000005_02.png"}},
      {WorldOutput::kPairs, {"scene_000005.png", "scene_000005_low.png"}},
      {WorldOutput::kRemoval, {"scene_000005_before.png", "scene_000005_after.png", "scene_000005_mask.png"}}};
  for (const auto& [output, names] : promised) {
    options_.output = output;
    write_world(options_, {});
    const std::set<std::string> written = files();
    for (const std::string& name : names) EXPECT_TRUE(written.count(name)) << name;
    EXPECT_TRUE(written.count("captions.jsonl") && written.count("contact_sheet.png"));
    for (const std::string& name : written) EXPECT_FALSE(name.starts_with(".")) << name;
    for (const auto& entry : fs::directory_iterator(folder_.path())) fs::remove_all(entry.path());
  }
}

TEST_F(WorldWriter, SameSeedSameBytesForAnyNumberOfThreads) {
  options_.output = WorldOutput::kVideo, options_.count = 1;
  options_.look = world::Look::kWatercolour;
  write_world(options_, {});
  std::map<std::string, std::string> first;
  for (const std::string& name : files()) first[name] = read_file(folder_ / name);
  options_.threads = 2;
  write_world(options_, {});
  for (const auto& [name, bytes] : first) EXPECT_EQ(bytes, read_file(folder_ / name)) << name;
}

TEST_F(WorldWriter, AnInterruptionLeavesNothing) {
  std::stop_source stop;
  Context context;
  context.stop = stop.get_token();
  context.progress = [&](const Progress& progress) {
    if (progress.done == 1) stop.request_stop();
  };
  EXPECT_THROW(write_world(options_, context), Interrupted);
  EXPECT_TRUE(files().empty());
}

TEST_F(WorldWriter, AFolderInTheWayStopsBeforeAnythingAppears) {
  fs::create_directory(folder_ / "contact_sheet.png");
  EXPECT_THROW(write_world(options_, {}), Error);
  EXPECT_EQ(files(), std::set<std::string>{"contact_sheet.png"});
}

TEST_F(WorldWriter, CaptionsAreJsonLinesOfTheSamePictures) {
  write_world(options_, {});
  std::istringstream lines(read_file(folder_ / "captions.jsonl"));
  std::string line;
  int count = 0;
  while (std::getline(lines, line)) {
    const Json about = Json::parse(line);
    EXPECT_TRUE(fs::exists(folder_ / about.at("file").get<std::string>()));
    EXPECT_FALSE(about.at("caption").get<std::string>().empty());
    EXPECT_FALSE(about.at("questions").empty());
    EXPECT_EQ(about.at("depth").at("steps_per_metre"), 256);
    ++count;
  }
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace attelier
