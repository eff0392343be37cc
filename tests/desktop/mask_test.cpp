// Painting a mask with a real pointer, and inpainting with it.
#include <csignal>
#include <cmath>

#include "app/session/journal.h"
#include "app/session/mask_brush.h"
#include "core/base/error.h"
#include "core/diffusion/latents.h"
#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

class MaskDesktop : public DesktopFixture {
 protected:
  std::unique_ptr<Program> open_picture(const std::string& picture, const Json& params = Json::object(), std::vector<std::string> more = {}) {
    more.insert(more.begin(), job("mask.json", params, {{"image", picture}}));
    auto program = open(std::move(more));
    // The form has its picture when its autosave has.
    EXPECT_TRUE(wait_until(kStart, [&] { return saved().dump().find(fs::path(picture).filename().string()) != std::string::npos; }));
    screen_.key("b");
    usleep(400'000);
    return program;
  }
  /// The painted mask once it was saved and fulfils `wanted`.
  template <typename Wanted>
  testing::AssertionResult mask_becomes(const Wanted& wanted) const {
    Mask mask;
    const bool is = wait_until(15, [&] {
      const Json json = saved();
      const Json name = json.is_object() ? json.value("/masks/generate/mask/0"_json_pointer, Json()) : Json();
      if (!name.is_string()) return wanted(mask = Mask());
      try {
        mask = Mask(load_image(home_.path() / "attelier" / "autosave" / "1" / name.get<std::string>()));
      } catch (const Error&) {  // replaced just now
        return false;
      }
      return wanted(mask);
    });
    return is ? testing::AssertionSuccess() : testing::AssertionFailure() << "the mask is " << mask.width() << " x " << mask.height() << " with " << share(mask) << " of it painted";
  }
  static double share(const Mask& mask) {
    if (mask.width() == 0) return 0;
    const Image image = mask.to_image();
    return static_cast<double>(std::count_if(image.pixels.begin(), image.pixels.end(), [](uint8_t value) { return value >= 128; })) / static_cast<double>(image.pixels.size());
  }
};

TEST_F(MaskDesktop, APaintedStrokeIsInpaintedAndTheRestIsKept) {
  const std::string photograph = example("chelsea.png");
  const auto program = open_picture(photograph, {{"steps", 3}, {"keep_pixels", true}});
  const Image before = look_at_canvas();
  screen_.drag(kMiddleX - 80, kMiddleY, kMiddleX + 80, kMiddleY);
  const Image painted = look_at_canvas();
  EXPECT_GT(difference(before, painted, kMiddleX, kMiddleY), 20);
  EXPECT_EQ(difference(before, painted, kMiddleX, kMiddleY + 150), 0);
  screen_.key("ctrl+z");
  EXPECT_EQ(difference(before, look_at_canvas(), kMiddleX, kMiddleY), 0) << "undone";
  screen_.key("ctrl+shift+z");
  EXPECT_EQ(difference(painted, look_at_canvas(), kMiddleX, kMiddleY), 0) << "done again";

  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(1));
  const Json job = job_of(pictures()[0]);
  ASSERT_TRUE(job["inputs"].contains("mask")) << job.dump();
  const Json named = job["inputs"]["mask"].is_array() ? job["inputs"]["mask"][0] : job["inputs"]["mask"];
  const fs::path mask_file = home_.path() / "attelier" / "masks" / named["file"].get<std::string>();
  const std::string hash = sha256(read_file(mask_file));
  EXPECT_EQ(named["sha256"], hash);
  EXPECT_EQ(named["file"], "mask-" + hash.substr(0, 16) + ".png") << "named by its contents, so that it stays what it is";
  const Image result = load_image(pictures()[0]), original = resize_lanczos(to_rgb(load_image(photograph)), result.width, result.height);
  const Image mask = to_image(binary_mask(to_tensor(resize_lanczos(load_image(mask_file), result.width, result.height))));
  int64_t inside = 0, changed = 0, outside_changed = 0;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    bool same = true;
    for (size_t c = 0; c < 3; ++c) same = same && result.pixels[3 * i + c] == original.pixels[3 * i + c];
    if (mask.pixels[i] == 0) outside_changed += same ? 0 : 1;
    else ++inside, changed += same ? 0 : 1;
  }
  EXPECT_EQ(outside_changed, 0) << "keep_pixels";
  EXPECT_GT(inside, 1000);
  EXPECT_GT(static_cast<double>(changed), 0.9 * static_cast<double>(inside));
  // The same again gives the same pixels.
  screen_.key("ctrl+Return");
  ASSERT_TRUE(wait_for_pictures(2));
  EXPECT_EQ(load_image(pictures()[1]).pixels, result.pixels);
  // And so does the picture alone, from the command line: it names photograph and mask by their hashes.
  const ProgramResult again = Program(home_.path(), {"run", pictures()[0].string(), "--out", home_.path().string(), "--name", "again.png"}, "", kOneThread).finish();
  ASSERT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(load_image(home_.path() / "again.png").pixels, result.pixels);
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(MaskDesktop, ToolsShapeTheMaskAndItIsThereAgainAfterAKill) {
  {
    const auto program = open_picture(example("chelsea.png"));
    screen_.key("u");
    screen_.drag(kMiddleX, kMiddleY, kMiddleX + 900, kMiddleY + 290);  // from the middle to far beyond the corner: the picture's last quarter
    EXPECT_TRUE(mask_becomes([](const Mask& mask) { return std::abs(share(mask) - 0.25) < 0.02 && mask.at(290, 290) == 255 && mask.at(140, 140) == 0; }));
    screen_.key("ctrl+i");
    EXPECT_TRUE(mask_becomes([](const Mask& mask) { return std::abs(share(mask) - 0.75) < 0.02; }));
    screen_.key("Delete");
    EXPECT_TRUE(mask_becomes([](const Mask& mask) { return share(mask) == 0; }));
    // A square with the lasso, and a hole in it with the brush's right button.
    screen_.key("l");
    screen_.hand({"mousemove", std::to_string(kMiddleX - 100), std::to_string(kMiddleY - 100), "mousedown", "1"});
    for (const auto& [x, y] : {std::pair{100, -100}, {100, 100}, {-100, 100}}) screen_.hand({"mousemove", std::to_string(kMiddleX + x), std::to_string(kMiddleY + y)});
    screen_.hand({"mouseup", "1"});
    screen_.key("b");
    screen_.click(kMiddleX, kMiddleY, 3);
    EXPECT_TRUE(mask_becomes([](const Mask& mask) { return mask.at(150, 150) == 0 && mask.at(105, 105) == 255 && mask.at(195, 195) == 255 && mask.at(60, 150) == 0; }));
    program->send(SIGKILL);
    program->finish();
  }
  const auto program = open();
  usleep(300'000);
  screen_.key("Escape");
  screen_.key("b");
  usleep(300'000);
  screen_.key("ctrl+i");
  EXPECT_TRUE(mask_becomes([](const Mask& mask) { return mask.width() > 0 && mask.at(150, 150) == 255 && mask.at(105, 105) == 0 && mask.at(60, 150) == 255; })) << "what was painted before, inverted";
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(MaskDesktop, ALargeMaskIsChangedOnAnotherThread) {
  const fs::path picture = home_.path() / "large.png", exported = home_.path() / "exported.png";
  save_image(picture, Image{6000, 4000, 3, std::vector<uint8_t>(size_t{6000} * 4000 * 3, 120)});
  const auto program = open_picture(picture.string());
  ASSERT_TRUE(wait_until(kStart, [&] { return pixel(look_at_canvas(), kMiddleX, kMiddleY) == std::array{120, 120, 120}; })) << "the picture is not there";
  screen_.key("u");
  screen_.drag(kMiddleX - 100, kMiddleY - 100, kMiddleX + 100, kMiddleY + 100);
  double before = 0;
  EXPECT_TRUE(mask_becomes([&](const Mask& mask) { return (before = share(mask)) > 0.05; }));
  palette("grow the mask");
  EXPECT_TRUE(mask_becomes([&](const Mask& mask) { return share(mask) > before; }));
  screen_.key("ctrl+i");
  EXPECT_TRUE(mask_becomes([&](const Mask& mask) { return share(mask) > 0.5; }));
  screen_.key("ctrl+z");
  screen_.key("ctrl+z");
  EXPECT_TRUE(mask_becomes([&](const Mask& mask) { return share(mask) == before; }));
  palette("export the mask");
  screen_.key("ctrl+a");
  screen_.type(exported.string());
  screen_.key("Return");
  EXPECT_TRUE(wait_until(kStart, [&] { return fs::exists(exported); }));
  EXPECT_EQ(share(Mask(load_image(exported))), before);
  // Its file is written on another thread too; the job is not lost when the window closes before that.
  screen_.key("ctrl+Return");
  EXPECT_EQ(quit(*program).code, 0);
  const Journal journal(home_.path() / "attelier" / "journal.sqlite");
  const std::vector<JournalEntry> queue = journal.queue();
  ASSERT_EQ(queue.size(), 1U);
  const Json named = queue[0].job.at("inputs").at("mask");
  EXPECT_EQ(share(Mask(load_image((named.is_array() ? named[0] : named).get<std::string>()))), before);
}

TEST_F(MaskDesktop, AThingIsChosenByOneClickAndAMaskFileIsTheSameMask) {
  const fs::path picture = home_.path() / "scene.png", things = home_.path() / "scene_instance.png";
  fs::copy_file(example("chelsea.png"), picture);
  const Image photograph = load_image(picture);
  at::Tensor map = at::full({photograph.height, photograph.width}, 1.0 / 65535);
  map.slice(1, photograph.width / 2).fill_(2.0 / 65535);
  save_gray16(things, map);
  const auto program = open_picture(picture.string(), {{"steps", 2}});
  screen_.key("t");
  screen_.click(kMiddleX + 100, kMiddleY);
  EXPECT_TRUE(mask_becomes([](const Mask& mask) { return share(mask) > 0.49 && share(mask) < 0.51 && mask.at(5, 5) == 0; })) << "the thing on the right";
  screen_.click(kMiddleX - 100, kMiddleY);
  EXPECT_TRUE(mask_becomes([](const Mask& mask) { return share(mask) == 1; }));
  screen_.click(kMiddleX + 100, kMiddleY, 3);
  EXPECT_TRUE(mask_becomes([](const Mask& mask) { return share(mask) > 0.49 && share(mask) < 0.51 && mask.at(5, 5) == 255; }));
  screen_.key("Escape");
  // A mask that is chosen as a file takes the place of the painted one.
  Image drawn{photograph.width, photograph.height, 1, std::vector<uint8_t>(static_cast<size_t>(photograph.width * photograph.height), 0)};
  std::fill_n(drawn.pixels.begin(), drawn.pixels.size() / 4, uint8_t{255});
  save_image(home_.path() / "drawn.png", drawn);
  choose_file("mask", (home_.path() / "drawn.png").string());
  EXPECT_TRUE(mask_becomes([&](const Mask& mask) { return mask.width() == drawn.width && mask.to_image().pixels == drawn.pixels; }));
  EXPECT_TRUE(saved().value("/document/methods/generate/inputs"_json_pointer, Json()).value("mask", Json::array()).empty());
  EXPECT_EQ(quit(*program).code, 0);
}

TEST_F(MaskDesktop, NoKeyAndNoSampleIsLostInSlowFrames) {
  const auto program = open_picture(example("astronaut.png"), {{"seed", 0}}, {"--slow-frames", "100"});
  usleep(500'000);
  // A circle drawn much faster than the frames: with one sample a frame it would be a polygon of a few corners.
  constexpr int kSamples = 72;
  std::vector<std::string> way = {"mousemove", std::to_string(kMiddleX + 120), std::to_string(kMiddleY), "mousedown", "1"};
  for (int i = 1; i <= kSamples; ++i) {
    const double angle = 2 * 3.14159265 * i / kSamples;
    way.insert(way.end(), {"mousemove", std::to_string(std::lround(kMiddleX + 120 * std::cos(angle))), std::to_string(std::lround(kMiddleY + 120 * std::sin(angle)))});
  }
  way.insert(way.end(), {"mouseup", "1"});
  screen_.hand(way);
  double scale = 0;
  EXPECT_TRUE(mask_becomes([&](const Mask& mask) {
    if (mask.width() == 0 || share(mask) < 0.05) return false;
    // How large the circle is on the picture says its outermost painted column.
    const double middle = static_cast<double>(mask.width()) / 2;
    int64_t right = mask.width() - 1;
    while (right > 0 && mask.at(right, mask.height() / 2) < 128) --right;
    scale = (static_cast<double>(right) - 32 - middle) / 120;  // the brush reaches 32 pixels beyond
    for (int i = 0; i < 360; ++i) {
      const double angle = 2 * 3.14159265 * i / 360;
      const auto at = [&](double radius) { return mask.at(static_cast<int64_t>(middle + radius * std::cos(angle)), static_cast<int64_t>(middle + radius * std::sin(angle))); };
      if (at(120 * scale) < 250 || at(120 * scale - 20) < 128 || at(120 * scale + 20) < 128 || at(120 * scale + 40) != 0) return false;
    }
    return true;
  })) << scale;
  // Eleven presses at once: each does its work and is a step of its own.
  std::vector<std::string> presses = {"key", "--delay", "1"};
  for (int i = 0; i < 10; ++i) presses.insert(presses.end(), {"ctrl+i"});
  presses.insert(presses.end(), {"Delete"});
  screen_.hand(presses);
  EXPECT_TRUE(mask_becomes([](const Mask& mask) { return mask.width() > 0 && share(mask) == 0; }));
  for (int i = 0; i < 2; ++i) screen_.key("ctrl+z");  // the clearing and the tenth inversion
  EXPECT_TRUE(mask_becomes([](const Mask& mask) { return share(mask) > 0.5; })) << "the ring inverted nine times";
  EXPECT_EQ(quit(*program).code, 0);
}

}  // namespace
}  // namespace attelier
