#include "core/media/picture_header.h"

#include <optional>

#include "core/base/error.h"
#include "core/media/byte_reader.h"

namespace attelier {
namespace {

using namespace std::string_view_literals;

[[noreturn]] void truncated(const std::string& name, const char* kind) {
  fail(ExitCode::kBadInput, "{}: the {} file ends too early or is damaged; export or download it again", name, kind);
}

uint32_t need(std::optional<uint32_t> value, const std::string& name, const char* kind) {
  if (!value) truncated(name, kind);
  return *value;
}

// One tag of a TIFF's first directory, of type SHORT (3) or LONG (4) with one value.
std::optional<uint32_t> tiff_tag(std::string_view tiff, uint32_t wanted) {
  if (!tiff.starts_with("II*\0"sv) && !tiff.starts_with("MM\0*"sv)) return std::nullopt;
  const ByteReader reader(tiff, tiff[0] == 'M');
  const auto directory = reader.u32(4);
  if (!directory) return std::nullopt;
  const uint32_t entries = reader.u16(*directory).value_or(0);
  for (uint32_t i = 0; i < entries; ++i) {
    const uint64_t entry = uint64_t{*directory} + 2 + uint64_t{12} * i;
    const auto tag = reader.u16(entry), type = reader.u16(entry + 2), count = reader.u32(entry + 4);
    if (!tag || !type || !count) return std::nullopt;
    if (*tag != wanted || *count != 1) continue;
    return *type == 3 ? reader.u16(entry + 8) : *type == 4 ? reader.u32(entry + 8) : std::nullopt;
  }
  return std::nullopt;
}

PictureHeader png_header(std::string_view bytes, const std::string& name) {
  const ByteReader reader(bytes);
  PictureHeader header{.kind = PictureKind::kPng};
  if (reader.part(12, 4) != "IHDR") truncated(name, "PNG");
  header.width = need(reader.u32(16), name, "PNG");
  header.height = need(reader.u32(20), name, "PNG");
  for (uint64_t offset = 8;;) {  // eXIf may stand anywhere before IEND
    const auto length = reader.u32(offset);
    if (!length) break;
    if (reader.part(offset + 4, 4) == "eXIf") header.orientation = exif_orientation(reader.part(offset + 8, *length));
    offset += uint64_t{12} + *length;
  }
  return header;
}

// Segments per ITU-T T.81 B.1: marker, 16-bit length that counts itself, data; entropy-coded data after SOS up to the next real marker.
PictureHeader jpeg_header(std::string_view bytes, const std::string& name) {
  const ByteReader reader(bytes);
  PictureHeader header{.kind = PictureKind::kJpeg};
  uint32_t components = 0;
  for (uint64_t offset = 2;;) {
    while (need(reader.u8(offset), name, "JPEG") != 0xFF) ++offset;
    while (need(reader.u8(offset), name, "JPEG") == 0xFF) ++offset;  // fill bytes
    const uint32_t marker = *reader.u8(offset++);
    if (marker == 0xD9) break;
    if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8)) continue;  // stuffed zero, TEM, restart: no data
    const uint32_t length = need(reader.u16(offset), name, "JPEG");
    if (length < 2 || bytes.size() - offset < length) truncated(name, "JPEG");
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame && components == 0) {
      header.height = need(reader.u16(offset + 3), name, "JPEG");
      header.width = need(reader.u16(offset + 5), name, "JPEG");
      components = need(reader.u8(offset + 7), name, "JPEG");
    }
    const std::string_view data = reader.part(offset + 2, length - 2);
    if (marker == 0xE1 && data.starts_with("Exif\0\0"sv)) header.orientation = exif_orientation(data.substr(6));
    offset += length;
  }
  if (components == 0) truncated(name, "JPEG");
  if (components == 4) {
    fail(ExitCode::kBadInput, "{}: is a CMYK JPEG, whose colours depend on a printer's profile; export it as RGB (sRGB) and try again", name);
  }
  return header;
}

PictureHeader webp_header(std::string_view bytes, const std::string& name) {
  const ByteReader reader(bytes, false);
  PictureHeader header{.kind = PictureKind::kWebp};
  const uint64_t declared = uint64_t{need(reader.u32(4), name, "WebP")} + 8;
  if (declared > bytes.size()) truncated(name, "WebP");
  const std::string_view first = reader.part(12, 4);
  if (first == "VP8 ") {
    header.width = need(reader.u16(26), name, "WebP") & 0x3FFF;
    header.height = need(reader.u16(28), name, "WebP") & 0x3FFF;
  } else if (first == "VP8L") {
    const uint32_t sizes = need(reader.u32(21), name, "WebP");
    header.width = (sizes & 0x3FFF) + 1;
    header.height = (sizes >> 14 & 0x3FFF) + 1;
  } else if (first == "VP8X") {
    header.width = int64_t{need(reader.u24(24), name, "WebP")} + 1;
    header.height = int64_t{need(reader.u24(27), name, "WebP")} + 1;
  } else {
    truncated(name, "WebP");
  }
  for (uint64_t offset = 12;;) {
    const auto length = reader.u32(offset + 4);
    if (!length) break;
    if (reader.part(offset, 4) == "EXIF") {
      std::string_view tiff = reader.part(offset + 8, *length);
      if (tiff.starts_with("Exif\0\0"sv)) tiff.remove_prefix(6);
      header.orientation = exif_orientation(tiff);
    }
    offset += uint64_t{8} + *length + (*length & 1);
  }
  return header;
}

PictureHeader bmp_header(std::string_view bytes, const std::string& name) {
  const ByteReader reader(bytes, false);
  PictureHeader header{.kind = PictureKind::kBmp};
  if (need(reader.u32(14), name, "BMP") == 12) {  // OS/2
    header.width = need(reader.u16(18), name, "BMP");
    header.height = need(reader.u16(20), name, "BMP");
  } else {
    header.width = static_cast<int32_t>(need(reader.u32(18), name, "BMP"));
    header.height = static_cast<int32_t>(need(reader.u32(22), name, "BMP"));
    if (header.height < 0) header.height = -header.height;  // stored from the top
    const uint32_t bits = need(reader.u16(28), name, "BMP"), compression = need(reader.u32(30), name, "BMP");
    const uint64_t pixels_at = need(reader.u32(10), name, "BMP");
    const bool plain = (compression == 0 || compression == 3) && header.width > 0;
    const uint64_t row = plain ? (static_cast<uint64_t>(header.width) * bits + 31) / 32 * 4 : 0;
    if (plain && pixels_at + row * static_cast<uint64_t>(header.height) > bytes.size() + 3) truncated(name, "BMP");
  }
  return header;
}

PictureHeader tiff_header(std::string_view bytes, const std::string& name) {
  PictureHeader header{.kind = PictureKind::kTiff};  // its decoder applies the orientation
  header.width = need(tiff_tag(bytes, 256), name, "TIFF");
  header.height = need(tiff_tag(bytes, 257), name, "TIFF");
  return header;
}

// Binary PNM: "P5" or "P6", then width, height and the largest value in ASCII, with # comments.
PictureHeader pnm_header(std::string_view bytes, const std::string& name) {
  PictureHeader header{.kind = PictureKind::kPnm};
  size_t at = 2;
  int64_t values[3] = {};
  for (int64_t& value : values) {
    while (at < bytes.size() && (bytes[at] == '#' || std::string_view(" \t\r\n").find(bytes[at]) != std::string_view::npos)) {
      if (bytes[at] == '#') at = std::min(bytes.find('\n', at), bytes.size());
      if (at < bytes.size()) ++at;
    }
    const size_t first = at;
    while (at < bytes.size() && at - first < 9 && bytes[at] >= '0' && bytes[at] <= '9') value = value * 10 + (bytes[at++] - '0');
    if (at == first) truncated(name, "PNM");
  }
  header.width = values[0];
  header.height = values[1];
  const uint64_t samples = static_cast<uint64_t>(values[0]) * static_cast<uint64_t>(values[1]);  // each below 10^9: no overflow
  const uint64_t bytes_per_pixel = (bytes[1] == '6' ? 3 : 1) * (values[2] > 255 ? 2 : 1);
  if (values[2] < 1 || values[2] > 65535 || samples > (bytes.size() - at) / bytes_per_pixel) truncated(name, "PNM");
  return header;
}

}  // namespace

int exif_orientation(std::string_view tiff) {
  const uint32_t value = tiff_tag(tiff, 0x0112).value_or(1);
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

PictureHeader read_picture_header(std::string_view bytes, const std::string& name) {
  if (bytes.empty()) fail(ExitCode::kBadInput, "{}: is empty; choose a picture file", name);
  if (bytes.starts_with("\x89PNG\r\n\x1a\n"sv)) return png_header(bytes, name);
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return jpeg_header(bytes, name);
  if (bytes.starts_with("RIFF"sv) && bytes.substr(std::min<size_t>(8, bytes.size()), 4) == "WEBP") return webp_header(bytes, name);
  if (bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv)) return tiff_header(bytes, name);
  if (bytes.starts_with("BM"sv) && bytes.size() >= 26) return bmp_header(bytes, name);
  if (bytes.starts_with("P5"sv) || bytes.starts_with("P6"sv)) return pnm_header(bytes, name);
  fail(ExitCode::kBadInput, "{}: is not a picture of a kind that is read (PNG, JPEG, WebP, TIFF, BMP, PNM); convert it to PNG and try again", name);
}

}  // namespace attelier
