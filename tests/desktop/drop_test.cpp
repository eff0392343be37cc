// Files dropped onto the window: where they fall decides what they become.
#include "tests/desktop/desktop_fixture.h"
#include "tests/desktop/file_drop.h"

namespace attelier {
namespace {

class DropDesktop : public DesktopFixture {
 protected:
  static constexpr int kFormX = 180;

  bool drop(const std::vector<std::filesystem::path>& files, int x, int y) const {
    screen_.hand({"mousemove", std::to_string(x), std::to_string(y)});
    return drop_files(screen_.display(), files, x, y);
  }
  /// The autosaved form comes to hold what `wanted` looks for.
  template <typename Wanted>
  bool form_becomes(const Wanted& wanted) const {
    return wait_until(kStart, [&] {
      const Json json = saved();
      return json.is_object() && json.contains("document") && wanted(json["document"]);
    });
  }
};

TEST_F(DropDesktop, OnTheCanvasAPictureIsShownAndOnTheFormItIsAnInput) {
  const auto program = open({job("few.json", Json::object())});
  const Image empty = look_at_canvas();
  ASSERT_TRUE(drop({example("chelsea.png")}, kMiddleX, kMiddleY));
  EXPECT_TRUE(wait_until(kStart, [&] { return difference(empty, look_at_canvas(), kMiddleX + 40, kMiddleY + 40) > 8; }));
  ASSERT_TRUE(drop({example("coffee.png")}, kFormX, 500));
  EXPECT_TRUE(form_becomes([](const Json& form) { return form["methods"]["generate"]["inputs"].dump().find("coffee.png") != std::string::npos; }));
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(DropDesktop, AResultDroppedLaterGivesTheSamePixelsAgain) {
  {
    const auto program = open({job("few.json", Json::object())});
    screen_.key("ctrl+Return");
    ASSERT_TRUE(wait_for_pictures(1));
    EXPECT_EQ(quit(*program).code, 0);
  }
  const std::filesystem::path kept = home_.path() / "a month ago.png";
  std::filesystem::copy_file(pictures()[0], kept);
  std::filesystem::remove_all(home_.path() / "attelier");  // its history and its form are gone
  const auto program = open();
  write_prompt("something else");
  ASSERT_TRUE(drop({kept}, kMiddleX, kMiddleY));
  EXPECT_TRUE(form_becomes([](const Json& form) { return form["methods"]["generate"]["params"].value("prompt", "") == "a red house"; }));
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(2));
  EXPECT_EQ(load_image(pictures()[1]).pixels, load_image(kept).pixels);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(DropDesktop, WhatIsNoKnownFileLeavesTheFormAsItIs) {
  const auto program = open({job("few.json", Json::object())});
  home_.write("notes.txt", "no picture");
  home_.write("broken.png", "no picture either");
  ASSERT_TRUE(drop({home_.path() / "notes.txt", home_.path() / "broken.png"}, kMiddleX, kMiddleY));
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  EXPECT_EQ(job_of(pictures()[0])["params"]["prompt"], "a red house");
  EXPECT_EQ(quit(*program).code, 0);
}

}  // namespace
}  // namespace attelier
