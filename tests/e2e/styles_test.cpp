// The style library from the command line: a style that is kept is inverted once.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/media/image.h"
#include "tests/e2e/program.h"
#include "tests/testing/temporary_folder.h"
#include "tests/testing/tiny_model.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class StylesTest : public ::testing::Test {
 protected:
  StylesTest() {
    write_tiny_model(home_ / "tiny");
    fs::create_directory(home_ / "out");
    for (const char* name : {"rain", "house", "tree"}) {
      Image image{64, 64, 3, std::vector<uint8_t>(64 * 64 * 3)};
      for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>((i * 7 * static_cast<size_t>(name[0]) + i / 192) % 256);
      save_image(home_ / "out" / (std::string(name) + ".png"), image);  // where a picture that is made looks for what it was made from
    }
  }
  ProgramResult run(const std::vector<std::string>& arguments) { return Program(home_.path(), arguments).finish(); }
  std::string file(const std::string& name) const { return (home_ / name).string(); }
  std::string picture(const std::string& name) const { return file("out/" + name + ".png"); }
  /// The record of a run of `style`.
  Json styled(const std::string& content, const std::string& style) {
    const ProgramResult result = run({"style", "--model", file("tiny"), "--content", picture(content), "--style", style, "--steps", "4", "--out", file("out"), "--json", "-q"});
    EXPECT_EQ(result.code, 0) << result.errors;
    return Json::parse(result.output, nullptr, false);
  }
  static bool inverted(const Json& record, const std::string& what) { return record["stages"].contains("inverting the " + what); }

  TemporaryFolder home_;
};

TEST_F(StylesTest, AStyleOfTheLibraryIsInvertedOnceWhateverBecomesOfTheCache) {
  const ProgramResult added = run({"styles", "add", "grey rain", picture("rain"), "--notes", "for streets", "--json"});
  ASSERT_EQ(added.code, 0) << added.errors;
  const Json entry = Json::parse(added.output);
  EXPECT_EQ(entry["inversions"], 0);

  const Json first = styled("house", "grey rain");
  EXPECT_TRUE(inverted(first, "style")) << first.dump();
  EXPECT_EQ(Json::parse(run({"styles", "show", "grey rain", "--json"}).output)["inversions"], 1);
  fs::remove_all(home_ / "attelier/trajectories");  // the cache
  const Json second = styled("tree", "Grey Rain");
  EXPECT_TRUE(inverted(second, "content")) << second.dump();
  EXPECT_FALSE(inverted(second, "style")) << second.dump();

  // Its picture names the style by its contents, so that it is made again as long as the style is kept, under whatever name.
  ASSERT_EQ(run({"styles", "rename", "grey rain", "drizzle"}).code, 0);
  fs::remove(picture("rain"));
  const std::string made = second["files"][0];
  const ProgramResult again = run({"run", made, "--out", file("out"), "--name", "again.png", "--model", file("tiny")});
  ASSERT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(load_image(home_ / "out/again.png").pixels, load_image(made).pixels);

  const ProgramResult list = run({"styles", "list"});
  EXPECT_NE(list.output.find("drizzle"), std::string::npos) << list.output;
  EXPECT_EQ(Json::parse(run({"styles", "list", "streets", "--json"}).output)["styles"][0]["name"], "drizzle");
  EXPECT_EQ(Json::parse(run({"styles", "list", "meadows", "--json"}).output)["styles"], Json::array());
  EXPECT_EQ(run({"styles", "remove", "drizzle"}).code, 0);
  EXPECT_FALSE(fs::exists(entry["picture"].get<std::string>()));
  EXPECT_NE(run({"styles", "list"}).errors.find("styles add NAME FILE"), std::string::npos);
}

TEST_F(StylesTest, InspectShowsWhatOfAStyleIsUsed) {
  const std::string made = styled("house", picture("rain"))["files"][0];
  const auto inspect = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"inspect", made, file("map.csv"), "--model", file("tiny"), "-q"});
    return run(more);
  };
  ASSERT_EQ(inspect({"--style", "1", "--received"}).code, 0);
  const std::string used = read_file(home_ / "map.csv");
  ASSERT_EQ(inspect({"--received"}).code, 0);
  EXPECT_NE(read_file(home_ / "map.csv"), used) << "of the picture itself";
  ASSERT_EQ(inspect({"--style", "1", "--place", "0.3,0.6", "--layer", "up 3.2", "--step", "1"}).code, 0);
  const ProgramResult second = inspect({"--style", "2", "--received"});
  EXPECT_EQ(second.code, 2);
  EXPECT_NE(second.errors.find("looked at one picture besides itself"), std::string::npos) << second.errors;
  const ProgramResult words = inspect({});
  EXPECT_EQ(words.code, 3);
  EXPECT_NE(words.errors.find("no words"), std::string::npos) << words.errors;
}

TEST_F(StylesTest, AFileComesBeforeAStyleAndWhatIsNeitherIsNamed) {
  ASSERT_EQ(run({"styles", "add", "rain", picture("rain")}).code, 0);
  const ProgramResult unknown = run({"style", "--model", file("tiny"), "--content", picture("house"), "--style", "snow", "--out", file("out")});
  EXPECT_EQ(unknown.code, 3);
  EXPECT_NE(unknown.errors.find("--style names snow, which does not exist; nor does a style of this name"), std::string::npos) << unknown.errors;
  const ProgramResult twice = run({"styles", "add", "rain", picture("tree")});
  EXPECT_EQ(twice.code, 2);
  EXPECT_NE(twice.errors.find("already"), std::string::npos) << twice.errors;
  EXPECT_EQ(run({"styles", "remove", "rain", "snow"}).code, 2);
  EXPECT_EQ(run({"styles", "show", "rain"}).code, 0) << "nothing is removed where one is unknown";
  EXPECT_EQ(run({"styles", "add", "broken", file("tiny")}).code, 3);
  const Json job = Json::parse(run({"style", "--content", picture("house"), "--style", "rain", "--print-job"}).output);
  EXPECT_TRUE(fs::path(job["inputs"]["style"].get<std::string>()).is_absolute()) << job.dump();
  EXPECT_EQ(read_file(job["inputs"]["style"].get<std::string>()), read_file(picture("rain")));
}

}  // namespace
}  // namespace attelier
