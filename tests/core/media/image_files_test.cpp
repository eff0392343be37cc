// Reading and writing of picture files.
#include <zlib.h>

#include <random>

#include "core/media/picture_header.h"
#include "tests/core/media/media_testing.h"

namespace attelier {
namespace {

using namespace std::string_view_literals;

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(static_cast<uint32_t>(data.size())) + body +
         big_endian(static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
}

// A PNG that claims width x height and holds nothing of it.
std::string png_claiming(uint32_t width, uint32_t height) {
  const std::string header = big_endian(width) + big_endian(height) + std::string("\x08\x02\0\0\0", 5);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", "") + chunk("IEND", "");
}

TEST(PictureFiles, HavePillowsPixels) {
  for (const auto& fixture : media_fixture("files.json")) {
    const auto name = fixture["name"].get<std::string>();
    SCOPED_TRACE(name);
    const std::string bytes = from_hex(fixture["bytes"]);
    if (fixture.contains("error")) {
      EXPECT_EQ(error_of([&] { decode_image(bytes, name); }, "CMYK"), ExitCode::kBadInput);
      continue;
    }
    const Image image = decode_image(bytes, name);
    ASSERT_EQ((std::vector<int64_t>{image.width, image.height, image.channels}), fixture["size"].get<std::vector<int64_t>>());
    const std::string expected = from_hex(fixture["pixels"]);
    ASSERT_EQ(image.pixels.size(), expected.size());
    int worst = 0;
    for (size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, std::abs(image.pixels[i] - static_cast<uint8_t>(expected[i])));
    EXPECT_EQ(worst, 0);
  }
}

TEST(PictureFiles, EveryTruncationIsAnErrorAndNeverACrash) {
  for (const auto& fixture : media_fixture("files.json")) {
    const auto name = fixture["name"].get<std::string>();
    if (fixture.contains("error")) continue;
    const std::string bytes = from_hex(fixture["bytes"]);
    const Image whole = decode_image(bytes, name);
    for (size_t size = 0; size < bytes.size(); size += 1 + size / 12) {
      try {
        // Some formats carry optional data at their end; whatever is accepted must be the picture.
        EXPECT_EQ(bytes_of(decode_image(std::string_view(bytes).substr(0, size), name)), bytes_of(whole)) << name << " cut to " << size;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kBadInput) << error.what();
        EXPECT_NE(std::string_view(error.what()).find(name), std::string_view::npos) << error.what();
      }
    }
  }
}

TEST(PictureFiles, DamagedBytesNeverCrash) {
  std::mt19937 generator(7);
  for (const auto& fixture : media_fixture("files.json")) {
    const std::string bytes = from_hex(fixture["bytes"]);
    for (int round = 0; round < 40; ++round) {
      std::string damaged = bytes;
      for (int i = 0; i < 3; ++i) damaged[generator() % damaged.size()] = static_cast<char>(generator());
      try {
        const Image image = decode_image(damaged, "damaged", {.maximum_side = 4096, .maximum_pixels = 1 << 20});
        EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.width * image.height * image.channels));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kBadInput) << error.what();
      }
    }
  }
}

TEST(PictureFiles, ABombIsRefusedFromItsHeader) {
  const std::string bomb = png_claiming(30000, 20000);
  EXPECT_EQ(error_of([&] { decode_image(bomb, "bomb.png"); }, "bomb.png: is 30000x20000"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { decode_image(png_claiming(0x7FFFFFFF, 1), "wide.png"); }, "65536"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { decode_image(png_claiming(0, 5), "flat.png"); }, "no pixels"), ExitCode::kBadInput);
  const Image image = pattern(20, 10, 3);
  EXPECT_EQ(decode_image(encode_png(image), "x", {.maximum_side = 20, .maximum_pixels = 200}).pixels, image.pixels);
  EXPECT_EQ(error_of([&] { decode_image(encode_png(image), "x", {.maximum_side = 19}); }, "20x10"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { decode_image(encode_png(image), "x", {.maximum_pixels = 199}); }, "199"), ExitCode::kBadInput);
}

TEST(PictureFiles, ForeignAndEmptyFilesAreNamed) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { load_image(folder.write("note.png", "this is a text\n")); }, "note.png: is not a picture"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { load_image(folder.write("empty.png", "")); }, "empty.png: is empty"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { load_image(folder.path() / "absent.png"); }, "absent.png"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { load_image(folder.path()); }, "folder"), ExitCode::kBadInput);
  for (const std::string_view start :
       {"\x89PNG\r\n\x1a\n"sv, "\xFF\xD8\xFF"sv, "RIFF\x04\0\0\0WEBP"sv, "II*\0"sv, "MM\0*\xFF\xFF\xFF\xFF"sv, "P6"sv, "P5 9999999999 1 255\n"sv}) {
    EXPECT_EQ(error_of([&] { decode_image(start, "start"); }, "start: "), ExitCode::kBadInput);
  }
}

TEST(PictureFiles, PngKeepsEveryPixel) {
  const TemporaryFolder folder;
  for (const int64_t channels : {1, 3, 4}) {
    for (const auto& [width, height] : {std::pair{1, 1}, {1, 9}, {17, 1}, {33, 21}}) {
      const Image image = pattern(width, height, channels);
      const auto path = folder.path() / "Picture.PNG";
      save_image(path, image);
      const Image loaded = load_image(path);
      EXPECT_EQ(loaded.width, width);
      EXPECT_EQ(loaded.channels, channels);
      EXPECT_EQ(loaded.pixels, image.pixels);
    }
  }
}

TEST(PictureFiles, JpegAndWebpStayCloseAndJpegPutsAlphaOnWhite) {
  const TemporaryFolder folder;
  Image image{32, 24, 4, {}};
  for (int64_t y = 0; y < 24; ++y) {
    for (int64_t x = 0; x < 32; ++x)
      image.pixels.insert(image.pixels.end(), {static_cast<uint8_t>(x * 8), static_cast<uint8_t>(y * 10), 90, static_cast<uint8_t>(255 - x)});
  }
  const auto worst = [](const Image& a, const Image& b) {
    int result = 0;
    for (size_t i = 0; i < a.pixels.size(); ++i) result = std::max(result, std::abs(a.pixels[i] - b.pixels[i]));
    return result;
  };
  for (const char* name : {"a.jpg", "a.jpeg", "a.JPG"}) {
    save_image(folder.path() / name, image);
    const Image loaded = load_image(folder.path() / name);
    ASSERT_EQ(loaded.channels, 3);
    EXPECT_LE(worst(loaded, to_rgb(image)), 16) << name;
  }
  save_image(folder.path() / "a.webp", image);
  const Image loaded = load_image(folder.path() / "a.webp");
  ASSERT_EQ(loaded.channels, 4);
  EXPECT_LE(worst(loaded, image), 24);
}

TEST(PictureFiles, WritingFailsWholly) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { save_image(folder.path() / "a.gif", pattern(2, 2, 3)); }, ".webp"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { save_image(folder.path() / "absent" / "a.png", pattern(2, 2, 3)); }, "a.png"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { save_image(folder.path() / "a.png", Image{2, 2, 3, {1, 2, 3}}); }, "not consistent"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { save_image(folder.path() / "a.png", Image{2, 2, 2, std::vector<uint8_t>(8)}); }, "2 channels"), ExitCode::kBadInput);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(PictureFiles, Gray16KeepsSixteenBits) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "depth.png";
  save_gray16(path, at::tensor({0.0, 1.0, 0.5, 0.25, -3.0, 7.0}, at::kFloat).view({2, 3}));
  const std::string bytes = read_file(path);
  EXPECT_EQ(bytes.substr(24, 2), "\x10\0"sv);  // 16 bits, gray
  const Image image = load_image(path);
  EXPECT_EQ(image.pixels, (std::vector<uint8_t>{0, 255, 128, 64, 0, 255}));
  EXPECT_EQ(error_of([&] { save_gray16(path, at::full({2, 2}, NAN)); }, "NaN"), ExitCode::kNumerical);
  EXPECT_EQ(error_of([&] { save_gray16(path, at::zeros({2, 2, 1})); }, "[H, W]"), ExitCode::kBadInput);
}

TEST(ExifOrientation, SurvivesEveryMalformedBlock) {
  const auto block = [](uint16_t count, uint16_t type, uint16_t value) {
    std::string tiff("II*\0\x08\0\0\0", 8);
    for (const uint16_t part : {count, uint16_t{0x0112}, type, uint16_t{1}, uint16_t{0}, value, uint16_t{0}}) {
      tiff += static_cast<char>(part & 255);
      tiff += static_cast<char>(part >> 8);
    }
    return tiff;
  };
  EXPECT_EQ(exif_orientation(block(1, 3, 6)), 6);
  EXPECT_EQ(exif_orientation(block(0xFFFF, 3, 8)), 8);
  EXPECT_EQ(exif_orientation(block(1, 3, 9)), 1);
  EXPECT_EQ(exif_orientation(block(1, 2, 6)), 1);
  EXPECT_EQ(exif_orientation(block(0, 3, 6)), 1);
  EXPECT_EQ(exif_orientation(""), 1);
  EXPECT_EQ(exif_orientation("II*\0\xFF\xFF\xFF\xFF"sv), 1);
  for (size_t size = 0; size < 22; ++size) EXPECT_LE(exif_orientation(block(1, 3, 6).substr(0, size)), 6);
}

}  // namespace
}  // namespace attelier
