#include "core/media/wide_picture.h"

#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/media/video_file.h"
#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

WidePicture drawn(int64_t width, int64_t height, int64_t channels, int bits) {
  WidePicture picture{width, height, channels, bits, {}};
  for (int64_t i = 0; i < width * height * channels; ++i) picture.samples.push_back(static_cast<uint16_t>(i * 7919 % (1 << bits)));
  return picture;
}

TEST(WidePictures, RowsComeBack) {
  const TemporaryFolder folder;
  for (const int bits : {8, 16})
    for (const int64_t channels : {1, 3, 4}) {
      const WidePicture picture = drawn(13, 7, channels, bits);
      const auto path = folder / "rows.png";
      PngRows rows(path, 13, 7, channels, bits, {{"attelier-job", "{\"\xC3\xA4\": 1}"}, {"parameters", "plain"}});
      const size_t row = static_cast<size_t>(13 * channels);
      rows.write(std::span(picture.samples).first(3 * row));
      rows.write(std::span(picture.samples).subspan(3 * row));
      rows.finish();
      const WidePicture read = load_wide_picture(path);
      EXPECT_EQ(read.bits, bits);
      EXPECT_EQ(read.channels, channels);
      EXPECT_EQ(read.samples, picture.samples) << channels << " channels of " << bits << " bits";
      EXPECT_EQ(read_png_texts(read_file(path), "rows"), (PngTexts{{"attelier-job", "{\"\xC3\xA4\": 1}"}, {"parameters", "plain"}}));
    }
}

TEST(WidePictures, OtherFilesHaveEightBits) {
  const TemporaryFolder folder;
  Image image{5, 4, 3, std::vector<uint8_t>(60, 90)};
  save_image(folder / "a.png", image);
  save_image(folder / "b.jpg", image);
  for (const char* name : {"a.png", "b.jpg"}) {
    const WidePicture read = load_wide_picture(folder / name);
    EXPECT_EQ(read.bits, 8);
    EXPECT_EQ(read.samples.size(), 60U);
    EXPECT_NEAR(read.samples[7], 90, 1);
  }
  folder.write("c.png", "no picture");
  EXPECT_EQ(error_of([&] { load_wide_picture(folder / "c.png"); }, "c.png"), ExitCode::kBadInput);
}

TEST(WidePictures, IncompleteFilesAreRefused) {
  const TemporaryFolder folder;
  PngRows rows(folder / "a.png", 4, 4, 3, 8, {});
  const std::vector<uint16_t> row(12, 5);
  rows.write(row);
  EXPECT_EQ(error_of([&] { rows.finish(); }, "3 rows are missing"), ExitCode::kUnexpected);
  EXPECT_EQ(error_of([&] { rows.write(std::span(row).first(5)); }, "no whole rows"), ExitCode::kUnexpected);
  EXPECT_EQ(error_of([&] { rows.write(std::vector<uint16_t>(60, 1)); }, "more than the 3"), ExitCode::kUnexpected);
  EXPECT_EQ(error_of([&] { PngRows(folder / "no" / "a.png", 4, 4, 3, 8, {}); }, "No such file"), ExitCode::kBadInput);
}

TEST(Videos, FramesComeBack) {
  const TemporaryFolder folder;
  const auto path = folder / "a.avi";
  try {
    VideoWriter writer(path, 48, 32, 12);
    for (uint8_t n = 0; n < 5; ++n) {
      Image frame{48, 32, 3, {}};
      for (int i = 0; i < 48 * 32; ++i) frame.pixels.insert(frame.pixels.end(), {static_cast<uint8_t>(40 * n), 200, 30});
      writer.write(frame);
    }
    writer.finish();
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  VideoReader reader(path);
  EXPECT_EQ(reader.width(), 48);
  EXPECT_EQ(reader.height(), 32);
  EXPECT_EQ(reader.frames(), 5);
  EXPECT_NEAR(reader.frames_per_second(), 12, 0.01);
  Image frame;
  int n = 0;
  for (; reader.read(frame); ++n) {
    EXPECT_NEAR(frame.pixels[0], 40 * n, 12);
    EXPECT_NEAR(frame.pixels[1], 200, 12);
    EXPECT_NEAR(frame.pixels[2], 30, 12);
  }
  EXPECT_EQ(n, 5);
  EXPECT_EQ(error_of([&] { VideoWriter(folder / "a.gif", 16, 16, 10); }, ".avi"), ExitCode::kBadInput);
  folder.write("b.avi", "no video");
  EXPECT_EQ(error_of([&] { VideoReader{folder / "b.avi"}; }, "b.avi"), ExitCode::kBadInput);
}

}  // namespace
}  // namespace attelier
