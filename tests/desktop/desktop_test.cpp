// The real window on a screen without a monitor, driven by real key presses and clicks.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class Desktop : public DesktopFixture {
 protected:
  /// Sets a small job: few steps keep the tests short.
  void use_few_steps() const { job("few.json", Json::object()); }
};

TEST_F(Desktop, APromptBecomesAPictureThatCarriesItsJob) {
  use_few_steps();
  const auto program = open({(home_.path() / "few.json").string()});
  write_prompt("a green tree");
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  const Json job = job_of(pictures()[0]);
  EXPECT_EQ(job["method"], "generate");
  EXPECT_EQ(job["params"]["prompt"], "a green tree");
  EXPECT_EQ(job["params"]["seed"], 7);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Desktop, UndoAndRedoReachThePrompt) {
  use_few_steps();
  const auto program = open({(home_.path() / "few.json").string()});
  write_prompt("a green tree");
  screen_.key("ctrl+z");
  usleep(200'000);
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  EXPECT_EQ(job_of(pictures()[0])["params"]["prompt"], "a red house");
  screen_.key("ctrl+shift+z");
  usleep(200'000);
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(2));
  EXPECT_EQ(job_of(pictures()[1])["params"]["prompt"], "a green tree");
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Desktop, APictureOfOursRestoresItsJobAndRepeatsItsPixels) {
  use_few_steps();
  {
    const auto program = open({(home_.path() / "few.json").string()});
    screen_.key("ctrl+Return");
    ASSERT_TRUE(wait_for_pictures(1));
    EXPECT_EQ(quit(*program).code, 0);
  }
  const fs::path first = pictures()[0];
  const auto program = open({first.string()});
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(2));
  EXPECT_EQ(load_image(pictures()[0]).pixels, load_image(pictures()[1]).pixels);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Desktop, WithoutADisplayItSaysWhatToDo) {
  const ProgramResult result = Program(home_.path(), {"gui"}).finish();
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.errors.find("DISPLAY"), std::string::npos) << result.errors;
  EXPECT_NE(result.errors.find("attelier --help"), std::string::npos) << result.errors;
}

TEST_F(Desktop, AnIdleWindowCostsNothing) {
  const auto program = open();
  usleep(2'500'000);
  const auto ticks = [&] {
    std::ifstream file("/proc/" + std::to_string(program->process()) + "/stat");
    std::string stat((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    stat = stat.substr(stat.rfind(')') + 2);
    std::istringstream words(stat);
    std::string word;
    long user = 0, system = 0;
    for (int i = 0; i < 11; ++i) words >> word;
    words >> user >> system;
    return user + system;
  };
  const long before = ticks();
  usleep(5'000'000);
  const double share = static_cast<double>(ticks() - before) / static_cast<double>(sysconf(_SC_CLK_TCK)) / 5;
  EXPECT_LT(share, 0.01);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Desktop, ScreenshotsOfScales) {
  for (const char* scale : {"1", "2"}) {
    const fs::path file = home_.path() / (std::string("window") + scale + ".png");
    const ProgramResult result = Program(home_.path(), {"gui", "--scale", scale, "--width", "1400", "--height", "900", "--screenshot", file.string(), std::string(ATTELIER_SOURCE_DIR) + "/assets/examples/chelsea.png"}, "",
                                         {{"DISPLAY", screen_.display()}, {"LIBGL_ALWAYS_SOFTWARE", "1"}})
                                     .finish();
    ASSERT_EQ(result.code, 0) << result.errors;
    const Image image = load_image(file);
    EXPECT_EQ(image.width, 1400);
    // The photograph fills the middle: many colours there.
    std::set<int> colours;
    for (int64_t y = 200; y < 500; y += 5)
      for (int64_t x = 620; x < 980; x += 5) colours.insert(image.pixels[static_cast<size_t>((y * image.width + x) * 3)]);
    EXPECT_GT(colours.size(), 50u) << scale;
  }
}

}  // namespace
}  // namespace attelier
