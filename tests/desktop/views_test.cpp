// Comparison, the queue, recovery, other sizes and other keyboards, in the real window.
#include <csignal>
#include <cstdlib>
#include <set>

#include "app/session/journal.h"
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

class Views : public DesktopFixture {
 protected:
  /// How many different reds there are around the middle of the canvas of a window of this size.
  static size_t colours_in_the_middle(const Image& image) {
    std::set<int> colours;
    const auto x = static_cast<int>((380 + image.width - 300) / 2), y = static_cast<int>((58 + image.height - 218) / 2);
    for (int dy = -60; dy < 60; dy += 4)
      for (int dx = -60; dx < 60; dx += 4) colours.insert(pixel(image, x + dx, y + dy)[0]);
    return colours.size();
  }
  /// The journal's jobs have all ended: what the canvas shows is no preview.
  bool runs_nothing() const { return Journal(home_.path() / "attelier" / "journal.sqlite").queue().empty(); }
  std::string prompt_saved() const {
    const Json json = saved();
    return json.is_object() ? json["document"]["methods"]["generate"]["params"].value("prompt", "") : "";
  }
};

TEST_F(Views, AQuickClickDragsNothingAndADragMovesThePicture) {
  const auto program = open({"--slow-frames", "100", example("chelsea.png")});
  const Image before = look_at_canvas();
  const auto is_moved_by = [&](const Image& now, int dx, int dy) {
    for (int y = kMiddleY; y < kMiddleY + 100; y += 10)
      for (int x = kMiddleX; x < kMiddleX + 100; x += 10)
        if (pixel(now, x + dx, y + dy) != pixel(before, x, y)) return false;
    return true;
  };
  screen_.click(kMiddleX - 100, kMiddleY - 100);  // from the lower edge, where the pointer was: the way there and the press are one frame
  EXPECT_TRUE(is_moved_by(look_at_canvas(), 0, 0));
  screen_.drag(kMiddleX, kMiddleY, kMiddleX - 60, kMiddleY - 40);
  const Image moved = look_at_canvas();
  bool found = false;  // pixels of the picture stand on whole ones of the screen
  for (int dy = -41; dy <= -39; ++dy)
    for (int dx = -61; dx <= -59; ++dx) found |= is_moved_by(moved, dx, dy);
  EXPECT_TRUE(found);
}

TEST_F(Views, WhatIsLookedAtStaysWhileAJobRuns) {
  ASSERT_EQ(Program(home_.path(), {"queue", "add", job("one.json", {{"steps", 2}}), "--out", home_.path().string()}).finish().code, 0);
  ASSERT_EQ(Program(home_.path(), {"queue", "run"}).finish().code, 0);
  const auto program = open({job("long.json", {{"prompt", "a white boat"}, {"steps", 400}})});
  press("entry 1");
  usleep(800'000);
  const Image made = look_at_canvas();
  const auto is_shown = [&](const Image& window) {
    for (int offset = -120; offset <= 120; offset += 20)
      if (difference(window, made, kMiddleX + offset, kMiddleY + offset) > 0) return false;
    return true;
  };
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_until(kStart, [&] { return !is_shown(look_at_canvas()); })) << "the preview comes to the canvas";
  press("entry 1");
  ASSERT_TRUE(wait_until(kStart, [&] { return is_shown(look_at_canvas()); }));
  for (int i = 0; i < 3; ++i) {
    usleep(400'000);
    EXPECT_TRUE(is_shown(look_at_canvas())) << "previews do not push it aside";
  }
  palette("watch the running");
  EXPECT_TRUE(wait_until(kStart, [&] { return !is_shown(look_at_canvas()); }));
  screen_.key("ctrl+period");
  EXPECT_TRUE(wait_until(kStart, [&] { return runs_nothing(); }));
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Views, WipeAndDifferenceShowBothPictures) {
  const auto program = open({job("one.json", {{"steps", 1}})});
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  Image b, a;
  ASSERT_TRUE(wait_until(kJob, [&] {
    b = look_at_canvas();
    return runs_nothing() && colours_in_the_middle(b) > 40;
  }));
  palette("compare later pictures");
  screen_.key("r");
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(2));
  ASSERT_TRUE(wait_until(kJob, [&] {
    a = look_at_canvas();
    int changed = 0;
    for (int y = kMiddleY - 200; y <= kMiddleY + 200; y += 20)
      for (int x = kMiddleX - 200; x <= kMiddleX + 200; x += 20) changed += difference(a, b, x, y) > 8 ? 1 : 0;
    return runs_nothing() && changed > 50;
  }));
  screen_.key("v");
  const Image wipe = look_at_canvas();
  palette("compare difference");
  const Image apart = look_at_canvas();
  size_t differs = 0;
  for (int y = kMiddleY - 200; y <= kMiddleY + 200; y += 8)
    for (int x = kMiddleX - 200; x <= kMiddleX + 200; x += 8) {
      if (std::abs(x - kMiddleX) < 8) continue;  // the wipe's line
      EXPECT_EQ(pixel(wipe, x, y), pixel(x < kMiddleX ? a : b, x, y)) << x << " " << y;
      std::array<int, 3> expected{};
      for (size_t c = 0; c < 3; ++c) expected[c] = std::min(255, 4 * std::abs(pixel(a, x, y)[c] - pixel(b, x, y)[c]));
      EXPECT_EQ(pixel(apart, x, y), expected) << x << " " << y;
      differs += difference(a, b, x, y) > 8 ? 1 : 0;
      if (HasFailure()) return;
    }
  EXPECT_GT(differs, 200u) << "two seeds, two pictures";
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Views, FalseColoursAreAViewThatChangesNothing) {
  const auto program = open({example("chelsea.png")});
  ASSERT_TRUE(wait_until(kStart, [&] { return colours_in_the_middle(look_at_canvas()) > 40u; }));
  const Image before = look_at_canvas();
  screen_.key("c");
  const Image coloured = look_at_canvas();
  int most = 0;
  for (int x = kMiddleX - 150; x < kMiddleX + 150; x += 10) most = std::max(most, difference(before, coloured, x, kMiddleY));
  EXPECT_GT(most, 60);
  screen_.key("c");
  EXPECT_EQ(difference(before, look_at_canvas(), kMiddleX, kMiddleY), 0);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Views, OfFiveJobsOneIsCancelledAndFourAreMadeWhileTheWindowStaysQuick) {
  const std::string times = (home_.path() / "frames.json").string();
  const auto program = open({job("five.json", {{"steps", 60}}), "--frame-times", times});
  for (int i = 0; i < 5; ++i) screen_.key("ctrl+Return");
  usleep(800'000);  // the first job runs by now, and none is done before it
  screen_.key("ctrl+period");
  for (int i = 0; i < 40; ++i) screen_.hand({"mousemove", std::to_string(600 + 5 * i), std::to_string(300 + 2 * i)});
  ASSERT_TRUE(wait_until(3 * kJob, [&] { return pictures().size() >= 4; }));
  usleep(2'000'000);
  EXPECT_EQ(pictures().size(), 4u);
  EXPECT_EQ(quit(*program).code, 0);
  const Json frames = Json::parse(read_file(times))["while_a_job_runs"];
  EXPECT_GT(frames["frames"], 20);
  EXPECT_LT(frames["p95_ms"], 150) << frames.dump() << " a window that waited for a step would take longer";
}

TEST_F(Views, AfterAKillOneDialogOffersWhatWasInterrupted) {
  {
    const auto program = open({job("long.json", {{"steps", 60}}, {{"image", example("chelsea.png")}})});
    screen_.key("ctrl+Return");
    usleep(2'500'000);
    program->send(SIGKILL);
    program->finish();
  }
  {
    const auto program = open();
    const Image with = look();
    screen_.key("ctrl+Return");  // goes to the dialog, not to the form
    screen_.key("Escape");       // later
    usleep(300'000);
    EXPECT_GT(difference(with, look(), kWidth / 2, kHeight / 2), 0) << "the dialog is gone";
    EXPECT_TRUE(pictures().empty());
    EXPECT_EQ(quit(*program).code, 0);
  }
  const auto program = open();
  usleep(300'000);
  screen_.click(869, 453);  // the row's "Run again"
  ASSERT_TRUE(wait_for_pictures(1));
  EXPECT_EQ(job_of(pictures()[0])["params"]["steps"], 60);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Views, AFrenchKeyboardAndAnotherSizeOfTheWindow) {
  if (std::system(("setxkbmap -display " + screen_.display() + " fr 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "setxkbmap is not installed";
  const auto program = open({job("few.json", Json::object()), example("chelsea.png")});
  EXPECT_GT(colours_in_the_middle(look_at_canvas()), 40u) << "a picture was opened";
  write_prompt("a green tree");
  EXPECT_TRUE(wait_until(10, [&] { return prompt_saved() == "a green tree"; })) << prompt_saved();
  // The letter Z lies where a US keyboard has its W.
  screen_.key("ctrl+z");
  EXPECT_TRUE(wait_until(10, [&] { return prompt_saved() == "a red house"; })) << prompt_saved();
  const std::string window = screen_.hand({"search", "--onlyvisible", "--name", "^Attelier$"});
  screen_.hand({"windowsize", "--sync", window.substr(0, window.find('\n')), "1100", "700"});
  usleep(400'000);
  const Image small = look();
  EXPECT_EQ(small.width, 1100);
  EXPECT_EQ(small.height, 700);
  EXPECT_GT(colours_in_the_middle(small), 40u);
  EXPECT_EQ(quit(*program).code, 0);
}

}  // namespace
}  // namespace attelier
