// Bounds-checked integers out of untrusted bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace attelier {

/// Integers of either byte order at any offset; std::nullopt beyond the end. Offsets may be any value: nothing overflows.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes, bool big_endian = true) : bytes_(bytes), big_endian_(big_endian) {}

  std::optional<uint32_t> integer(uint64_t offset, int size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < static_cast<uint64_t>(size)) return std::nullopt;
    uint32_t value = 0;
    for (int i = 0; i < size; ++i) {
      const auto byte = static_cast<uint8_t>(bytes_[offset + static_cast<uint64_t>(big_endian_ ? i : size - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  }
  std::optional<uint32_t> u8(uint64_t offset) const { return integer(offset, 1); }
  std::optional<uint32_t> u16(uint64_t offset) const { return integer(offset, 2); }
  std::optional<uint32_t> u24(uint64_t offset) const { return integer(offset, 3); }
  std::optional<uint32_t> u32(uint64_t offset) const { return integer(offset, 4); }

  /// The part [offset, offset + size), or what of it exists.
  std::string_view part(uint64_t offset, uint64_t size) const { return offset >= bytes_.size() ? std::string_view() : bytes_.substr(offset, size); }

 private:
  std::string_view bytes_;
  bool big_endian_;
};

}  // namespace attelier
