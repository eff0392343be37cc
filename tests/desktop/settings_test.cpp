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

}  // namespace
}  // namespace attelier
