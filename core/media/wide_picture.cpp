#include "core/media/wide_picture.h"

#include <png.h>

#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <opencv2/imgcodecs.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/media/picture_header.h"
#include "core/media/png_codec.h"

namespace attelier {
namespace {

constexpr uint64_t kMaximumFile = uint64_t{1} << 31;
constexpr int kCompression = 4;  // large files: half the time of 6 for a hundredth more bytes

/// The samples of a file of 16 bits, in RGB order; empty for other files. Only for bytes that decode_image() has accepted.
cv::Mat sixteen_bits(const std::string& bytes) {
  try {
    const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    cv::Mat decoded = cv::imdecode(encoded, cv::IMREAD_UNCHANGED);
    return decoded.depth() == CV_16U ? decoded : cv::Mat();
  } catch (const cv::Exception&) {
    return {};
  }
}

// libpng reports through longjmp: what it may leave holds no objects with destructors.

bool begin(png_structp png, png_infop info, std::FILE* file, png_uint_32 width, png_uint_32 height, int bits, int type, png_textp texts, int count) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_init_io(png, file);
  png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
  png_set_compression_level(png, kCompression);
  png_set_IHDR(png, info, width, height, bits, type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (count > 0) png_set_text(png, info, texts, count);
  png_write_info(png, info);
  return true;
}

bool write_row(png_structp png, png_const_bytep row) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_write_row(png, row);
  return true;
}

bool end(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_write_end(png, info);
  return true;
}

void on_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<std::array<char, 200>*>(png_get_error_ptr(png));
  std::strncpy(message->data(), text, message->size() - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

}  // namespace

WidePicture load_wide_picture(const std::filesystem::path& path, const ImageLimits& limits) {
  const std::string bytes = read_file(path, kMaximumFile);
  const Image image = decode_image(bytes, path.string(), limits);
  WidePicture picture{image.width, image.height, image.channels, 8, {}};
  const PictureKind kind = read_picture_header(bytes, path.string()).kind;
  const bool may_be_deep = kind == PictureKind::kPng || kind == PictureKind::kTiff || kind == PictureKind::kPnm;
  const cv::Mat deep = may_be_deep ? sixteen_bits(bytes) : cv::Mat();
  if (deep.empty() || deep.cols != image.width || deep.rows != image.height || deep.channels() != image.channels) {
    picture.samples.assign(image.pixels.begin(), image.pixels.end());
    return picture;
  }
  picture.bits = 16;
  const int64_t channels = image.channels;
  picture.samples.reserve(image.pixels.size());
  for (int y = 0; y < deep.rows; ++y) {
    const uint16_t* pixel = deep.ptr<uint16_t>(y);
    for (int x = 0; x < deep.cols; ++x, pixel += channels)
      for (int64_t c = 0; c < channels; ++c) picture.samples.push_back(pixel[channels > 1 && c < 3 ? 2 - c : c]);  // OpenCV holds BGR
  }
  return picture;
}

struct PngRows::State {
  std::string path;
  std::FILE* file = nullptr;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::array<char, 200> message = {};
  int64_t row_samples = 0, rows_left = 0;
  int bits = 8;
  std::vector<uint8_t> row;

  ~State() {
    if (png != nullptr) png_destroy_write_struct(&png, &info);
    if (file != nullptr) std::fclose(file);
  }
  [[noreturn]] void refuse() const {
    fail(ExitCode::kBadInput, "{}: cannot be written: {}; check the disk's free space and your permissions", path, errno != 0 ? std::strerror(errno) : message.data());
  }
};

PngRows::PngRows(const std::filesystem::path& path, int64_t width, int64_t height, int64_t channels, int bits, const PngTexts& texts) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = path.string();
  s.bits = bits;
  s.row_samples = width * channels;
  s.rows_left = height;
  s.row.resize(static_cast<size_t>(s.row_samples * bits / 8));
  std::vector<png_text> entries = png_text_entries(texts);
  errno = 0;
  s.file = std::fopen(s.path.c_str(), "wbe");
  if (s.file == nullptr) s.refuse();
  s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s.message, on_error, on_warning);
  if (s.png != nullptr) s.info = png_create_info_struct(s.png);
  if (s.info == nullptr) fail(ExitCode::kOutOfMemory, "no memory for the PNG encoder");
  const int type = channels == 1 ? PNG_COLOR_TYPE_GRAY : channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGBA;
  if (!begin(s.png, s.info, s.file, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), bits, type, entries.data(), static_cast<int>(entries.size()))) s.refuse();
}

PngRows::~PngRows() = default;

void PngRows::write(std::span<const uint16_t> samples) {
  State& s = *state_;
  const auto size = static_cast<size_t>(s.row_samples);
  if (samples.size() % size != 0 || static_cast<int64_t>(samples.size() / size) > s.rows_left)
    fail(ExitCode::kUnexpected, "{}: {} samples are no whole rows of {}, or more than the {} that are left", s.path, samples.size(), size, s.rows_left);
  errno = 0;
  for (size_t begin = 0; begin < samples.size(); begin += size, --s.rows_left) {
    for (size_t i = 0; i < size; ++i) {
      const uint16_t sample = samples[begin + i];
      if (s.bits == 8) {
        s.row[i] = static_cast<uint8_t>(sample);
      } else {
        s.row[2 * i] = static_cast<uint8_t>(sample >> 8);
        s.row[2 * i + 1] = static_cast<uint8_t>(sample & 0xFF);
      }
    }
    if (!write_row(s.png, s.row.data())) s.refuse();
  }
}

void PngRows::finish() {
  State& s = *state_;
  if (s.rows_left > 0) fail(ExitCode::kUnexpected, "{}: {} rows are missing", s.path, s.rows_left);
  errno = 0;
  if (!end(s.png, s.info)) s.refuse();
  std::FILE* const file = std::exchange(s.file, nullptr);
  if (std::fclose(file) != 0) s.refuse();
}

}  // namespace attelier
