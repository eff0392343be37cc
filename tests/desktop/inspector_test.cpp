// The attention inspector: a run is looked into by word and by place, edited, and run again beside the first picture.
#include <csignal>

#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

class InspectorTest : public DesktopFixture {
 protected:
  // Places in the right panel of a window of 1400 x 900 whose prompt is one row of words.
  static constexpr int kWordsY = 204, kRedX = 1152, kHouseX = 1195, kMuteX = 1134, kMuteY = 549, kAddY = 648, kBesideY = 731, kPanelMiddle = 1250;

  /// How many of the canvas' pixels differ, of a grid of them.
  using DesktopFixture::press;
  static int changed(const Image& a, const Image& b) {
    int count = 0;
    for (int y = kMiddleY - 200; y <= kMiddleY + 200; y += 10)
      for (int x = kMiddleX - 200; x <= kMiddleX + 200; x += 10) count += difference(a, b, x, y) > 6 ? 1 : 0;
    return count;
  }
  /// Looks until the map is there: it is computed beside the window.
  Image look_until_changed(const Image& before) const {
    Image now;
    EXPECT_TRUE(wait_until(20, [&] {
      now = look_at_canvas();
      return changed(before, now) > 20;
    }));
    return now;
  }
  void press(int x, int y) const {
    screen_.hand({"mousemove", std::to_string(x), std::to_string(y)});
    usleep(150'000);
    screen_.click(x, y);
    usleep(250'000);
  }
};

TEST_F(InspectorTest, AWordIsSeenMutedAndTheSameSeedRunBeside) {
  const auto program = open({job("j.json", {{"steps", 4}})});
  screen_.key("ctrl+k");
  ASSERT_TRUE(wait_for_pictures(1));
  usleep(3'000'000);  // the map is computed beside the window
  const Image house = look_at_canvas();
  // The map lies over the picture.
  const Image picture = load_image(pictures()[0]);
  const auto middle = pixel(house, kMiddleX, kMiddleY), own = pixel(picture, static_cast<int>(picture.width / 2), static_cast<int>(picture.height / 2));
  EXPECT_NE(middle, own);

  press(kRedX, kWordsY);
  const Image red = look_until_changed(house);
  press(kMiddleX, kMiddleY);
  const Image place = look_until_changed(red);
  press(kHouseX, kWordsY);
  EXPECT_LT(changed(look_until_changed(place), house), 5) << "the first word's map again";

  usleep(4'500'000);  // toasts that tell of pictures of the window lie over the lowest buttons
  press(kMuteX, kMuteY);
  press(kPanelMiddle, kAddY);
  press(kPanelMiddle, kBesideY);
  ASSERT_TRUE(wait_for_pictures(2));
  const Json first = job_of(pictures()[0])["params"], second = job_of(pictures()[1])["params"];
  EXPECT_EQ(first["attention"], Json::array());
  EXPECT_EQ(second["attention"], Json::array({"house=0", "house=0 site:text_encoder*:*"}));
  EXPECT_EQ(first["seed"], second["seed"]);
  EXPECT_NE(load_image(pictures()[0]).pixels, load_image(pictures()[1]).pixels);
  usleep(1'000'000);
  EXPECT_GT(changed(look_at_canvas(), house), 20) << "two pictures side by side";
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(InspectorTest, TwoWordsAreComparedInTwoColours) {
  const auto program = open({job("j.json", {{"steps", 3}})});
  screen_.key("ctrl+k");
  ASSERT_TRUE(wait_for_pictures(1));
  press("word house");
  screen_.hand({"keydown", "shift"});
  press("word red");
  screen_.hand({"keyup", "shift"});
  // Orange where one word acts, blue where the other does.
  int orange = 0, blue = 0;
  EXPECT_TRUE(wait_until(kStart, [&] {
    const Image window = look_at_canvas();
    orange = blue = 0;
    for (int y = 160; y <= 770; y += 8)
      for (int x = 430; x <= 1050; x += 8) {
        const auto [r, g, b] = pixel(window, x, y);
        orange += r > b + 25 && r > g ? 1 : 0;
        blue += b > r + 25 && b > g ? 1 : 0;
      }
    return orange > 100 && blue > 100;
  })) << orange << " orange and " << blue << " blue places";
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(InspectorTest, ASignalClosesTheWindow) {
  const auto program = open();
  program->send(SIGTERM);
  EXPECT_TRUE(wait_until(5, [&] { return !program->running(); }));
}

}  // namespace
}  // namespace attelier
