// The real window on a screen without a monitor, driven by real key presses and clicks.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "app/session/journal.h"
#include "core/base/error.h"
#include "tests/desktop/desktop_fixture.h"
#include "tests/testing/sanitizers.h"
#include "tests/testing/tiny_model.h"

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

TEST_F(Desktop, WithoutOpenGlItSaysWhatToDo) {
  const Screen bare(800, 600, {"-extension", "GLX"});
  ASSERT_TRUE(bare.is_open());
  const ProgramResult result = Program(home_.path(), {"gui"}, "", {{"DISPLAY", bare.display()}}).finish();
  EXPECT_EQ(result.code, 1);
  for (const char* part : {"no window could be opened", "OpenGL 3.3 is needed", "libgl1-mesa-dri", "attelier --help"}) EXPECT_NE(result.errors.find(part), std::string::npos) << part << " in " << result.errors;
}

TEST_F(Desktop, AJobWithoutEnoughMemoryFailsAndTheNextOneIsMade) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer itself needs terabytes of addresses";
  const std::string small = job("small.json", Json::object());
  constexpr uint64_t kAddressSpace = uint64_t{5} << 30;
  const auto program = open({job("huge.json", {{"size", {16384, 16384}}, {"steps", 1}})}, kAddressSpace);
  screen_.key("ctrl+Return");
  const Journal journal(home_.path() / "attelier" / "journal.sqlite");
  ASSERT_TRUE(wait_until(kJob, [&] { return !journal.history().empty(); }));
  const JournalEntry failed = journal.history().front();
  EXPECT_EQ(failed.state, JobState::kFailed);
  EXPECT_EQ(failed.error_code, static_cast<int>(ExitCode::kOutOfMemory)) << failed.error;
  EXPECT_NE(failed.error.find("out of memory"), std::string::npos) << failed.error;
  screen_.key("ctrl+o");
  press("folder");
  screen_.key("ctrl+a");
  screen_.type(small);
  screen_.key("Return");
  usleep(500'000);
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Desktop, APictureIsOpenedByTypingAlone) {
  const fs::path folder = home_.path() / "Holiday pictures";
  fs::create_directories(folder);
  fs::copy_file(example("chelsea.png"), folder / "chelsea.png");
  fs::copy_file(example("coffee.png"), folder / "coffee.png");
  const auto program = open({job("few.json", Json::object())});
  const Image empty = look_at_canvas();
  screen_.key("ctrl+o");
  place("filter");
  for (const std::string& typed : {home_.path().string(), std::string("holi"), std::string("chel")}) {
    screen_.type(typed);
    screen_.key("Return");
  }
  EXPECT_TRUE(wait_until(kStart, [&] { return !find_place("filter"); })) << "the dialog is still open";
  EXPECT_TRUE(wait_until(kStart, [&] { return difference(empty, look_at_canvas(), kMiddleX + 40, kMiddleY + 40) > 8; }));
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Desktop, AFileThatIsNoModelIsToldAndAModelIsTaken) {
  home_.write("notes.safetensors", "these are no tensors");
  write_tiny_model(home_.path() / "tiny");
  const auto choose_model = [&](const std::string& file) {
    press("model");
    press("choose a checkpoint");
    press("folder");
    screen_.key("ctrl+a");
    screen_.type((home_.path() / file).string());
    screen_.key("Return");
    EXPECT_TRUE(wait_until(kStart, [&] { return !find_place("folder"); })) << file << " was not taken";
  };
  const auto program = open({job("few.json", Json::object())});
  choose_model("notes.safetensors");
  press("close error");  // it was told
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  EXPECT_EQ(job_of(pictures()[0])["model"]["unet"], "mini") << "what the form had before";
  choose_model("tiny/model_index.json");
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(2));
  const auto made = pictures();
  EXPECT_TRUE(std::any_of(made.begin(), made.end(), [](const fs::path& file) { return job_of(file)["model"]["unet"].get<std::string>().find("tiny") != std::string::npos; }));
  // An upscaler is no model of this method: the form turns to the one that it is for.
  const std::string upscaler = std::string(ATTELIER_SOURCE_DIR) + "/assets/mini-rgt/x2";
  choose_model(upscaler + "/config.json");
  const auto form = [&](const char* place) { return saved().value(Json::json_pointer(place), Json()); };
  EXPECT_TRUE(wait_until(10, [&] { return form("/document/method") == "upscale"; })) << saved().dump();
  EXPECT_EQ(form("/document/methods/upscale/model"), upscaler);
  EXPECT_NE(form("/document/methods/generate/model"), upscaler);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Desktop, AControlNetIsChosenAmongThoseThatAreKnown) {
  const auto program = open({job("few.json", Json::object())});
  const auto stands_low = [&] { return place("parameter control_model choose")[3] > 600; };
  for (int i = 0; i < 20 && stands_low(); ++i) screen_.click(200, 500, 5);
  press("parameter control_model choose");
  press("known model mini-controlnet-depth");
  const auto chosen = [&] { return saved().value(Json::json_pointer("/document/methods/generate/params/control_model"), Json()); };
  EXPECT_TRUE(wait_until(10, [&] { return chosen() == Json{"mini-controlnet-depth"}; })) << saved().dump();
  press("parameter control_model choose");
  press("known model mini-controlnet-edges");
  EXPECT_TRUE(wait_until(10, [&] { return chosen() == (Json{"mini-controlnet-depth", "mini-controlnet-edges"}); })) << saved().dump();
  press("parameter control_model choose");
  EXPECT_FALSE(find_place("known model mini")) << "models of another kind are not offered";
  press("known model mini-controlnet-depth");
  EXPECT_TRUE(wait_until(10, [&] { return chosen() == Json{"mini-controlnet-edges"}; })) << saved().dump();
  EXPECT_EQ(quit(*program).code, 0);
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
    const ProgramResult result = Program(home_.path(), {"gui", "--scale", scale, "--width", "1400", "--height", "900", "--screenshot", file.string(), std::string(ATTELIER_SOURCE_DIR) + "/assets/examples/chelsea.png"}, "", environment())
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
