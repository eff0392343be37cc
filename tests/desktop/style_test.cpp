// A photograph is styled in the window: pictures chosen, styles mixed and painted where they act, strength by layer, and the library.
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class StyleDesktop : public DesktopFixture {
 protected:
  StyleDesktop() { home_.write("attelier/config.json", R"({"params": {"style": {"steps": 8}}})"); }

  /// A picture of one colour, with grain.
  std::string paint_of(const std::string& name, std::array<int, 3> colour) const {
    Image image{256, 256, 3, std::vector<uint8_t>(256 * 256 * 3)};
    uint32_t noise = 1;
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      noise = noise * 1664525 + 1013904223;
      image.pixels[i] = static_cast<uint8_t>(std::clamp(colour[i % 3] + static_cast<int>(noise >> 26) - 32, 0, 255));
    }
    save_image(home_.path() / name, image);
    return (home_.path() / name).string();
  }
  /// The style's settings as they were saved last.
  Json settings() const { return saved().value("/document/methods/style"_json_pointer, Json::object()); }
  template <typename Wanted>
  testing::AssertionResult settings_become(const Wanted& wanted) const {
    Json last;
    if (wait_until(15, [&] {
          const Json all = saved();
          return all.is_object() && wanted(last = settings());
        }))
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << last.dump();
  }
  /// Mean red minus mean blue of some columns.
  static double warmth(const Image& image, double from, double to) {
    double sum = 0;
    int64_t count = 0;
    for (int64_t y = 0; y < image.height; ++y)
      for (auto x = static_cast<int64_t>(from * static_cast<double>(image.width)); x < static_cast<int64_t>(to * static_cast<double>(image.width)); ++x, ++count) {
        const auto [r, g, b] = pixel(image, static_cast<int>(x), static_cast<int>(y));
        sum += r - b;
      }
    return sum / static_cast<double>(count);
  }
};

TEST_F(StyleDesktop, APhotographIsStyledAndTheCommandLineRepeatsIt) {
  const auto program = open();
  palette("method style");
  choose_file("content", example("chelsea.png"));
  choose_file("style", example("coffee.png"));
  place("style 1");
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  const Json job = job_of(pictures()[0]);
  EXPECT_EQ(job["method"], "style");
  EXPECT_EQ(job["inputs"]["content"][0]["file"], "chelsea.png");
  EXPECT_EQ(job["inputs"]["style"][0]["file"], "coffee.png");
  const ProgramResult again = Program(home_.path(), {"run", pictures()[0].string(), "--out", home_.path().string(), "--name", "again.png"}, "", kOneThread).finish();
  ASSERT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(load_image(home_.path() / "again.png").pixels, load_image(pictures()[0]).pixels);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(StyleDesktop, EachStyleActsWhereItIsPainted) {
  const std::string red = paint_of("red.png", {200, 70, 50}), blue = paint_of("blue.png", {40, 80, 200});
  const auto program = open({style_job({{"content", example("chelsea.png")}, {"style", {red, blue}}})});
  const Image before = look_at_canvas();
  // The left half is the first style's, the right half the second one's. Both are seen while one is painted.
  press("style 1 paint");
  screen_.key("u");
  usleep(500'000);
  screen_.drag(kMiddleX - 340, 676, kMiddleX, 30);
  press("region 2");
  screen_.drag(kMiddleX + 340, 676, kMiddleX, 30);
  EXPECT_TRUE(wait_until(15, [&] { return saved().value("/masks/style/style_mask/1"_json_pointer, Json()).is_string(); }));
  const Image painted = look_at_canvas();
  EXPECT_GT(difference(before, painted, kMiddleX - 150, kMiddleY), 8);
  EXPECT_GT(difference(before, painted, kMiddleX + 150, kMiddleY), 8);
  const auto left = pixel(painted, kMiddleX - 150, kMiddleY), right = pixel(painted, kMiddleX + 150, kMiddleY);
  EXPECT_NE(left, right);
  screen_.key("ctrl+z");
  const Image undone = look_at_canvas();
  EXPECT_EQ(pixel(undone, kMiddleX - 150, kMiddleY), left) << "one stroke is one step";
  EXPECT_NE(pixel(undone, kMiddleX + 150, kMiddleY), right);
  screen_.key("ctrl+shift+z");
  screen_.key("Escape");
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  const Json job = job_of(pictures()[0]);
  ASSERT_EQ(job["inputs"]["style_mask"].size(), 2u) << job.dump();
  const Image result = load_image(pictures()[0]);
  EXPECT_GT(warmth(result, 0, 0.45), 30);
  EXPECT_LT(warmth(result, 0.55, 1), -30);

  // The other way round: what is painted moves with its style, so that the picture is the same; exchanged styles alone would exchange the halves.
  press("style 2 up");
  EXPECT_TRUE(settings_become([&](const Json& json) { return json["inputs"]["style"] == Json({blue, red}); }));
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(2));
  EXPECT_GT(warmth(load_image(pictures()[1]), 0, 0.45), 30);
  EXPECT_LT(warmth(load_image(pictures()[1]), 0.55, 1), -30);
  // Without the second one the first keeps its place, and the rest of the photograph stays.
  press("style 1 remove");
  EXPECT_TRUE(settings_become([&](const Json& json) { return json["inputs"]["style"] == Json({red}); }));
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(StyleDesktop, StrengthIsSetByLayerAndTakenBack) {
  const auto program = open({style_job({{"content", example("chelsea.png")}, {"style", example("coffee.png")}})});
  press("Fine gamma", 1, 0.1);
  press("Coarse temperature", 1, 0.9);
  EXPECT_TRUE(settings_become([](const Json& json) {
    const Json gammas = json["params"]["block_gammas"], temperatures = json["params"]["block_temperatures"];
    return gammas.is_array() && temperatures.is_array() && gammas.size() == 6 && gammas[0] == 0.75 && gammas[3] == 0.75 && gammas[4] < 0.2 && gammas[5] == gammas[4] && temperatures[0] > 2.5 &&
           temperatures[1] == temperatures[0] && temperatures[2] == 1.5;
  }));
  press("strength reset");
  EXPECT_TRUE(settings_become([](const Json& json) { return json["params"]["block_gammas"].is_null() && json["params"]["block_temperatures"].is_null(); }));
  screen_.key("ctrl+z");
  EXPECT_TRUE(settings_become([](const Json& json) { return json["params"]["block_gammas"].is_array() && json["params"]["block_temperatures"].is_array(); })) << "one step";
  press("All layers gamma", 1, 0.3);
  EXPECT_TRUE(settings_become([](const Json& json) { return json["params"]["block_gammas"].is_null() && json["params"]["gamma"] < 0.5; }));
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(StyleDesktop, TheInspectorShowsWhereAPlaceLooksInItsStyle) {
  const auto program = open({style_job({{"content", example("chelsea.png")}, {"style", example("coffee.png")}}, 4)});
  screen_.key("ctrl+k");
  ASSERT_TRUE(wait_for_pictures(1));
  // The style lies in the panel under its map, which follows the place; the picture stays free.
  const auto [left, top, right, bottom] = place("looks into 1");
  const auto map_of = [&, &bottom = bottom](const Image& window) {
    std::vector<std::array<int, 3>> pixels;
    for (int y = bottom + 40; y < bottom + 200; y += 8)
      for (int x = 1125; x < 1360; x += 8) pixels.push_back(pixel(window, x, y));
    return pixels;
  };
  screen_.click(kMiddleX - 100, kMiddleY - 100);
  usleep(1'500'000);
  const Image first = look_at_canvas();
  screen_.click(kMiddleX + 120, kMiddleY + 130);
  EXPECT_TRUE(wait_until(kStart, [&] { return map_of(look_at_canvas()) != map_of(first); })) << "another place looks elsewhere";
  const Image free = look_at_canvas();
  press("looks into itself");
  EXPECT_TRUE(wait_until(kStart, [&] { return difference(free, look_at_canvas(), kMiddleX - 40, kMiddleY + 20) > 6; })) << "its own map lies over the picture";
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(StyleDesktop, TheLibraryGivesStylesAndTakesThem) {
  const std::string rain = paint_of("rain.png", {90, 100, 110});
  ASSERT_EQ(Program(home_.path(), {"styles", "add", "grey rain", rain}).finish().code, 0);
  const auto program = open({style_job({{"content", example("chelsea.png")}, {"style", example("coffee.png")}})});
  press("style library");
  press("kept grey rain");
  EXPECT_TRUE(settings_become([](const Json& json) { return json["inputs"]["style"].size() == 2; }));
  const Json list = Json::parse(Program(home_.path(), {"styles", "list", "--json"}).finish().output);
  EXPECT_EQ(settings()["inputs"]["style"][1], list["styles"][0]["picture"]);
  press("style 1", 3);
  press("keep");
  EXPECT_TRUE(wait_until(kStart, [&] { return Json::parse(Program(home_.path(), {"styles", "list", "--json"}).finish().output)["styles"].size() == 2; }));
  EXPECT_EQ(Json::parse(Program(home_.path(), {"styles", "show", "coffee", "--json"}).finish().output)["sha256"], sha256_file(example("coffee.png")));
  // Both act, by weight.
  press("style 2 weight", 1, 0.2);
  EXPECT_TRUE(settings_become([](const Json& json) { return json["params"]["weights"].is_array() && json["params"]["weights"][0] == 1.0 && json["params"]["weights"][1] < 0.5; }));
  EXPECT_EQ(quit(*program).code, 0);
}

}  // namespace
}  // namespace attelier
