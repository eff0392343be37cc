// A weight file held open: bounds-checked reads, and tensors that are views of the mapped file where that is safe.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <string>

namespace attelier {

/// A regular file, opened once and read by offset. Thread-safe after opening. All errors are Error(kModel) and name the file.
///
/// Touching a mapped page behind the end of a file that was truncated meanwhile kills the process (SIGBUS). So a file is mapped only if nobody but
/// this user (or root) may write to it; any other file is read into owned memory. Besides, every read first checks that the size is still the one
/// seen when the file was opened. What remains is a user who truncates his own file in place while a program computes with it; replacing a file
/// by rename, as every writer here does, leaves the mapped one untouched.
class ReadOnlyFile : public std::enable_shared_from_this<ReadOnlyFile> {
 public:
  static std::shared_ptr<const ReadOnlyFile> open(const std::filesystem::path& path);
  ~ReadOnlyFile();
  ReadOnlyFile(const ReadOnlyFile&) = delete;
  ReadOnlyFile& operator=(const ReadOnlyFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }
  bool is_mapped() const { return mapping_ != nullptr; }

  /// The bytes [offset, offset + size), which must lie inside the file.
  std::string bytes(uint64_t offset, uint64_t size) const;
  void read(uint64_t offset, uint64_t size, void* destination) const;

  /// A contiguous CPU tensor over the bytes at `offset`. A read-only view of the mapping, which it keeps alive, if the file is mapped and the
  /// address is a multiple of the element size; otherwise a copy. Booleans are always copied, and bytes other than 0 and 1 refused with `name`.
  at::Tensor tensor(uint64_t offset, at::IntArrayRef shape, at::ScalarType dtype, const std::string& name) const;

 private:
  ReadOnlyFile() = default;
  void check_unchanged() const;
  void check_range(uint64_t offset, uint64_t size) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  unsigned char* mapping_ = nullptr;
};

}  // namespace attelier
