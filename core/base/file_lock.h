// One process at a time: a lock on a file that the system takes away when its holder dies, however it dies.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace attelier {

class FileLock {
 public:
  /// Creates `path` where it is not there. Nothing if another holder has it. Throws Error(kBadInput) if the file cannot be opened. Two locks of one
  /// process exclude each other as well.
  static std::optional<FileLock> take(const std::filesystem::path& path);
  /// Who holds it, as the holder wrote: "process 4711 on atelier"; "" if the file says nothing.
  static std::string holder(const std::filesystem::path& path);

  FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~FileLock();

 private:
  explicit FileLock(int file) : file_(file) {}
  int file_;
};

}  // namespace attelier
