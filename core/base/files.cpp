#include "core/base/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>

#include "core/base/error.h"

namespace attelier {
namespace fs = std::filesystem;

std::string read_file(const fs::path& path, uint64_t limit) {
  std::error_code error;
  if (fs::is_directory(path, error)) fail(ExitCode::kBadInput, "{}: is a folder, a file was expected", path.string());
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  if (!stream) fail(ExitCode::kBadInput, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  const auto size = static_cast<uint64_t>(stream.tellg());
  if (size > limit) fail(ExitCode::kBadInput, "{}: has {} bytes, at most {} are read", path.string(), size, limit);
  std::string bytes(size, '\0');
  stream.seekg(0);
  stream.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!stream) fail(ExitCode::kBadInput, "{}: cannot be read: {}", path.string(), std::strerror(errno));
  return bytes;
}

namespace {

constexpr std::string_view kTemporary = ".tmp-";

/// The process of NAME.tmp-PID, or of NAME.EXT.tmp-PID.EXT, whose writer goes by the name's end; 0 for other names.
pid_t writer_of(std::string_view name) {
  const size_t mark = name.rfind(kTemporary);
  if (mark == std::string::npos || mark == 0) return 0;
  pid_t process = 0;
  const char *const digits = name.data() + mark + kTemporary.size(), *const stop = name.data() + name.size();
  const auto [parsed, problem] = std::from_chars(digits, stop, process);
  if (problem != std::errc() || process <= 0) return 0;
  const std::string_view rest(parsed, stop);
  return rest.empty() || (rest.starts_with('.') && name.substr(0, mark).ends_with(rest)) ? process : 0;
}

}  // namespace

fs::path temporary_beside(const fs::path& path) {
  fs::path temporary = path;
  return temporary += fmt::format("{}{}", kTemporary, getpid());
}

void remove_abandoned_files(const fs::path& folder) {
  static std::mutex mutex;
  static std::set<fs::path> seen;
  std::error_code error;
  {
    const std::scoped_lock lock(mutex);
    if (!seen.insert(fs::absolute(folder, error)).second) return;
  }
  for (fs::directory_iterator entry(folder.empty() ? "." : folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const pid_t process = writer_of(name);
    if (process == 0 || kill(process, 0) == 0 || errno != ESRCH) continue;
    std::error_code ignored;
    const bool is_hidden_folder = entry->is_directory(ignored) && name.starts_with(kHiddenFolder);
    const auto written = entry->last_write_time(ignored);
    if (ignored || std::chrono::hours(1) > fs::file_time_type::clock::now() - written) continue;
    if (is_hidden_folder) fs::remove_all(entry->path(), ignored);
    else if (entry->is_regular_file(ignored)) fs::remove(entry->path(), ignored);
  }
}

void write_atomically(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  remove_abandoned_files(path.parent_path());
  const fs::path temporary = temporary_beside(path);
  const auto give_up = [&](const std::string& reason) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    fail(ExitCode::kBadInput, "{}: cannot be written: {}; choose another folder or free some space", path.string(), reason);
  };
  try {
    write(temporary);
  } catch (const Error&) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  } catch (const std::exception& error) {
    give_up(error.what());
  }
  const int file = open(temporary.c_str(), O_RDONLY);
  if (file < 0) give_up(std::strerror(errno));
  const bool synced = fsync(file) == 0;
  const int sync_error = errno;
  close(file);
  if (!synced) give_up(std::strerror(sync_error));
  if (rename(temporary.c_str(), path.c_str()) != 0) give_up(std::strerror(errno));
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  write_atomically(path, [&](const fs::path& temporary) {
    const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) throw std::runtime_error(std::strerror(errno));
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t n = ::write(file, bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const int error = errno;
        close(file);
        throw std::runtime_error(std::strerror(error));
      }
      done += static_cast<size_t>(n);
    }
    if (close(file) != 0) throw std::runtime_error(std::strerror(errno));
  });
}

namespace {

class Sha256 {
 public:
  Sha256() : digest_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr); }
  void update(const void* data, size_t size) { EVP_DigestUpdate(digest_.get(), data, size); }
  std::string hex() {
    std::array<unsigned char, 32> bytes{};
    EVP_DigestFinal_ex(digest_.get(), bytes.data(), nullptr);
    std::string text;
    for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest_;
};

fs::path xdg_folder(const char* variable, const char* fallback) {
  const char* value = std::getenv(variable);
  if (value != nullptr && *value != '\0') return fs::path(value) / "attelier";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr && *home != '\0' ? home : "/tmp") / fallback / "attelier";
}

}  // namespace

std::string sha256(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes.data(), bytes.size());
  return digest.hex();
}

std::string sha256_file(const fs::path& path, const std::function<void(uint64_t)>& progress) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail(ExitCode::kBadInput, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
  Sha256 digest;
  std::string block(size_t{1} << 20, '\0');
  while (stream.read(block.data(), static_cast<std::streamsize>(block.size())) || stream.gcount() > 0) {
    const auto bytes = static_cast<size_t>(stream.gcount());
    digest.update(block.data(), bytes);
    if (progress) progress(bytes);
  }
  return digest.hex();
}

fs::path cache_folder() { return xdg_folder("XDG_CACHE_HOME", ".cache"); }
fs::path data_folder() { return xdg_folder("XDG_DATA_HOME", ".local/share"); }
fs::path config_folder() { return xdg_folder("XDG_CONFIG_HOME", ".config"); }
fs::path state_folder() { return xdg_folder("XDG_STATE_HOME", ".local/state"); }

fs::path assets_folder() {
  const char* value = std::getenv("ATTELIER_ASSETS");
  return value != nullptr && *value != '\0' ? fs::path(value) : fs::path(ATTELIER_ASSETS_FOLDER);
}

}  // namespace attelier
