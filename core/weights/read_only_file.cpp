#include "core/weights/read_only_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "core/base/error.h"
#include "core/weights/quote.h"

namespace attelier {
namespace {

bool others_may_write(const struct stat& status) {
  if ((status.st_mode & S_IWOTH) != 0) return true;
  if ((status.st_mode & S_IWGRP) != 0 && status.st_gid != getegid()) return true;
  return status.st_uid != geteuid() && status.st_uid != 0;
}

at::Tensor allocate(at::IntArrayRef shape, at::ScalarType dtype, const std::filesystem::path& path, const std::string& name) {
  try {
    return at::empty(shape, at::TensorOptions().dtype(dtype));
  } catch (const c10::Error&) {
  } catch (const std::bad_alloc&) {
  }
  fail(ExitCode::kOutOfMemory, "{}: tensor {}: no memory for {} elements; close other programs or use a smaller model", path.string(), in_quotes(name),
       c10::multiply_integers(shape));
}

// The pages of a view that nobody holds any more leave the process (they stay in the system's file cache), so that a converted weight is not resident
// twice.
void release_pages(void* start, uint64_t size) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), begin = reinterpret_cast<uintptr_t>(start);
  const uintptr_t first = (begin + page - 1) / page * page, last = (begin + size) / page * page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace

std::shared_ptr<const ReadOnlyFile> ReadOnlyFile::open(const std::filesystem::path& path) {
  std::shared_ptr<ReadOnlyFile> file(new ReadOnlyFile);
  file->path_ = path;
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  file->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->descriptor_ < 0) fail(ExitCode::kModel, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  struct stat status {};
  if (fstat(file->descriptor_, &status) != 0) fail(ExitCode::kModel, "{}: cannot be examined: {}", path.string(), std::strerror(errno));
  if (S_ISDIR(status.st_mode)) fail(ExitCode::kModel, "{}: is a folder, a weight file was expected", path.string());
  if (!S_ISREG(status.st_mode)) fail(ExitCode::kModel, "{}: is not a regular file", path.string());
  file->size_ = static_cast<uint64_t>(status.st_size);
  if (file->size_ > 0 && !others_may_write(status)) {
    void* address = mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, file->descriptor_, 0);
    if (address != MAP_FAILED) file->mapping_ = static_cast<unsigned char*>(address);
  }
  return file;
}

ReadOnlyFile::~ReadOnlyFile() {
  if (mapping_ != nullptr) munmap(mapping_, size_);
  if (descriptor_ >= 0) close(descriptor_);
}

void ReadOnlyFile::check_unchanged() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) fail(ExitCode::kModel, "{}: cannot be examined: {}", path_.string(), std::strerror(errno));
  if (static_cast<uint64_t>(status.st_size) != size_)
    fail(ExitCode::kModel, "{}: changed from {} to {} bytes while it was in use; start again with the finished file", path_.string(), size_,
         static_cast<uint64_t>(status.st_size));
}

void ReadOnlyFile::check_range(uint64_t offset, uint64_t size) const {
  if (offset > size_ || size > size_ - offset)
    fail(ExitCode::kModel, "{}: {} bytes at offset {} lie outside the file of {} bytes", path_.string(), size, offset, size_);
}

void ReadOnlyFile::read(uint64_t offset, uint64_t size, void* destination) const {
  check_range(offset, size);
  check_unchanged();
  auto* to = static_cast<char*>(destination);
  while (size > 0) {
    const ssize_t n = pread(descriptor_, to, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(ExitCode::kModel, "{}: cannot be read: {}", path_.string(), std::strerror(errno));
    if (n == 0) fail(ExitCode::kModel, "{}: ended at byte {} while it was being read", path_.string(), offset);
    to += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<uint64_t>(n);
  }
}

std::string ReadOnlyFile::bytes(uint64_t offset, uint64_t size) const {
  check_range(offset, size);
  std::string result(size, '\0');
  read(offset, size, result.data());
  return result;
}

at::Tensor ReadOnlyFile::tensor(uint64_t offset, at::IntArrayRef shape, at::ScalarType dtype, const std::string& name) const {
  const uint64_t element = c10::elementSize(dtype);
  const uint64_t size = static_cast<uint64_t>(c10::multiply_integers(shape)) * element;
  check_range(offset, size);
  check_unchanged();
  if (mapping_ != nullptr && size > 0 && dtype != at::kBool) {
    unsigned char* address = mapping_ + offset;
    if (reinterpret_cast<uintptr_t>(address) % element == 0)
      return at::from_blob(
          address, shape, [keep = shared_from_this(), size](void* start) { release_pages(start, size); }, at::TensorOptions().dtype(dtype));
  }
  at::Tensor copy = allocate(shape, dtype, path_, name);
  read(offset, size, copy.data_ptr());
  if (dtype == at::kBool) {
    const auto* bytes = static_cast<const unsigned char*>(copy.data_ptr());
    const auto* wrong = std::find_if(bytes, bytes + size, [](unsigned char byte) { return byte > 1; });
    if (wrong != bytes + size)
      fail(ExitCode::kModel, "{}: tensor {}: a boolean must be 0 or 1, element {} is {}", path_.string(), in_quotes(name), wrong - bytes, *wrong);
  }
  return copy;
}

}  // namespace attelier
