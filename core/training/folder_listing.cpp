#include "core/training/folder_listing.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/parameters.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kLargestText = uint64_t{1} << 16, kLargestList = uint64_t{1} << 30;

std::string trimmed(std::string text) {
  const char* spaces = " \t\r\n";
  text.erase(0, std::min(text.find_first_not_of(spaces), text.size()));
  text.erase(text.find_last_not_of(spaces) + 1);
  return text;
}

bool is_picture_name(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array kEndings = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"};
  return !path.filename().string().starts_with('.') && std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

/// Whether a training run keeps its files in `folder`: its configuration, and the curve or the figures that come with the first picture it draws.
bool is_of_a_run(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_regular_file(folder / "losses.csv", ignored) && !fs::is_regular_file(folder / "figures.json", ignored)) return false;
  std::ifstream stream(folder / "config.json");
  const Json config = Json::parse(stream, nullptr, false);
  return config.is_object() && config.contains("objective");
}

/// A run whose folder lies among its pictures would go on with other pictures than it began with.
bool is_drawn_by_a_run(const fs::path& path, bool is_folder) {
  const std::string name = path.filename().string();
  return (is_folder ? name == "sheets" : name == "sheet.png" || name == "losses.png") && is_of_a_run(path.parent_path());
}

std::string text_of(const Json& line, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (line.contains(key) && line[key].is_string()) return line[key];
  return "";
}

FolderListing from_lines(const fs::path& list, const std::string& caption) {
  FolderListing listing;
  std::istringstream lines(read_file(list, kLargestList));
  std::string text;
  for (int64_t number = 1; std::getline(lines, text); ++number) {
    if (trimmed(text).empty()) continue;
    const Json line = Json::parse(text, nullptr, false);
    const std::string file = line.is_object() ? text_of(line, {"file_name", "file"}) : "";
    if (file.empty()) {
      listing.left_out.push_back(fmt::format("{} line {}: is no JSON object with \"file_name\" and \"text\"", list.filename().string(), number));
      continue;
    }
    const std::string own = trimmed(text_of(line, {"text", "caption"})), condition = text_of(line, {"conditioning_image", "condition"});
    listing.pictures.push_back({list.parent_path() / file, own.empty() ? caption : own, condition.empty() ? fs::path() : list.parent_path() / condition});
  }
  return listing;
}

std::string caption_beside(fs::path picture, const std::string& caption) {
  for (const char* ending : {".txt", ".caption"}) {
    std::error_code error;
    if (!fs::is_regular_file(picture.replace_extension(ending), error)) continue;
    if (const std::string text = trimmed(read_file(picture, kLargestText)); !text.empty()) return text;
  }
  return caption;
}

}  // namespace

FolderListing list_pictures(const fs::path& folder, const std::string& caption) {
  std::error_code error;
  for (const char* name : {"metadata.jsonl", "captions.jsonl"})
    if (fs::is_regular_file(folder / name, error)) return from_lines(folder / name, caption);
  std::vector<fs::path> files;
  std::set<fs::path> runs;
  for (auto entry = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error); !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;  // of one entry, a link to nowhere for instance
    const bool is_folder = entry->is_directory(ignored);
    if (is_drawn_by_a_run(entry->path(), is_folder)) {
      if (is_folder) entry.disable_recursion_pending();
      runs.insert(entry->path().parent_path());
    } else if (is_picture_name(entry->path()) && entry->is_regular_file(ignored)) {
      files.push_back(entry->path());
    }
  }
  std::sort(files.begin(), files.end());
  FolderListing listing;
  listing.runs.assign(runs.begin(), runs.end());
  for (const fs::path& file : files) {
    try {
      listing.pictures.push_back({file, caption_beside(file, caption), {}});
    } catch (const Error& why) {
      listing.left_out.push_back(why.what());
    }
  }
  return listing;
}

}  // namespace attelier
