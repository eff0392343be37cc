#include "core/weights/file_hashes.h"

#include <sys/stat.h>

#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr uint64_t kLargestCache = uint64_t{1} << 24;
constexpr size_t kMostEntries = 4096;
constexpr int64_t kNanoseconds = 1'000'000'000;
constexpr int64_t kTooFresh = 2 * kNanoseconds;

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * kNanoseconds + time.tv_nsec; }

// What the file system says about a file; a null value if it is not there.
Json fingerprint(const fs::path& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return nullptr;
  return {{"size", info.st_size}, {"inode", info.st_ino}, {"device", info.st_dev}, {"modified", nanoseconds(info.st_mtim)}, {"changed", nanoseconds(info.st_ctim)}};
}

bool is_settled(const Json& mark) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now) - std::max(mark["modified"].get<int64_t>(), mark["changed"].get<int64_t>()) > kTooFresh;
}

fs::path cache_file() { return cache_folder() / "hashes.json"; }

Json read_cache() {
  try {
    Json cache = Json::parse(read_file(cache_file(), kLargestCache), nullptr, false);
    if (cache.is_object()) return cache;
  } catch (const Error&) {
    // There is none yet.
  }
  return Json::object();
}

void remember(const std::string& key, const Json& mark, const std::string& hash) {
  try {
    Json cache = read_cache();
    if (cache.size() >= kMostEntries) cache = Json::object();
    cache[key] = {{"mark", mark}, {"sha256", hash}};
    std::error_code ignored;
    fs::create_directories(cache_folder(), ignored);
    write_file_atomically(cache_file(), cache.dump(1, ' ', false, Json::error_handler_t::replace));
  } catch (const Error&) {
    // A full or read-only disk: the hash is computed again next time.
  }
}

}  // namespace

std::string remembered_sha256(const fs::path& path, const std::function<void(uint64_t)>& progress) {
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  const std::string key = (error ? path : real).string();
  const Json mark = fingerprint(path);
  const Json cache = read_cache();
  if (const auto entry = cache.find(key); entry != cache.end() && entry->is_object() && !mark.is_null() && entry->value("mark", Json()) == mark) {
    const Json hash = entry->value("sha256", Json());
    if (hash.is_string() && hash.get_ref<const std::string&>().size() == 64) return hash.get<std::string>();
  }
  std::string hash = sha256_file(path, progress);
  if (!mark.is_null() && mark == fingerprint(path) && is_settled(mark)) remember(key, mark, hash);
  return hash;
}

}  // namespace attelier
