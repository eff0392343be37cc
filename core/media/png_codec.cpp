#include "core/media/png_codec.h"

#include <csetjmp>
#include <cstring>

#include "core/base/error.h"

namespace attelier {
namespace {

// libpng reports through longjmp, so the functions that it may leave hold no objects with destructors: all of those live in their callers.

struct Source {
  const uint8_t* at = nullptr;
  size_t left = 0;
};

struct Message {
  char text[200] = "";
};

void on_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::strncpy(message->text, text, sizeof(message->text) - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep target, size_t size) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (size > source->left) png_error(png, "the file ends too early");
  std::memcpy(target, source->at, size);
  source->at += size;
  source->left -= size;
}

void write_bytes(png_structp png, png_bytep bytes, size_t size) {
  auto* target = static_cast<std::string*>(png_get_io_ptr(png));
  try {
    target->append(reinterpret_cast<const char*>(bytes), size);
    return;
  } catch (const std::exception&) {
  }
  png_error(png, "out of memory");
}

void flush_bytes(png_structp) {}

// Sets up the transforms and allocates the pixels. False after an error.
bool read_info(png_structp png, png_infop info, Image* image) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);  // the caller's limits hold
  png_read_info(png, info);
  if (png_get_bit_depth(png, info) == 16) png_set_scale_16(png);
  png_set_expand(png);  // palette to RGB, low gray to 8 bits, tRNS to alpha
  const int type = png_get_color_type(png, info);
  const bool gray = type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_GRAY_ALPHA;
  if (gray && (type == PNG_COLOR_TYPE_GRAY_ALPHA || png_get_valid(png, info, PNG_INFO_tRNS))) png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  image->width = png_get_image_width(png, info);
  image->height = png_get_image_height(png, info);
  image->channels = png_get_channels(png, info);
  return png_get_rowbytes(png, info) == static_cast<size_t>(image->width * image->channels);
}

bool read_rows(png_structp png, png_infop info, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_image(png, rows);
  png_read_end(png, info);
  return true;
}

struct Reading {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~Reading() { png_destroy_read_struct(&png, &info, nullptr); }
};

struct Writing {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~Writing() { png_destroy_write_struct(&png, &info); }
};

bool write_all(png_structp png, png_infop info, png_bytepp rows, png_textp texts, int text_count) {
  if (setjmp(png_jmpbuf(png))) return false;
  if (text_count > 0) png_set_text(png, info, texts, text_count);
  png_write_info(png, info);
  png_write_image(png, rows);
  png_write_end(png, info);
  return true;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 128; });
}

// PNG 1.2, 11.3.4.2: printable Latin-1, no space at either end and no two in a row.
bool is_keyword(std::string_view word) {
  const bool spaces = word.starts_with(' ') || word.ends_with(' ') || word.find("  ") != std::string_view::npos;
  return !word.empty() && word.size() <= 79 && !spaces && std::all_of(word.begin(), word.end(), [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return (byte >= 32 && byte <= 126) || byte >= 161;
  });
}

constexpr size_t kMaximumText = size_t{1} << 20;

void check_text(const std::string& keyword, const std::string& text) {
  if (!is_keyword(keyword)) {
    fail(ExitCode::kBadInput, "{:?} is not a PNG keyword; allowed are 1 to 79 printable Latin-1 characters without double or outer spaces",
         keyword);
  }
  if (text.size() > kMaximumText)
    fail(ExitCode::kBadInput, "the PNG text \"{}\" has {} bytes; at most {} are written", keyword, text.size(), kMaximumText);
  if (text.find('\0') != std::string::npos) fail(ExitCode::kBadInput, "the PNG text \"{}\" holds a NUL character, which PNG does not allow", keyword);
}

}  // namespace

Image decode_png(std::string_view bytes, const std::string& name) {
  Source source{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  Message message;
  Reading reading;
  reading.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &message, on_error, on_warning);
  if (reading.png != nullptr) reading.info = png_create_info_struct(reading.png);
  if (reading.info == nullptr) fail(ExitCode::kOutOfMemory, "{}: no memory for the PNG decoder", name);
  png_set_read_fn(reading.png, &source, read_bytes);
  // Texts and profiles are not wanted here: skipping them spares their decompression.
  png_set_keep_unknown_chunks(reading.png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
  static constexpr png_byte kSkipped[] = "tEXt\0zTXt\0iTXt\0iCCP\0eXIf";
  png_set_keep_unknown_chunks(reading.png, PNG_HANDLE_CHUNK_NEVER, kSkipped, 5);
  Image image;
  const auto damaged = [&] {
    fail(ExitCode::kBadInput, "{}: the PNG cannot be decoded ({}); export or download it again", name,
         message.text[0] ? message.text : "unknown layout");
  };
  if (!read_info(reading.png, reading.info, &image)) damaged();
  const auto row_size = static_cast<size_t>(image.width * image.channels);
  image.pixels.resize(row_size * static_cast<size_t>(image.height));
  std::vector<png_bytep> rows(static_cast<size_t>(image.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.pixels.data() + y * row_size;
  if (!read_rows(reading.png, reading.info, rows.data())) damaged();
  return image;
}

std::vector<png_text> png_text_entries(const PngTexts& texts) {
  std::vector<png_text> entries;
  for (const auto& [keyword, text] : texts) {
    check_text(keyword, text);
    png_text entry = {};
    entry.compression = is_ascii(text) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    entry.key = const_cast<char*>(keyword.c_str());
    entry.text = const_cast<char*>(text.c_str());
    entry.text_length = text.size();
    entries.push_back(entry);
  }
  return entries;
}

std::string encode_png_samples(const uint8_t* samples, int64_t width, int64_t height, int64_t channels, int bits, const PngTexts& texts) {
  std::vector<png_text> entries = png_text_entries(texts);
  std::string bytes;
  Message message;
  Writing writing;
  writing.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &message, on_error, on_warning);
  if (writing.png != nullptr) writing.info = png_create_info_struct(writing.png);
  if (writing.info == nullptr) fail(ExitCode::kOutOfMemory, "no memory for the PNG encoder");
  png_set_write_fn(writing.png, &bytes, write_bytes, flush_bytes);
  const int type = channels == 1 ? PNG_COLOR_TYPE_GRAY : channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGBA;
  const auto row_size = static_cast<size_t>(width * channels * bits / 8);
  std::vector<png_bytep> rows(static_cast<size_t>(height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = const_cast<png_bytep>(samples) + y * row_size;
  png_set_user_limits(writing.png, 0x7FFFFFFF, 0x7FFFFFFF);
  png_set_compression_level(writing.png, 6);
  png_set_IHDR(writing.png, writing.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), bits, type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!write_all(writing.png, writing.info, rows.data(), entries.data(), static_cast<int>(entries.size()))) {
    fail(ExitCode::kBadInput, "a picture of {}x{} cannot be encoded as PNG: {}", width, height, message.text);
  }
  return bytes;
}

}  // namespace attelier
