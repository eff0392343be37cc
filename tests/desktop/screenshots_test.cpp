// Every view with something in it, as pictures: into the folder $ATTELIER_SCREENSHOTS where it is set, which is how those of the README are made.
#include <cstdlib>
#include <set>

#include "core/media/video_file.h"
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class Screenshots : public DesktopFixture {
 protected:
  /// Waits until the window shows no message over itself, then keeps its picture, and checks that every part of it has something to show.
  Image shoot(const std::string& name) const {
    const char* const folder = std::getenv("ATTELIER_SCREENSHOTS");
    if (folder != nullptr) usleep(4'500'000);  // messages go after four seconds
    const Image window = look_at_canvas();
    EXPECT_EQ(window.width, kWidth) << name;
    EXPECT_EQ(window.height, kHeight) << name;
    if (folder != nullptr) save_image(fs::path(folder) / (name + ".png"), window);
    EXPECT_GT(colours(window, 0, 0, kWidth, 28), 8u) << name << ": the menu";
    EXPECT_GT(colours(window, 0, kHeight - 28, kWidth, kHeight), 8u) << name << ": the status line";
    return window;
  }
  /// How many colours there are in a part of the window: text has a dozen shades, a photograph hundreds, an empty panel two.
  static size_t colours(const Image& window, int left, int top, int right, int bottom) {
    std::set<std::array<int, 3>> found;
    for (int y = top; y < bottom; ++y)
      for (int x = left; x < right; x += 1) found.insert(pixel(window, x, y));
    return found.size();
  }
  static size_t canvas_colours(const Image& window) { return colours(window, kMiddleX - 200, kMiddleY - 200, kMiddleX + 200, kMiddleY + 200); }
  void make(const std::string& chord = "ctrl+Return") const {
    const size_t before = pictures().size();
    screen_.key(chord);
    ASSERT_TRUE(wait_for_pictures(before + 1));
    usleep(600'000);
  }
  /// A dog on a walk, drawn by the program itself.
  std::string walk() const {
    const fs::path folder = home_.path() / "walk", video = home_.path() / "walk.mp4";
    fs::create_directories(folder);
    const ProgramResult drawn = Program(home_.path(), {"scenes", "--output", "video", "--count", "1", "--frames", "24", "--fps", "8", "--size", "320", "--place", "meadow", "--things", "dog", "--no-truth", "--out", folder.string()}).finish();
    EXPECT_EQ(drawn.code, 0) << drawn.errors;
    VideoWriter writer(video, 320, 320, 8);
    for (const fs::path& frame : pngs_in(folder, "scene")) writer.write(load_image(frame));
    writer.finish();
    return video.string();
  }
  /// Steps of a job: enough for pictures that are worth showing, few where only the test looks.
  static int steps() { return std::getenv("ATTELIER_SCREENSHOTS") != nullptr ? 30 : 3; }
};

TEST_F(Screenshots, EveryViewHasSomethingToShow) {
  const auto program = open({job("house.json", {{"prompt", "a red house near a lake"}, {"steps", steps()}, {"seed", 3}})});
  make();
  const Image create = shoot("create");
  EXPECT_GT(canvas_colours(create), 200u);
  EXPECT_GT(colours(create, 0, 30, 360, 800), 30u) << "the form";
  EXPECT_GT(colours(create, 1110, 40, kWidth, 400), 30u) << "histogram and settings";

  palette("compare later pictures");
  write_prompt("a blue house near a lake");
  make();
  screen_.key("v");
  const Image compare = shoot("compare");
  EXPECT_GT(canvas_colours(compare), 200u);
  EXPECT_NE(compare.pixels, create.pixels);
  palette("picture alone");

  for (const char* prompt : {"a green tree on a hill", "a yellow boat", "a white church", "a red flower"}) {
    write_prompt(prompt);
    make();
  }
  screen_.key("ctrl+4");
  usleep(400'000);
  const Image queue = shoot("history");
  const auto [left, top, right, bottom] = place("entry 1");
  EXPECT_GT(colours(queue, left, top, right, bottom), 100u) << "a thumbnail";

  screen_.key("ctrl+1");
  screen_.key("F1");
  usleep(400'000);
  EXPECT_GT(colours(shoot("shortcuts"), 300, 150, 1100, 750), 20u);
  screen_.key("F1");
  screen_.key("ctrl+p");
  usleep(300'000);
  screen_.type("comp");
  usleep(300'000);
  EXPECT_GT(colours(shoot("palette"), 430, 90, 970, 400), 20u);
  screen_.key("Escape");
  screen_.key("Escape");
  palette("light or dark");
  const Image light = shoot("light");
  EXPECT_GT(pixel(light, 5, kHeight / 2)[0], 200);
  EXPECT_LT(pixel(create, 5, kHeight / 2)[0], 60);
  palette("light or dark");
  palette("high contrast");
  EXPECT_EQ(pixel(shoot("contrast"), 5, kHeight / 2), (std::array<int, 3>{0, 0, 0}));
  palette("high contrast");

  write_prompt("a red house near a lake");
  make("ctrl+k");
  press("word house");
  usleep(2'000'000);
  const Image inspect = shoot("inspect");
  EXPECT_GT(canvas_colours(inspect), 200u);
  EXPECT_GT(colours(inspect, 1110, 40, kWidth, 800), 60u) << "words, scale and colour bar";
  screen_.hand({"keydown", "shift"});
  press("word lake");
  screen_.hand({"keyup", "shift"});
  usleep(2'000'000);
  EXPECT_NE(shoot("inspect_two").pixels, inspect.pixels);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(Screenshots, AMask) {
  const auto program = open({job("mask.json", {{"prompt", "a dog"}, {"steps", steps()}}, {{"image", example("chelsea.png")}})});
  ASSERT_TRUE(wait_until(kStart, [&] { return saved().dump().find("chelsea.png") != std::string::npos; }));
  screen_.key("b");
  usleep(500'000);
  screen_.drag(kMiddleX - 120, kMiddleY - 30, kMiddleX + 90, kMiddleY + 20);
  screen_.drag(kMiddleX + 60, kMiddleY + 60, kMiddleX - 100, kMiddleY + 40);
  const Image mask = shoot("mask");
  EXPECT_GT(colours(mask, 1110, 40, kWidth, 600), 30u) << "the tools";
  EXPECT_GT(canvas_colours(mask), 200u);
}

TEST_F(Screenshots, APhotographInTwoStyles) {
  const auto program = open({style_job({{"content", example("chelsea.png")}, {"style", {example("coffee.png"), example("rocket.png")}}}, std::getenv("ATTELIER_SCREENSHOTS") != nullptr ? 50 : 3)});
  press("style 1 paint");
  for (int i = 0; i < 6; ++i) screen_.key("bracketright");
  const Image bare = look_at_canvas();
  for (int x = kMiddleX - 260; x < kMiddleX - 20; x += 60) screen_.drag(x, 60, x + 40, 650);
  const Image regions = shoot("regions");
  EXPECT_GT(canvas_colours(regions), 200u);
  EXPECT_GT(difference(bare, regions, kMiddleX - 150, kMiddleY), 8) << "the region over the photograph";
  EXPECT_GT(colours(regions, 1110, 40, kWidth, 600), 30u) << "regions and tools";
  screen_.key("Escape");
  make("ctrl+k");
  const auto [left, top, right, bottom] = place("looks into 1");
  screen_.click(kMiddleX - 100, kMiddleY - 100);
  usleep(2'000'000);
  const Image looks = shoot("style_inspect");
  EXPECT_GT(canvas_colours(looks), 200u);
  EXPECT_GT(colours(looks, left, bottom + 40, right, bottom + 200), 100u) << "the map over the style";
  screen_.key("ctrl+1");
  usleep(400'000);
  const Image style = shoot("style");
  EXPECT_GT(canvas_colours(style), 200u);
  EXPECT_GT(colours(style, 0, 180, 360, 620), 100u) << "the styles and their strength";
}

TEST_F(Screenshots, AVideoInTheTimeline) {
  const auto program = open({walk()});
  usleep(1'500'000);
  const Image first = shoot("timeline");
  EXPECT_GT(canvas_colours(first), 200u);
  EXPECT_GT(colours(first, 400, 770, 1380, 840), 200u) << "the strip of small frames";
  EXPECT_GT(colours(first, 400, 730, 1380, 750), 8u) << "buttons and the frame's number";
  screen_.key("End");
  usleep(500'000);
  EXPECT_NE(look_at_canvas().pixels, first.pixels);
}

TEST_F(Screenshots, AtTwiceTheSize) {
  const auto program = open({"--scale", "2", example("chelsea.png")});
  usleep(500'000);
  const Image window = shoot("twice");
  EXPECT_GT(colours(window, 0, 60, 560, 800), 40u) << "the form";
  EXPECT_GT(colours(window, 700, 200, 900, 300), 100u) << "the picture";
}

}  // namespace
}  // namespace attelier
