#include "app/session/output_names.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <functional>
#include <utility>

#include "app/session/job.h"
#include "core/base/error.h"
#include "core/media/video_file.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 6> kFields = {"name", "method", "model", "seed", "index", "date"};
constexpr std::array<std::string_view, 4> kExtensions = {".png", ".jpg", ".jpeg", ".webp"};
constexpr size_t kLongestPattern = 100, kLongestText = 60, kWidest = 12;

struct Field {
  std::string name, width;
};

/// Calls `literal` and `field` for the parts of a pattern in order.
void walk(const std::string& pattern, const std::function<void(char)>& literal, const std::function<void(const Field&)>& field) {
  for (size_t i = 0; i < pattern.size();) {
    const size_t end = pattern[i] == '{' ? pattern.find('}', i) : std::string::npos;
    if (end == std::string::npos) {
      literal(pattern[i++]);
      continue;
    }
    const std::string inside = pattern.substr(i + 1, end - i - 1);
    const size_t colon = inside.find(':');
    field({inside.substr(0, colon), colon == std::string::npos ? "" : inside.substr(colon + 1)});
    i = end + 1;
  }
}

/// At most kLongestText bytes, cut between characters, with nothing in it that a file name should not have.
std::string safe(std::string text) {
  if (text.size() > kLongestText) {
    size_t end = kLongestText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text.resize(end);
  }
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32 || c == 0x7f || std::string_view("/\\:*?\"<>|").find(c) != std::string_view::npos) c = '_';
  return text;
}

std::string model_name(const std::string& model) {
  fs::path path = fs::path(model).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::string extension = path.extension().string();
  return extension == ".safetensors" || extension == ".ckpt" ? path.stem().string() : path.filename().string();
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[16];
  std::strftime(text, sizeof(text), "%Y-%m-%d", &local);
  return text;
}

/// picture_path() with what says that a name is taken.
fs::path first_free(const Job& job, const Json& params, int64_t& index, const std::string& extension, const std::function<bool(const fs::path&)>& is_taken) {
  const auto named = [&] {
    const fs::path path = job.output.folder / picture_name(job, params, index);
    return extension.empty() || is_video_name(path) ? path : fs::path(path).replace_extension(extension);
  };
  const bool numbered = job.output.pattern.find("{index") != std::string::npos;
  fs::path path = named();
  if (job.output.exists == "skip" || job.output.exists == "overwrite" || !is_taken(path)) return path;
  if (job.output.exists == "error")
    fail(ExitCode::kBadInput, "{}: exists already; choose another folder or name, or --exists number, skip or overwrite", path.string());
  const fs::path first = path;
  for (int64_t copy = 1; is_taken(path); ++copy) {
    if (numbered) {
      ++index;
      path = named();
    } else {
      path = first.parent_path() / fmt::format("{}_{}{}", first.stem().string(), copy, first.extension().string());
    }
  }
  return path;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

}  // namespace

std::string pattern_problem(const std::string& pattern, bool with_videos) {
  const std::string shown = Json(pattern).dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string problem;
  const auto literal = [&](char c) {
    if (c == '/' || static_cast<unsigned char>(c) < 32 || c == 0x7f) problem = fmt::format("is {}; expected a file name without folders and control characters", shown);
    if (c == '{') problem = fmt::format("is {}, in which a {{ has no end", shown);
  };
  const auto field = [&](const Field& one) {
    if (std::find(kFields.begin(), kFields.end(), one.name) == kFields.end())
      problem = fmt::format("is {}; {{{}}} is no field, known are {}", shown, one.name, fmt::join(kFields, ", "));
    const bool digits = std::all_of(one.width.begin(), one.width.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || one.width.size() > 4 || (!one.width.empty() && std::stoul(one.width) > kWidest))
      problem = fmt::format("is {}; the width in {{{}:{}}} may be 0 to {}", shown, one.name, one.width, kWidest);
  };
  walk(pattern, literal, field);
  if (!problem.empty()) return problem;
  if (pattern.size() > kLongestPattern) return fmt::format("has {} bytes; at most {} are allowed", pattern.size(), kLongestPattern);
  const std::string extension = fs::path(pattern).extension().string();
  if (std::find(kExtensions.begin(), kExtensions.end(), extension) == kExtensions.end() && !(with_videos && is_video_name(pattern)))
    return fmt::format("is {}; it must end in {}{}", shown, fmt::join(kExtensions, ", "), with_videos ? ", or of a video in .mp4, .m4v, .mov, .avi or .mkv" : "");
  return {};
}

std::string picture_name(const Job& job, const Json& params, int64_t index) {
  std::string result;
  const auto literal = [&](char c) { result += c; };
  const auto field = [&](const Field& one) {
    std::string text;
    if (one.name == "name") text = job.name;
    if (one.name == "method") text = job.method->name;
    if (one.name == "model") text = model_name(job.model);
    if (one.name == "index") text = std::to_string(index);
    if (one.name == "date") text = today();
    if (one.name == "seed") text = params.contains("seed") && params["seed"].is_number() ? params["seed"].dump() : "0";
    text = safe(text);
    const size_t width = one.width.empty() ? 0 : std::stoul(one.width);
    if (text.size() < width) text.insert(0, width - text.size(), '0');
    result += text;
  };
  walk(job.output.pattern, literal, field);
  return result;
}

fs::path picture_path(const Job& job, const Json& params, int64_t& index, const std::string& extension) { return first_free(job, params, index, extension, is_there); }

ClaimedPath::ClaimedPath(const Job& job, const Json& params, int64_t& index, const std::string& extension)
    : path_(first_free(job, params, index, extension, [this](const fs::path& path) { return !claim(path); })) {}

bool ClaimedPath::claim(const fs::path& path) {
  release();
  if (is_there(path)) return false;
  claim_ = path.parent_path() / fmt::format(".{}.claim", path.filename().string());
  lock_ = open(claim_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) return true;
  // Another process may have finished in between, which removes its claim, and perhaps its file is there now.
  struct stat found = {};
  const bool held = flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  const bool removed = fstat(lock_, &found) == 0 && found.st_nlink == 0;
  if (!held && !removed && !is_there(path)) return true;
  if (held || removed) close(std::exchange(lock_, -1));
  release();
  return removed && !held ? claim(path) : false;
}

void ClaimedPath::release() {
  if (lock_ < 0) return;
  unlink(claim_.c_str());
  close(std::exchange(lock_, -1));
}

void check_folder(const fs::path& folder, int64_t bytes) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (!fs::exists(status)) fail(ExitCode::kBadInput, "{}: there is no such folder; create it or choose another with --out", folder.string());
  if (!fs::is_directory(status)) fail(ExitCode::kBadInput, "{}: is no folder; choose one with --out", folder.string());
  // A file without a name tells what a write will meet: no permission, a full disk, a quota.
  std::string probe = (folder / ".attelier-XXXXXX").string();
  const int file = mkostemp(probe.data(), O_CLOEXEC);
  if (file < 0) fail(ExitCode::kBadInput, "{}: cannot be written: {}; choose another folder with --out", folder.string(), std::strerror(errno));
  unlink(probe.c_str());
  const int failure = posix_fallocate(file, 0, std::max<int64_t>(bytes, 4096));
  close(file);
  if (failure == ENOSPC || failure == EDQUOT || failure == EFBIG)
    fail(ExitCode::kBadInput, "{}: has no room for {} bytes: {}; free some space or choose another folder with --out", folder.string(), bytes, std::strerror(failure));
}

}  // namespace attelier
