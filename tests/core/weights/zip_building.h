// Zip archives made byte by byte, right or wrong in one chosen place.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace attelier {

struct ZipEntry {
  std::string name;
  std::string data = {};
  uint16_t flags = 0;
  uint16_t method = 0;
  std::string local_name = name;
  uint32_t local_size = static_cast<uint32_t>(data.size());
  uint32_t central_size = static_cast<uint32_t>(data.size());
  uint32_t stored_size = central_size;
  int64_t moved = 0;       // added to the offset in the central directory
  std::string extra = {};  // of the central directory
  bool is_listed = true;
};

template <typename... Values>
std::string packed(Values... values) {
  std::string bytes;
  const auto add = [&](auto value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
  (add(values), ...);
  return bytes;
}

struct ZipEnd {
  uint16_t disk = 0;
  int count = 0;       // added to the right number
  int64_t offset = 0;  // likewise
  int64_t size = 0;    // likewise
  bool is_64 = false;
  uint64_t count_64 = 0;  // likewise
  std::string comment = {};
  std::string junk_after = {};
};

inline std::string zip_of(const std::vector<ZipEntry>& entries, const ZipEnd& end = {}) {
  std::string bytes, directory;
  uint16_t count = 0;
  for (const ZipEntry& entry : entries) {
    const auto offset = static_cast<uint32_t>(static_cast<int64_t>(bytes.size()) + entry.moved);
    bytes += packed(uint32_t{0x04034b50}, uint16_t{0}, entry.flags, entry.method, uint32_t{0}, uint32_t{0}, entry.local_size, entry.local_size,
                    static_cast<uint16_t>(entry.local_name.size()), uint16_t{0});
    bytes += entry.local_name + entry.data;
    if (!entry.is_listed) continue;
    ++count;
    directory += packed(uint32_t{0x02014b50}, uint16_t{0}, uint16_t{0}, entry.flags, entry.method, uint32_t{0}, uint32_t{0}, entry.stored_size,
                        entry.central_size, static_cast<uint16_t>(entry.name.size()), static_cast<uint16_t>(entry.extra.size()), uint16_t{0},
                        uint16_t{0}, uint16_t{0}, uint32_t{0}, offset);
    directory += entry.name + entry.extra;
  }
  const uint64_t offset = bytes.size() + static_cast<uint64_t>(end.offset), size = directory.size() + static_cast<uint64_t>(end.size);
  bytes += directory;
  if (end.is_64) {
    const uint64_t place = bytes.size(), count_64 = count + end.count_64;
    bytes += packed(uint32_t{0x06064b50}, uint64_t{44}, uint16_t{0}, uint16_t{0}, uint32_t{0}, uint32_t{0}, count_64, count_64, size, offset);
    bytes += packed(uint32_t{0x07064b50}, uint32_t{0}, place, uint32_t{1});
  }
  const auto listed = static_cast<uint16_t>(count + end.count);
  bytes += packed(uint32_t{0x06054b50}, end.disk, end.disk, listed, listed, static_cast<uint32_t>(size), static_cast<uint32_t>(offset),
                  static_cast<uint16_t>(end.comment.size()));
  return bytes + end.comment + end.junk_after;
}

}  // namespace attelier
