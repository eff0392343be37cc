#include "core/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace attelier {

std::optional<FileLock> FileLock::take(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) fail(ExitCode::kBadInput, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  FileLock lock(file);
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EWOULDBLOCK) return std::nullopt;
    fail(ExitCode::kBadInput, "{}: cannot be locked: {}", path.string(), std::strerror(error));
  }
  char host[256] = {};
  gethostname(host, sizeof(host) - 1);
  const std::string text = fmt::format("process {} on {}\n", getpid(), host);
  // What stands in the file is for people; the lock does not depend on it.
  if (ftruncate(file, 0) == 0 && pwrite(file, text.data(), text.size(), 0) < 0) errno = 0;
  return lock;
}

std::string FileLock::holder(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  char text[512] = {};
  const ssize_t size = read(file, text, sizeof(text) - 1);
  close(file);
  std::string holder(text, size > 0 ? static_cast<size_t>(size) : 0);
  return holder.substr(0, holder.find('\n'));
}

FileLock::~FileLock() {
  if (file_ >= 0) close(file_);
}

}  // namespace attelier
