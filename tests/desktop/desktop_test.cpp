// The real window on a screen without a monitor, driven by real key presses and clicks.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "core/base/files.h"
#include "core/media/image.h"
#include "tests/desktop/screen.h"
#include "tests/e2e/program.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr double kStart = 30, kJob = 120;  // seconds that nothing here may need even on a crowded machine

class Desktop : public testing::Test {
 protected:
  void SetUp() override {
    if (!screen_.is_open()) GTEST_SKIP() << "Xvfb is not installed";
    pictures_ = home_.path() / "Pictures" / "Attelier";
  }

  std::unique_ptr<Program> open(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"gui", "--width", "1400", "--height", "900"});
    auto program = std::make_unique<Program>(home_.path(), more, "", std::map<std::string, std::string>{{"DISPLAY", screen_.display()}, {"LIBGL_ALWAYS_SOFTWARE", "1"}, {"OMP_NUM_THREADS", "1"}});
    EXPECT_TRUE(screen_.focus("Attelier", kStart)) << program->finish().errors;
    usleep(500'000);
    return program;
  }
  void write_prompt(const std::string& text) const {
    screen_.key("ctrl+l");
    usleep(200'000);
    screen_.key("ctrl+a");
    screen_.type(text);
    screen_.key("Escape");
    usleep(200'000);
  }
  std::vector<fs::path> pictures() const {
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(pictures_, error))
      if (entry.path().extension() == ".png" && entry.path().filename().string().find(".tmp-") == std::string::npos) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
  }
  bool wait_for_pictures(size_t count) const {
    return wait_until(kJob, [&] { return pictures().size() >= count; });
  }
  static Json job_of(const fs::path& picture) { return Json::parse(read_png_texts(read_file(picture), picture.string()).at("attelier-job")); }
  ProgramResult quit(Program& program) const {
    screen_.key("ctrl+q");
    return program.finish();
  }
  /// Sets a small job: few steps keep the tests short.
  void use_few_steps() const { home_.write("few.json", Json{{"job", 1}, {"method", "generate"}, {"params", {{"prompt", "a red house"}, {"steps", 2}, {"seed", 7}}}}.dump()); }

  TemporaryFolder home_;
  Screen screen_;
  fs::path pictures_;
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

TEST_F(Desktop, AfterAKillTheJobIsOfferedAgainAndDoesNotRunByItself) {
  home_.write("long.json", Json{{"job", 1}, {"method", "generate"}, {"params", {{"prompt", "a red house"}, {"steps", 500}}}}.dump());
  {
    const auto program = open({(home_.path() / "long.json").string()});
    screen_.key("ctrl+Return");
    usleep(3'000'000);
    program->send(SIGKILL);
    program->finish();
  }
  const auto program = open();
  usleep(2'000'000);
  EXPECT_TRUE(pictures().empty());
  EXPECT_TRUE(program->running());
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
