// Text chunks of a PNG (tEXt, zTXt, iTXt), walked by hand: libpng would decode the pixels' chunks too and caps texts differently.
#include <zlib.h>

#include <optional>

#include "core/base/error.h"
#include "core/media/byte_reader.h"
#include "core/media/image.h"

namespace attelier {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n"sv;
constexpr size_t kMaximumText = size_t{1} << 20;
constexpr size_t kMaximumTotal = size_t{16} << 20;

// Well-formed UTF-8 (no overlong forms, surrogates or values beyond U+10FFFF).
bool is_utf8(std::string_view text) {
  const ByteReader reader(text);
  for (size_t i = 0; i < text.size();) {
    const uint32_t lead = *reader.u8(i);
    const int more = lead < 0x80 ? 0 : lead >= 0xC2 && lead < 0xE0 ? 1 : lead >= 0xE0 && lead < 0xF0 ? 2 : lead >= 0xF0 && lead < 0xF5 ? 3 : -1;
    if (more < 0) return false;
    uint32_t value = more == 0 ? lead : lead & (0x3F >> more);
    for (int k = 1; k <= more; ++k) {
      const uint32_t next = reader.u8(i + static_cast<size_t>(k)).value_or(0);
      if ((next & 0xC0) != 0x80) return false;
      value = value << 6 | (next & 0x3F);
    }
    if (more == 2 && (value < 0x800 || (value >= 0xD800 && value < 0xE000))) return false;
    if (more == 3 && (value < 0x10000 || value > 0x10FFFF)) return false;
    i += static_cast<size_t>(more) + 1;
  }
  return true;
}

// tEXt is Latin-1 by the standard, yet many tools write UTF-8 into it.
std::string utf8(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      result += c;
    } else {
      result += static_cast<char>(0xC0 | byte >> 6);
      result += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return result;
}

// A whole zlib stream of at most kMaximumText bytes, else nothing.
std::optional<std::string> inflated(std::string_view bytes) {
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  std::string result;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  int state = Z_OK;
  while (state == Z_OK && result.size() <= kMaximumText) {
    Bytef block[16384];
    stream.next_out = block;
    stream.avail_out = sizeof(block);
    state = inflate(&stream, Z_NO_FLUSH);
    result.append(reinterpret_cast<const char*>(block), sizeof(block) - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END || result.size() > kMaximumText) return std::nullopt;
  return result;
}

// Cuts `rest` behind its first NUL and gives what stood before it.
std::optional<std::string_view> until_nul(std::string_view& rest) {
  const size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view before = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return before;
}

// Keyword and text of one chunk; nothing if it is malformed or too large (PNG 1.2, 11.3.4).
std::optional<std::pair<std::string, std::string>> text_of(std::string_view type, std::string_view data) {
  const auto keyword = until_nul(data);
  if (!keyword || keyword->empty() || keyword->size() > 79) return std::nullopt;
  std::optional<std::string> text;
  if (type == "tEXt") {
    text = std::string(data);
  } else if (type == "zTXt") {
    if (!data.starts_with('\0')) return std::nullopt;
    text = inflated(data.substr(1));
  } else {
    if (data.size() < 2 || (data[0] != 0 && (data[0] != 1 || data[1] != 0))) return std::nullopt;
    const bool compressed = data[0] == 1;
    data.remove_prefix(2);
    if (!until_nul(data) || !until_nul(data)) return std::nullopt;  // language and translated keyword
    text = compressed ? inflated(data) : std::string(data);
  }
  if (!text || text->size() > kMaximumText) return std::nullopt;
  return std::pair(utf8(*keyword), utf8(*text));
}

/// Calls `visit(type, chunk)` for every chunk before IEND, `chunk` being all of its bytes; returns the offset of IEND. Throws Error(kBadInput).
template <typename Visit>
uint64_t for_each_chunk(std::string_view bytes, const std::string& name, const Visit& visit) {
  if (!bytes.starts_with(kSignature)) fail(ExitCode::kBadInput, "{}: is not a PNG file; only PNG files carry texts", name);
  const ByteReader reader(bytes);
  for (uint64_t offset = kSignature.size();;) {
    const auto length = reader.u32(offset);
    if (!length || *length > 0x7FFFFFFF || bytes.size() - offset < uint64_t{12} + *length) {
      fail(ExitCode::kBadInput, "{}: the PNG file ends too early or is damaged; export or download it again", name);
    }
    const std::string_view type = reader.part(offset + 4, 4);
    if (type == "IEND") return offset;
    visit(type, reader.part(offset, uint64_t{12} + *length));
    offset += uint64_t{12} + *length;
  }
}

bool is_text(std::string_view type) { return type == "tEXt" || type == "zTXt" || type == "iTXt"; }

}  // namespace

PngTexts read_png_texts(std::string_view bytes, const std::string& name) {
  PngTexts texts;
  size_t total = 0;
  for_each_chunk(bytes, name, [&](std::string_view type, std::string_view chunk) {
    if (!is_text(type)) return;
    const std::string_view body = chunk.substr(4, chunk.size() - 8);  // the checksum covers type and data
    const auto checksum = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
    if (checksum != *ByteReader(chunk).u32(chunk.size() - 4)) {
      fail(ExitCode::kBadInput, "{}: a text of the PNG file is damaged (wrong checksum); export or download it again", name);
    }
    if (auto entry = text_of(type, body.substr(4)); entry && total + entry->second.size() <= kMaximumTotal) {
      total += entry->second.size();
      texts.insert_or_assign(std::move(entry->first), std::move(entry->second));
    }
  });
  return texts;
}

std::string strip_png_texts(std::string_view bytes, const std::string& name) {
  std::string result(kSignature);
  const uint64_t end = for_each_chunk(bytes, name, [&](std::string_view type, std::string_view chunk) {
    if (!is_text(type) && type != "eXIf" && type != "tIME") result += chunk;
  });
  return result.append(bytes.substr(end, 12));
}

}  // namespace attelier
