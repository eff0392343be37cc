// Text entries of PNG files.
#include <zlib.h>

#include "tests/core/media/media_testing.h"

namespace attelier {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr size_t kMebibyte = size_t{1} << 20;

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(static_cast<uint32_t>(data.size())) + body +
         big_endian(static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
}

std::string png_of(const std::string& chunks) { return "\x89PNG\r\n\x1a\n" + chunks + chunk("IEND", ""); }

std::string deflated(const std::string& text) {
  std::string bytes(compressBound(static_cast<uLong>(text.size())), '\0');
  uLongf size = static_cast<uLongf>(bytes.size());
  compress(reinterpret_cast<Bytef*>(bytes.data()), &size, reinterpret_cast<const Bytef*>(text.data()), static_cast<uLong>(text.size()));
  return bytes.substr(0, size);
}

TEST(PngTexts, ReadsWhatPillowWrites) {
  for (const auto& fixture : media_fixture("texts.json")) {
    EXPECT_EQ(read_png_texts(from_hex(fixture["bytes"]), "x.png"), fixture["texts"].get<PngTexts>()) << fixture["name"];
  }
}

TEST(PngTexts, WrittenTextsComeBackAndThePictureStays) {
  const Image image = pattern(11, 6, 3);
  const PngTexts texts = {
      {"parameters", "a cat\nSteps: 20, Sampler: ddim"}, {"attelier-job", R"({"prompt":"рыжая кошка 🚀"})"}, {"Empty", ""}, {"Caf\xe9", "é"}};
  const std::string bytes = encode_png(image, texts);
  PngTexts expected = texts;
  expected["Café"] = "é";  // a keyword is Latin-1 in the file and UTF-8 when read
  expected.erase("Caf\xe9");
  EXPECT_EQ(read_png_texts(bytes, "x.png"), expected);
  EXPECT_EQ(decode_image(bytes, "x.png").pixels, image.pixels);
  EXPECT_NE(bytes.find("tEXtparameters"), std::string::npos);
  EXPECT_NE(bytes.find("iTXtattelier-job"), std::string::npos);
  EXPECT_EQ(encode_png(image, texts), bytes) << "the same picture must give the same bytes";
}

TEST(PngTexts, AMebibyteIsTheMost) {
  const std::string largest(kMebibyte, 'x');
  EXPECT_EQ(read_png_texts(encode_png(pattern(1, 1, 1), {{"a", largest}}), "x").at("a"), largest);
  EXPECT_EQ(error_of([&] { encode_png(pattern(1, 1, 1), {{"a", largest + "x"}}); }, "1048576"), ExitCode::kBadInput);
  EXPECT_TRUE(read_png_texts(png_of(chunk("tEXt", "a"s + '\0' + largest + "x")), "x").empty());
}

TEST(PngTexts, ACompressedBombIsLeftOut) {
  const std::string bomb = deflated(std::string(64 * kMebibyte, 'x'));
  ASSERT_LT(bomb.size(), 100000u);
  const std::string bytes = png_of(chunk("zTXt", std::string("bomb\0\0", 6) + bomb) + chunk("iTXt", std::string("boom\0\x01\0\0\0", 9) + bomb) +
                                   chunk("tEXt", std::string("k\0v", 3)));
  EXPECT_EQ(read_png_texts(bytes, "x"), (PngTexts{{"k", "v"}}));
}

TEST(PngTexts, AllTextsTogetherAreBounded) {
  std::string chunks;
  for (int i = 0; i < 40; ++i) chunks += chunk("zTXt", "k" + std::to_string(i) + std::string(2, '\0') + deflated(std::string(kMebibyte, 'x')));
  size_t total = 0;
  for (const auto& [keyword, text] : read_png_texts(png_of(chunks), "x")) total += text.size();
  EXPECT_EQ(total, 16 * kMebibyte);
}

TEST(PngTexts, MalformedEntriesAreLeftOutAndTheLastOfOneKeywordCounts) {
  const std::string long_keyword(80, 'k');
  const std::string chunks = chunk("tEXt", "no terminator") + chunk("tEXt", std::string("\0text", 5)) +
                             chunk("tEXt", long_keyword + std::string("\0x", 2)) + chunk("zTXt", std::string("a\0\x01zzz", 6)) +
                             chunk("zTXt", std::string("b\0\0not zlib", 11)) + chunk("iTXt", std::string("c\0\0\0lang", 8)) +
                             chunk("iTXt", std::string("d\0\x02\0\0\0x", 7)) + chunk("iTXt", std::string("e\0", 2)) + chunk("tEXt", "") +
                             chunk("tEXt", std::string("f\0one", 5)) + chunk("tEXt", std::string("f\0two", 5)) +
                             chunk("tEXt", std::string("g\0caf\xe9", 6)) + chunk("tEXt", std::string("h\0caf\xc3\xa9", 7));
  EXPECT_EQ(read_png_texts(png_of(chunks), "x"), (PngTexts{{"f", "two"}, {"g", "café"}, {"h", "café"}}));
}

TEST(PngTexts, DamagedFilesAreErrors) {
  const std::string bytes = encode_png(pattern(4, 4, 3), {{"key", "some text"}});
  EXPECT_EQ(error_of([&] { read_png_texts("GIF89a", "a.gif"); }, "a.gif: is not a PNG"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { read_png_texts("", "a"); }, "not a PNG"), ExitCode::kBadInput);
  for (size_t size = 8; size + 12 < bytes.size(); ++size) {
    EXPECT_EQ(error_of([&] { read_png_texts(std::string_view(bytes).substr(0, size), "cut"); }, "cut: "), ExitCode::kBadInput);
  }
  std::string flipped = bytes;
  flipped[bytes.find("some text")] ^= 1;
  EXPECT_EQ(error_of([&] { read_png_texts(flipped, "x"); }, "checksum"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { read_png_texts("\x89PNG\r\n\x1a\n\xFF\xFF\xFF\xFFtEXt"sv, "x"); }, "too early"), ExitCode::kBadInput);
}

TEST(PngTexts, ForbiddenKeywordsAndTextsAreNotWritten) {
  for (const std::string& keyword : {""s, " a"s, "a "s, "a  b"s, std::string(80, 'k'), "tab\t"s, "nul\0"s, "\x7f"s}) {
    EXPECT_EQ(error_of([&] { encode_png(pattern(1, 1, 1), {{keyword, "x"}}); }, "keyword"), ExitCode::kBadInput);
  }
  EXPECT_EQ(error_of([&] { encode_png(pattern(1, 1, 1), {{"a", "x\0y"s}}); }, "NUL"), ExitCode::kBadInput);
}

}  // namespace
}  // namespace attelier
