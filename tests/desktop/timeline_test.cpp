// Videos frame by frame, and the previews of a run.
#include <set>

#include "core/media/video_file.h"
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

constexpr int kFrames = 50, kStep = 5;

class TimelineDesktop : public DesktopFixture {
 protected:
  /// A video whose frame i is grey of the value kStep * i.
  std::string video() const {
    const std::filesystem::path path = home_.path() / "grey.avi";
    VideoWriter writer(path, 320, 240, 10);
    for (int i = 0; i < kFrames; ++i) writer.write({320, 240, 3, std::vector<uint8_t>(320 * 240 * 3, static_cast<uint8_t>(kStep * i))});
    writer.finish();
    return path.string();
  }
  static int frame_in(const Image& window) { return (pixel(window, kMiddleX, kMiddleY)[1] + kStep / 2) / kStep; }
  int frame() const { return frame_in(look_at_canvas()); }
  bool becomes(int wanted) const {
    return wait_until(kStart, [&] { return frame() == wanted; });
  }
};

TEST_F(TimelineDesktop, FramesAreSteppedThroughPlayedAndARangeOfThemIsSaved) {
  const auto program = open({video()});
  EXPECT_TRUE(becomes(0));
  screen_.key("End");
  EXPECT_TRUE(becomes(kFrames - 1));
  for (int i = 0; i < 3; ++i) screen_.key("comma");
  EXPECT_TRUE(becomes(kFrames - 4));
  screen_.key("period");
  EXPECT_TRUE(becomes(kFrames - 3));
  screen_.click(890, 830);  // the strip's middle
  const int middle = frame();
  EXPECT_NEAR(middle, kFrames / 2, 3);

  // The range of six frames that begins here plays in a loop.
  screen_.key("i");
  for (int i = 0; i < 5; ++i) screen_.key("period");
  screen_.key("o");
  EXPECT_TRUE(becomes(middle + 5));
  screen_.key("p");
  std::set<int> seen;
  EXPECT_TRUE(wait_until(kStart, [&] { return seen.insert(frame_in(look())), seen.size() >= 3; }));
  screen_.key("p");
  EXPECT_GE(*seen.begin(), middle);
  EXPECT_LE(*seen.rbegin(), middle + 5);
  const int stopped = frame();
  usleep(500'000);
  EXPECT_EQ(frame(), stopped);

  palette("save the range");
  screen_.key("ctrl+a");
  screen_.type((home_.path() / "cut.avi").string());
  screen_.key("Return");
  EXPECT_TRUE(wait_until(kStart, [&] { return std::filesystem::exists(home_.path() / "cut.avi"); }));
  VideoReader cut(home_.path() / "cut.avi");
  Image image;
  std::vector<int> frames;
  while (cut.read(image)) frames.push_back((image.pixels[0] + kStep / 2) / kStep);
  EXPECT_EQ(frames, (std::vector<int>{middle, middle + 1, middle + 2, middle + 3, middle + 4, middle + 5}));
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(TimelineDesktop, ThePreviewsOfARunAreLookedAtAgain) {
  const auto program = open({job("long.json", {{"steps", 40}})});
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  usleep(1'200'000);
  const Image result = look_at_canvas();
  screen_.key("Home");  // the first preview: close to noise
  EXPECT_TRUE(wait_until(kStart, [&] {
    const Image noise = look_at_canvas();
    int differs = 0;
    for (int y = -120; y <= 120; y += 20)
      for (int x = -120; x <= 120; x += 20) differs += difference(noise, result, kMiddleX + x, kMiddleY + y) > 24 ? 1 : 0;
    return differs > 60;  // of 169
  }));
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(TimelineDesktop, AVideoThatPreviewsReplacedComesBack) {
  const auto program = open({job("few.json", {{"steps", 30}}), video()});
  EXPECT_TRUE(becomes(0));
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  usleep(700'000);
  press("back to the video");
  EXPECT_TRUE(becomes(0));
  screen_.key("End");
  EXPECT_TRUE(becomes(kFrames - 1));
  EXPECT_EQ(quit(*program).code, 0);
}

}  // namespace
}  // namespace attelier
