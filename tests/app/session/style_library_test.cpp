// Styles that people keep: whole or not at all, whatever lies in the folder and however many processes change it.
#include "app/session/style_library.h"

#include <fstream>

#include "core/base/files.h"
#include "core/media/image.h"
#include "tests/app/session/processes.h"
#include "tests/app/session/session_testing.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class StyleLibraryTest : public ::testing::Test {
 protected:
  fs::path picture(const std::string& name, uint8_t grey, int64_t width = 64) const {
    save_image(folder_ / name, Image{width, 48, 3, std::vector<uint8_t>(static_cast<size_t>(width * 48 * 3), grey)});
    return folder_ / name;
  }
  std::vector<std::string> names(const std::string& words = "") const {
    std::vector<std::string> all;
    for (const StyleEntry& entry : library_.list(words)) all.push_back(entry.name);
    return all;
  }
  using Names = std::vector<std::string>;

  TemporaryFolder folder_;
  const Variable data_{"XDG_DATA_HOME", folder_ / "data"};
  StyleLibrary library_;
};

TEST_F(StyleLibraryTest, AStyleIsAddedFoundRenamedAndRemoved) {
  EXPECT_TRUE(library_.list().empty());
  const fs::path rain = picture("regen.png", 80, 700), map = picture("map.png", 200);
  const StyleEntry added = library_.add("Rain on glass", rain, "cold; for streets");
  EXPECT_EQ(read_file(added.picture), read_file(rain)) << "as it was given, so that its hash is known everywhere";
  EXPECT_EQ(added.sha256, sha256_file(rain));
  EXPECT_EQ(load_image(added.thumbnail).width, 320);
  EXPECT_TRUE(fs::is_directory(added.picture.parent_path() / "trajectories")) << "where style keeps its inversions";
  EXPECT_GT(added.added, 1'600'000'000);
  library_.add("old map", map);
  EXPECT_EQ(names(), (Names{"old map", "Rain on glass"}));
  EXPECT_EQ(names("STREETS rain"), Names{"Rain on glass"});
  EXPECT_EQ(names("rain map"), Names{});
  EXPECT_EQ(library_.get("rain ON glass").picture, added.picture);
  EXPECT_EQ(library_.find_picture(sha256_file(map)), library_.get("old map").picture);
  EXPECT_EQ(library_.find_picture(""), "");
  EXPECT_EQ(error_of([&] { library_.get("old mop"); }, {"no style \"old mop\"", "did you mean \"old map\""}), ExitCode::kUsage);

  const StyleEntry renamed = library_.rename("rain on glass", "Drizzle");
  EXPECT_EQ(renamed.picture, added.picture) << "jobs that use it go on to work";
  EXPECT_EQ(renamed.notes, "cold; for streets");
  library_.annotate("drizzle", "grey");
  EXPECT_EQ(library_.get("Drizzle").notes, "grey");
  EXPECT_EQ(error_of([&] { library_.rename("drizzle", "OLD MAP"); }, {"already"}), ExitCode::kUsage);
  EXPECT_EQ(error_of([&] { library_.add("drizzle", map); }, {"already"}), ExitCode::kUsage);
  library_.rename("drizzle", "DRIZZLE");
  // A name that was given away is free again, beside the folder of its first bearer.
  EXPECT_NE(library_.add("Rain on glass", map).picture.parent_path(), added.picture.parent_path());
  library_.remove("drizzle");
  EXPECT_FALSE(fs::exists(added.picture.parent_path()));
  EXPECT_TRUE(fs::exists(rain)) << "the picture that was copied stays";
  EXPECT_EQ(names(), (Names{"old map", "Rain on glass"}));
}

TEST_F(StyleLibraryTest, InversionsAreCounted) {
  const StyleEntry entry = library_.add("rain", picture("rain.png", 80));
  std::ofstream(entry.picture.parent_path() / "trajectories/abc.safetensors") << "12345";
  std::ofstream(entry.picture.parent_path() / "trajectories/abc.safetensors.tmp-1") << "1";
  EXPECT_EQ(library_.get("rain").inversions, 1);
  EXPECT_EQ(library_.get("rain").inversion_bytes, 5);
  EXPECT_EQ(library_.get("rain").to_json()["inversions"], 1);
}

TEST_F(StyleLibraryTest, NamesThatCannotBe) {
  const fs::path file = picture("rain.png", 80);
  for (const std::string& name : {std::string(), std::string(81, 'x'), std::string("a/b"), std::string(".."), std::string(" x"), std::string("x "), std::string("a\nb"), std::string("\xff\xfe")})
    EXPECT_EQ(error_of([&] { library_.add(name, file); }, {"cannot be the name of a style"}), ExitCode::kUsage) << name;
  EXPECT_TRUE(library_.list().empty());
  for (const std::string& name : {std::string("Überfahrt ½"), std::string("lock"), std::string("new"), std::string("a:b*c?"), std::string(80, 'y'), std::string("雨")}) {
    EXPECT_EQ(library_.add(name, file).name, name);
    EXPECT_EQ(library_.get(name).name, name);
  }
  EXPECT_EQ(library_.free_name("lock"), "lock 2");
  EXPECT_EQ(library_.free_name("../e\tvil"), "e vil") << "of any file's name";
  EXPECT_EQ(library_.free_name("é"), "é");
  EXPECT_EQ(library_.free_name("\xff"), "style");
  EXPECT_EQ(library_.free_name(std::string(74, 'x') + "éé"), std::string(74, 'x')) << "no half characters";
}

TEST_F(StyleLibraryTest, WhatIsNoPictureChangesNothing) {
  std::ofstream(folder_ / "text.png") << "no picture";
  EXPECT_EQ(error_of([&] { library_.add("text", folder_ / "text.png"); }, {"text.png"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { library_.add("gone", folder_ / "gone.png"); }, {"gone.png"}), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { library_.add("folder", folder_.path()); }, {"is a folder"}), ExitCode::kBadInput);
  EXPECT_TRUE(library_.list().empty());
}

TEST_F(StyleLibraryTest, WhatStrangersWroteIsPassedOver) {
  library_.add("good", picture("good.png", 80));
  const auto write = [&](const std::string& folder, const std::string& facts) {
    fs::create_directories(library_.folder() / folder);
    std::ofstream(library_.folder() / folder / "style.json") << facts;
  };
  write("empty", "");
  write("list", "[1]");
  write("other version", R"({"style": 2, "name": "x", "picture": "style.json"})");
  write("no picture", R"({"style": 1, "name": "x", "picture": "gone.png"})");
  write("outside", R"({"style": 1, "name": "outside", "picture": "../../../good.png"})");
  write("numbers", R"({"style": 1, "name": 5, "picture": 6})");
  write("bad name", R"({"style": 1, "name": "a/b", "picture": "style.json"})");
  write("deep", std::string(100000, '['));
  fs::create_directories(library_.folder() / ".new");
  std::ofstream(library_.folder() / "file") << "x";
  EXPECT_EQ(names(), Names{"good"});
  // An add cleans up what a killed one left.
  library_.add("second", picture("second.png", 90));
  EXPECT_FALSE(fs::exists(library_.folder() / ".new"));
}

TEST_F(StyleLibraryTest, AFolderThatCannotBeWritten) {
  fs::create_directories(folder_ / "data" / "attelier");
  std::ofstream(folder_ / "data" / "attelier" / "styles") << "a file in its place";
  EXPECT_EQ(error_of([&] { library_.add("rain", picture("rain.png", 80)); }, {"styles", "cannot be made"}), ExitCode::kBadInput);
  EXPECT_TRUE(library_.list().empty());
}

TEST_F(StyleLibraryTest, SeveralProcessesAddAndRemoveAtOnce) {
  const fs::path file = picture("rain.png", 80);
  std::vector<std::unique_ptr<ChildProcess>> children;
  for (int child = 0; child < 4; ++child)
    children.push_back(std::make_unique<ChildProcess>([&, child] {
      StyleLibrary own;
      for (int i = 0; i < 5; ++i) {
        own.add(fmt::format("{} {}", child, i), file);
        if (i % 2 == 1) own.remove(fmt::format("{} {}", child, i - 1));
      }
      return 0;
    }));
  for (const auto& child : children) EXPECT_EQ(child->wait(), 0);
  Names wanted;
  for (int child = 0; child < 4; ++child)
    for (const int i : {1, 3, 4}) wanted.push_back(fmt::format("{} {}", child, i));
  EXPECT_EQ(names(), wanted);
  for (const StyleEntry& entry : library_.list()) EXPECT_EQ(sha256_file(entry.picture), entry.sha256);
}

TEST_F(StyleLibraryTest, OneNameIsGivenOnceAndKillsLeaveNothingHalf) {
  const fs::path file = picture("rain.png", 80, 900);
  ChildProcess child([&] {
    StyleLibrary own;
    for (int i = 0;; ++i) own.add(fmt::format("killed {}", i), file);
    return 0;
  });
  ASSERT_TRUE([&] {
    for (int i = 0; i < 2000 && library_.list().size() < 3; ++i) usleep(5000);
    return library_.list().size() >= 3;
  }());
  child.kill();
  library_.add("after", file);
  for (const StyleEntry& entry : library_.list()) {
    EXPECT_EQ(sha256_file(entry.picture), entry.sha256);
    EXPECT_EQ(load_image(entry.thumbnail).width, 320);
  }
}

TEST_F(StyleLibraryTest, TextsOfJobsAreFilesFirstThenStyles) {
  const fs::path file = picture("rain.png", 80), other = picture("other.png", 90);
  const std::string kept = library_.add("rain", file).picture.string();
  EXPECT_EQ(resolve_style("rain"), kept);
  EXPECT_EQ(resolve_style(file.string()), file.string());
  EXPECT_EQ(resolve_style("snow"), "snow");
  EXPECT_EQ(resolve_style(""), "");
  Json job = {{"method", "style"}, {"inputs", {{"content", "rain"}, {"style", {"rain", other.string(), 5}}}}};
  resolve_styles(job);
  EXPECT_EQ(job["inputs"], Json({{"content", "rain"}, {"style", {kept, other.string(), 5}}}));
  // In a job file, a file beside it comes first.
  write_file_atomically(folder_ / "job.json", Json{{"method", "style"}, {"inputs", {{"content", "other.png"}, {"style", "rain"}}}}.dump());
  EXPECT_EQ(load_job(folder_ / "job.json").json["inputs"]["style"], kept);
  fs::copy_file(other, folder_ / "rain");
  EXPECT_EQ(load_job(folder_ / "job.json").json["inputs"]["style"], (folder_ / "rain").string());
  // A picture names its inputs by their contents: the library is one of the places where they are looked for.
  const Json named = {{"method", "style"}, {"inputs", {{"content", "other.png"}, {"style", {{"file", "gone.png"}, {"sha256", sha256_file(file)}}}}}};
  EXPECT_EQ(read_job(named.dump(), "job", folder_.path()).json["inputs"]["style"], kept);
}

}  // namespace
}  // namespace attelier
