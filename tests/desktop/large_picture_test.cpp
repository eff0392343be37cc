// Pictures of 16384 x 16384 pixels: shown in tiles, without a frame that a user would feel, and exact to the pixel.
#include <zlib.h>

#include "tests/desktop/desktop_fixture.h"

namespace attelier {
namespace {

constexpr int kSide = 16384, kBlock = 64;
constexpr int kGreys[] = {0, 85, 170, 255};

int grey_at(int x, int y) { return kGreys[(x / kBlock + y / kBlock) % 4]; }

/// Blocks of four greys, two bits a pixel: written in a second.
std::string large_png() {
  constexpr size_t kRow = 1 + kSide / 4;
  std::string rows(kRow * kSide, '\0');
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; x += 4) rows[static_cast<size_t>(y) * kRow + 1 + static_cast<size_t>(x) / 4] = static_cast<char>((x / kBlock + y / kBlock) % 4 * 0x55);
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()), rows.size(), 1);
  packed.resize(size);
  const auto number = [](uint64_t value) { return std::string{static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8), static_cast<char>(value)}; };
  std::string png = "\x89PNG\r\n\x1a\n";
  for (const auto& [type, data] : std::vector<std::pair<std::string, std::string>>{{"IHDR", number(kSide) + number(kSide) + std::string("\x02\0\0\0\0", 5)}, {"IDAT", packed}, {"IEND", ""}}) {
    const std::string body = type + data;
    png += number(data.size()) + body + number(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
  }
  return png;
}

class LargePicture : public DesktopFixture {
 protected:
  /// The corner of the canvas and the place of its middle in a window of this size.
  static constexpr int kLeft = 380, kTop = 70, kRight = 1100, kBottom = 670;

  /// Pixels of a grid over the canvas that are not what the picture has there at 100 %.
  static int wrong_pixels(const Image& window) {
    int wrong = 0;
    for (int y = kTop + 10; y < kBottom - 10; y += 7)
      for (int x = kLeft + 10; x < kRight - 10; x += 7) {
        const int expected = grey_at(kSide / 2 + x - kMiddleX, kSide / 2 + y - kMiddleY);
        wrong += pixel(window, x, y) != std::array<int, 3>{expected, expected, expected} ? 1 : 0;
      }
    return wrong;
  }
  static bool is_shown(const Image& window) {
    // Fitted, a block is three pixels wide: greys differ from the canvas' own.
    return pixel(window, kMiddleX, kMiddleY) != pixel(window, kLeft + 6, kTop + 6);
  }
};

TEST_F(LargePicture, OpensPansAndZoomsWithoutASlowFrameAndShowsItsPixelsExactly) {
  home_.write("large.png", large_png());
  const std::string times = (home_.path() / "frames.json").string();
  const auto program = open({(home_.path() / "large.png").string(), "--frame-times", times});
  // While it is decoded the window lives.
  for (int i = 0; i < 20; ++i) screen_.hand({"mousemove", std::to_string(500 + 10 * i), "300"});
  ASSERT_TRUE(wait_until(kStart, [&] { return is_shown(look()); }));
  screen_.hand({"mousemove", std::to_string(kMiddleX), std::to_string(kMiddleY)});
  for (const int button : {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4}) {
    screen_.hand({"click", std::to_string(button)});
    usleep(20'000);
  }
  for (int i = 0; i < 4; ++i) screen_.drag(1000, 600, 450, 120);
  for (int i = 0; i < 4; ++i) screen_.drag(450, 120, 1000, 600);
  screen_.key("f");
  screen_.key("ctrl+0");
  Image window;
  EXPECT_TRUE(wait_until(10, [&] { return wrong_pixels(window = look()) == 0; })) << wrong_pixels(window) << " pixels of the canvas are not the picture's";
  EXPECT_EQ(quit(*program).code, 0);
  const Json frames = Json::parse(read_file(times))["quiet"];
  expect_no_slow_frame(frames);
  RecordProperty("frames", frames.dump());
}

}  // namespace
}  // namespace attelier
