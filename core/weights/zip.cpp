#include "core/weights/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/base/error.h"
#include "core/weights/quote.h"

// Layout: PKWARE APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14-16 (end records), 4.5.3 (zip64 sizes).
namespace attelier {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50, kCentralSignature = 0x02014b50, kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr uint64_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56, kLocator64Size = 20, kLongestComment = 65535;
constexpr uint64_t kLargestDirectory = uint64_t{1} << 28;
constexpr uint32_t kIn64 = 0xFFFFFFFF;
constexpr uint16_t kEncryptionFlags = 0x2041, kDescriptorFlag = 0x0008;

template <typename T>
T number_at(std::string_view bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// The zip64 extra field holds, in this order, only those of the values that did not fit 32 bits.
bool widen(std::string_view extra, std::initializer_list<uint64_t*> values) {
  while (extra.size() >= 4) {
    const auto id = number_at<uint16_t>(extra, 0);
    const uint64_t size = number_at<uint16_t>(extra, 2);
    if (size > extra.size() - 4) return false;
    if (id == 1) {
      std::string_view field = extra.substr(4, size);
      for (uint64_t* value : values) {
        if (*value != kIn64) continue;
        if (field.size() < 8) return false;
        *value = number_at<uint64_t>(field, 0);
        field.remove_prefix(8);
      }
      return true;
    }
    extra.remove_prefix(4 + size);
  }
  return std::none_of(values.begin(), values.end(), [](const uint64_t* value) { return *value == kIn64; });
}

}  // namespace

struct StoredZip::Record {
  std::string name;
  uint16_t flags = 0;
  uint64_t size = 0;
  uint64_t local_offset = 0;
};

template <typename... Args>
void StoredZip::reject(fmt::format_string<Args...> format, Args&&... args) const {
  throw Error(ExitCode::kModel, file_->path().string() + ": " + fmt::format(format, std::forward<Args>(args)...));
}

StoredZip::StoredZip(std::shared_ptr<const ReadOnlyFile> file) : file_(std::move(file)) {
  const Directory directory = find_directory();
  std::vector<std::pair<uint64_t, uint64_t>> occupied;
  for (const Record& record : read_records(directory)) locate(record, directory, occupied);
  std::sort(occupied.begin(), occupied.end());
  for (size_t i = 1; i < occupied.size(); ++i)
    if (occupied[i].first < occupied[i - 1].second) reject("two entries of the zip archive overlap at byte {}", occupied[i].first);
}

StoredZip::Directory StoredZip::find_directory() const {
  const uint64_t size = file_->size();
  if (size < kEndSize) reject("is truncated: {} bytes are too few for a zip archive", size);
  const uint64_t tail_size = std::min(size, kEndSize + kLongestComment);
  const std::string tail = file_->bytes(size - tail_size, tail_size);
  for (uint64_t at = tail_size - kEndSize + 1; at-- > 0;) {
    if (number_at<uint32_t>(tail, at) != kEndSignature || number_at<uint16_t>(tail, at + 20) != tail_size - at - kEndSize) continue;
    const auto disk = number_at<uint16_t>(tail, at + 4), directory_disk = number_at<uint16_t>(tail, at + 6);
    const auto count_here = number_at<uint16_t>(tail, at + 8);
    Directory directory;
    directory.count = number_at<uint16_t>(tail, at + 10);
    directory.size = number_at<uint32_t>(tail, at + 12);
    directory.offset = number_at<uint32_t>(tail, at + 16);
    if ((disk != 0 && disk != 0xFFFF) || (directory_disk != 0 && directory_disk != 0xFFFF) || count_here != directory.count)
      reject("is one part of a zip archive in several parts");
    return find_directory_64(size - tail_size + at, directory);
  }
  reject("is truncated: the zip archive has no end record; copy or download it again");
}

// `end` is the place of the end record. A zip64 locator before it leads to the wide values.
StoredZip::Directory StoredZip::find_directory_64(uint64_t end, const Directory& directory) const {
  Directory wide = directory;
  uint64_t expected_end = end;
  const bool has_locator = end >= kLocator64Size && number_at<uint32_t>(file_->bytes(end - kLocator64Size, 4), 0) == kLocator64Signature;
  if (has_locator) {
    const std::string locator = file_->bytes(end - kLocator64Size, kLocator64Size);
    const auto record_offset = number_at<uint64_t>(locator, 8);
    if (number_at<uint32_t>(locator, 4) != 0 || number_at<uint32_t>(locator, 16) > 1) reject("is one part of a zip archive in several parts");
    if (end - kLocator64Size < kEnd64Size || record_offset != end - kLocator64Size - kEnd64Size) reject("the zip64 end record is misplaced");
    const std::string record = file_->bytes(record_offset, kEnd64Size);
    if (number_at<uint32_t>(record, 0) != kEnd64Signature || number_at<uint64_t>(record, 4) != kEnd64Size - 12)
      reject("the zip64 end record is damaged");
    if (number_at<uint32_t>(record, 16) != 0 || number_at<uint32_t>(record, 20) != 0) reject("is one part of a zip archive in several parts");
    wide.count = number_at<uint64_t>(record, 32);
    wide.size = number_at<uint64_t>(record, 40);
    wide.offset = number_at<uint64_t>(record, 48);
    if (number_at<uint64_t>(record, 24) != wide.count || (directory.count != 0xFFFF && directory.count != wide.count) ||
        (directory.size != kIn64 && directory.size != wide.size) || (directory.offset != kIn64 && directory.offset != wide.offset))
      reject("the two end records of the zip archive contradict each other");
    expected_end = record_offset;
  }
  if (wide.offset > expected_end || wide.size != expected_end - wide.offset) reject("the central directory of the zip archive is misplaced");
  if (wide.size > kLargestDirectory)
    reject("the central directory of the zip archive has {} bytes, at most {} are read", wide.size, kLargestDirectory);
  if (wide.count > wide.size / kCentralSize) reject("the central directory of the zip archive is too short for {} entries", wide.count);
  return wide;
}

std::vector<StoredZip::Record> StoredZip::read_records(const Directory& directory) const {
  const std::string bytes = file_->bytes(directory.offset, directory.size);
  std::string_view rest = bytes;
  std::vector<Record> records;
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (rest.size() < kCentralSize || number_at<uint32_t>(rest, 0) != kCentralSignature) reject("entry {} of the zip archive is damaged", i);
    const uint64_t name_size = number_at<uint16_t>(rest, 28), extra_size = number_at<uint16_t>(rest, 30),
                   comment_size = number_at<uint16_t>(rest, 32);
    if (rest.size() - kCentralSize < name_size + extra_size + comment_size) reject("entry {} of the zip archive is damaged", i);
    Record record;
    record.name = rest.substr(kCentralSize, name_size);
    record.flags = number_at<uint16_t>(rest, 8);
    const auto method = number_at<uint16_t>(rest, 10);
    uint64_t stored_size = number_at<uint32_t>(rest, 20);
    record.size = number_at<uint32_t>(rest, 24);
    record.local_offset = number_at<uint32_t>(rest, 42);
    if (!widen(rest.substr(kCentralSize + name_size, extra_size), {&record.size, &stored_size, &record.local_offset}))
      reject("zip entry {}: its zip64 sizes are damaged", in_quotes(record.name));
    if ((record.flags & kEncryptionFlags) != 0) reject("zip entry {}: is encrypted", in_quotes(record.name));
    if (method != 0) reject("zip entry {}: is compressed, torch.save stores without compression; save the checkpoint again", in_quotes(record.name));
    if (stored_size != record.size) reject("zip entry {}: is stored with {} bytes instead of {}", in_quotes(record.name), stored_size, record.size);
    records.push_back(std::move(record));
    rest.remove_prefix(kCentralSize + name_size + extra_size + comment_size);
  }
  if (!rest.empty()) reject("the central directory of the zip archive has {} bytes too many", rest.size());
  return records;
}

void StoredZip::locate(const Record& record, const Directory& directory, std::vector<std::pair<uint64_t, uint64_t>>& occupied) {
  const std::string name = in_quotes(record.name);
  if (record.local_offset > directory.offset || directory.offset - record.local_offset < kLocalSize)
    reject("zip entry {}: lies outside the archive", name);
  const std::string header = file_->bytes(record.local_offset, kLocalSize);
  if (number_at<uint32_t>(header, 0) != kLocalSignature) reject("zip entry {}: has no local header", name);
  const uint64_t name_size = number_at<uint16_t>(header, 26), extra_size = number_at<uint16_t>(header, 28);
  const uint64_t room = directory.offset - record.local_offset - kLocalSize;
  if (room < name_size + extra_size || room - name_size - extra_size < record.size) reject("zip entry {}: reaches outside the archive", name);
  const std::string names = file_->bytes(record.local_offset + kLocalSize, name_size + extra_size);
  uint64_t stored_size = number_at<uint32_t>(header, 18), size = number_at<uint32_t>(header, 22);
  const bool sizes_follow = (record.flags & kDescriptorFlag) != 0 && stored_size == 0 && size == 0;
  const bool widened = sizes_follow || widen(std::string_view(names).substr(name_size), {&size, &stored_size});
  if (std::string_view(names).substr(0, name_size) != record.name || number_at<uint16_t>(header, 6) != record.flags ||
      number_at<uint16_t>(header, 8) != 0 || !widened || (!sizes_follow && (stored_size != record.size || size != record.size)))
    reject("zip entry {}: its local header contradicts the central directory", name);
  const Entry entry{record.local_offset + kLocalSize + name_size + extra_size, record.size};
  if (!entries_.emplace(record.name, entry).second) reject("the zip archive has the entry {} twice", name);
  occupied.emplace_back(record.local_offset, entry.offset + entry.size);
}

}  // namespace attelier
