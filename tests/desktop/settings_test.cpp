// What a person makes their own in the window: presets, shortcuts, recent files.
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class SettingsInTheWindow : public DesktopFixture {
 protected:
  const fs::path settings_file_ = home_.path() / "attelier" / "desktop.json";

  Json settings() const {
    std::error_code error;
    return fs::exists(settings_file_, error) ? Json::parse(read_file(settings_file_), nullptr, false) : Json();
  }
  Json saved_params() const {
    const Json json = saved();
    return json.is_object() ? json["document"]["methods"]["generate"]["params"] : Json::object();
  }
};

TEST_F(SettingsInTheWindow, APresetIsSavedAppliedInOneStepAndUsedByTheCommandLine) {
  const auto program = open({job("few.json", {{"steps", 3}, {"guidance_scale", 2.5}})});
  palette("presets");
  screen_.type("quick sketch");
  screen_.key("Return");
  const fs::path file = home_.path() / "attelier/presets/generate/quick sketch.json";
  ASSERT_TRUE(wait_until(5, [&] { return fs::exists(file); }));
  EXPECT_EQ(Json::parse(read_file(file))["params"], (Json{{"steps", 3}, {"guidance_scale", 2.5}})) << "neither prompt nor seed";
  press("preset defaults");
  ASSERT_TRUE(wait_until(10, [&] { return saved_params().value("steps", 0) == 30; })) << saved_params().dump();
  palette("presets");
  press("preset quick sketch");
  ASSERT_TRUE(wait_until(10, [&] { return saved_params().value("steps", 0) == 3; })) << saved_params().dump();
  EXPECT_EQ(saved_params()["prompt"], "a red house");
  screen_.key("ctrl+z");
  EXPECT_TRUE(wait_until(10, [&] { return saved_params().value("steps", 0) == 30; })) << "one step takes it back";
  EXPECT_EQ(quit(*program).code, 0);
  const ProgramResult result = Program(home_.path(), {"generate", "a tree", "--preset", "quick sketch", "--print-job"}).finish();
  ASSERT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(Json::parse(result.output)["params"]["steps"], 3);
}

TEST_F(SettingsInTheWindow, AShortcutIsChangedByPressingItAndComesBackWithTheApp) {
  const auto program = open({example("chelsea.png")});
  screen_.key("F1");
  usleep(400'000);
  press("shortcut file.open");
  screen_.key("ctrl+shift+o");
  ASSERT_TRUE(wait_until(5, [&] { return settings().is_object() && settings()["shortcuts"] == Json{{"file.open", "Ctrl+Shift+O"}}; })) << settings().dump();
  // A shortcut that another action has is asked about, and left alone by Escape.
  press("shortcut file.open");
  screen_.key("ctrl+e");
  usleep(300'000);
  screen_.key("Escape");
  usleep(300'000);
  EXPECT_EQ(settings()["shortcuts"], (Json{{"file.open", "Ctrl+Shift+O"}}));
  EXPECT_EQ(quit(*program).code, 0);
  {
    const auto again = open();
    const Image before = look();
    screen_.key("ctrl+o");
    usleep(400'000);
    EXPECT_EQ(difference(before, look(), kWidth / 2, kHeight / 2), 0) << "the old shortcut does nothing";
    screen_.key("ctrl+shift+o");
    EXPECT_TRUE(wait_until(5, [&] { return difference(before, look(), kWidth / 2, 130) > 0; })) << "the file browser is open";
    screen_.key("Escape");
    EXPECT_EQ(quit(*again).code, 0);
  }
  EXPECT_EQ(settings()["recent"], Json::array({example("chelsea.png")}));
}

TEST_F(SettingsInTheWindow, NumberFormatAndFolderAreChosenInTheFormAndKept) {
  const std::filesystem::path folder = home_.path() / "elsewhere";
  std::filesystem::create_directory(folder);
  {
    const auto program = open({job("few.json", Json::object())});
    const auto scroll_to_the_end = [&] {
      for (int i = 0; i < 30; ++i) screen_.click(200, 600, 5);
    };
    scroll_to_the_end();
    press("Device and output", 1, 0.2);
    scroll_to_the_end();
    press("common dtype");
    press("common dtype bfloat16");
    press("common dir text", 1, 0.3);
    screen_.key("ctrl+a");
    screen_.type(folder.string());
    screen_.key("Return");
    const auto run = [&] { return saved().value("/document/run"_json_pointer, Json::object()).value("dtype", ""); };
    EXPECT_TRUE(wait_until(10, [&] { return run() == "bfloat16"; })) << saved().dump();
    screen_.key("ctrl+Return");
    EXPECT_TRUE(wait_until(kJob, [&] { return !pngs_in(folder).empty(); }));
    EXPECT_EQ(quit(*program).code, 0);
  }
  ASSERT_FALSE(pngs_in(folder).empty());
  const std::filesystem::path first = pngs_in(folder)[0];
  EXPECT_EQ(job_of(first)["run"]["dtype"], "bfloat16");
  // The app remembers, and the picture brings its number format along.
  const auto program = open();
  screen_.key("ctrl+Return");
  EXPECT_TRUE(wait_until(kJob, [&] { return pngs_in(folder).size() == 2; }));
  EXPECT_EQ(load_image(pngs_in(folder)[0]).pixels, load_image(pngs_in(folder)[1]).pixels);
  EXPECT_EQ(quit(*program).code, 0);
}

}  // namespace
}  // namespace attelier
