// The zip archives that torch.save writes: stored entries only, every size checked against the central directory.
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/weights/read_only_file.h"

namespace attelier {

/// Entries of a zip file by name, as byte ranges of that file. Compressed, encrypted, overlapping or contradictory entries make it an Error(kModel).
class StoredZip {
 public:
  struct Entry {
    uint64_t offset = 0;
    uint64_t size = 0;
  };

  explicit StoredZip(std::shared_ptr<const ReadOnlyFile> file);

  const std::map<std::string, Entry>& entries() const { return entries_; }
  const ReadOnlyFile& file() const { return *file_; }

 private:
  struct Directory {
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t count = 0;
  };
  struct Record;

  Directory find_directory() const;
  Directory find_directory_64(uint64_t end, const Directory& directory) const;
  std::vector<Record> read_records(const Directory& directory) const;
  void locate(const Record& record, const Directory& directory, std::vector<std::pair<uint64_t, uint64_t>>& occupied);
  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const;

  std::shared_ptr<const ReadOnlyFile> file_;
  std::map<std::string, Entry> entries_;
};

}  // namespace attelier
