#include "app/session/style_library.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <string_view>
#include <thread>
#include <utility>

#include "core/base/file_lock.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/media/image.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestName = 80, kLongestNotes = 2000;
constexpr uint64_t kLargestPicture = uint64_t{256} << 20;
constexpr int64_t kThumbnailSide = 320;
constexpr std::chrono::seconds kPatience{10};  // with another process that changes the library
constexpr const char *kFacts = "style.json", *kThumbnail = "thumbnail.png", *kInversions = "trajectories";

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

/// Only one process at a time changes the library; the lock goes with its holder.
FileLock lock(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ExitCode::kBadInput, "{}: cannot be made: {}; free some space or set XDG_DATA_HOME", folder.string(), error.message());
  const auto start = std::chrono::steady_clock::now();
  while (true) {
    if (auto taken = FileLock::take(folder / "lock")) return std::move(*taken);
    if (std::chrono::steady_clock::now() - start > kPatience)
      fail(ExitCode::kTemporary, "{}: {} is changing the styles; try again when it is done", folder.string(), FileLock::holder(folder / "lock"));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

/// Whether it is UTF-8.
bool is_text(const std::string& text) { return dump(Json(text)).find("\xEF\xBF\xBD") == std::string::npos; }

/// Throws unless it is one line that a person may have written.
void check_name(const std::string& name) {
  const auto is_bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '/'; };
  if (name.empty() || name.size() > kLongestName || !is_text(name) || name.front() == ' ' || name.back() == ' ' || name.front() == '.' || std::any_of(name.begin(), name.end(), is_bad))
    fail(ExitCode::kUsage, "{} cannot be the name of a style; allowed are 1 to {} characters of one line without /, not begun with a dot and without spaces around",
         dump(Json(name.substr(0, 2 * kLongestName))), kLongestName);
}

/// A name as that of a file on any system.
std::string as_file_name(const std::string& name) {
  std::string safe;
  for (const char c : lower(name)) safe += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || static_cast<unsigned char>(c) >= 0x80 ? c : '-';
  return safe;
}

std::optional<StyleEntry> read_entry(const fs::path& folder) {
  try {
    const Json facts = parse_json_text(read_file(folder / kFacts, kLargestJson), (folder / kFacts).string());
    const auto text = [&](const char* key) {
      const auto found = facts.find(key);
      return found != facts.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    if (!facts.is_object() || facts.value("style", Json()) != Json(1)) return std::nullopt;
    StyleEntry entry;
    entry.name = text("name");
    check_name(entry.name);
    entry.notes = text("notes").substr(0, kLongestNotes);
    entry.sha256 = text("sha256");
    // A file of this folder, whatever was written there.
    entry.picture = folder / fs::path(text("picture")).filename();
    entry.thumbnail = folder / kThumbnail;
    if (const Json added = facts.value("added", Json()); added.is_number_integer()) entry.added = added.get<int64_t>();
    std::error_code error;
    if (!entry.picture.has_filename() || !fs::is_regular_file(entry.picture, error)) return std::nullopt;
    for (const fs::directory_entry& file : fs::directory_iterator(folder / kInversions, error)) {
      if (file.path().extension() != ".safetensors") continue;
      ++entry.inversions;
      entry.inversion_bytes += static_cast<int64_t>(file.file_size(error));
    }
    return entry;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void write_facts(const fs::path& folder, const StyleEntry& entry) {
  const Json facts = {{"style", 1}, {"name", entry.name}, {"notes", entry.notes}, {"picture", entry.picture.filename().string()}, {"sha256", entry.sha256}, {"added", entry.added}};
  write_file_atomically(folder / kFacts, dump(facts, 2) + "\n");
}

Image small(const Image& image) {
  const int64_t longest = std::max(image.width, image.height);
  if (longest <= kThumbnailSide) return to_rgb(image);
  const auto scaled = [&](int64_t length) { return std::max<int64_t>(1, length * kThumbnailSide / longest); };
  return resize_lanczos(to_rgb(image), scaled(image.width), scaled(image.height));
}

/// What died halfway; the lock is held, so nobody works on it.
void remove_leftovers(const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with(".") && entry.is_directory(error)) fs::remove_all(entry.path(), error);
}

}  // namespace

Json StyleEntry::to_json() const {
  return {{"name", name},   {"notes", notes}, {"picture", picture.string()},    {"thumbnail", thumbnail.string()},
          {"sha256", sha256}, {"added", added}, {"inversions", inversions}, {"inversion_bytes", inversion_bytes}};
}

StyleLibrary::StyleLibrary(fs::path folder) : folder_(std::move(folder)) {}
fs::path StyleLibrary::default_folder() { return data_folder() / "styles"; }

std::vector<StyleEntry> StyleLibrary::list(const std::string& words) const {
  std::vector<StyleEntry> entries;
  std::error_code error;
  for (const fs::directory_entry& folder : fs::directory_iterator(folder_, error)) {
    if (folder.path().filename().string().starts_with(".")) continue;
    std::optional<StyleEntry> entry = read_entry(folder.path());
    if (!entry) continue;
    const std::string text = lower(entry->name + " " + entry->notes);
    bool fits = true;
    std::string word;
    for (const char c : lower(words) + " ") {
      if (c != ' ') word += c;
      else fits = fits && text.find(std::exchange(word, "")) != std::string::npos;
    }
    if (fits) entries.push_back(std::move(*entry));
  }
  std::sort(entries.begin(), entries.end(), [](const StyleEntry& a, const StyleEntry& b) { return lower(a.name) < lower(b.name); });
  return entries;
}

std::optional<StyleEntry> StyleLibrary::find(const std::string& name) const {
  for (StyleEntry& entry : list())
    if (lower(entry.name) == lower(name)) return std::move(entry);
  return std::nullopt;
}

StyleEntry StyleLibrary::get(const std::string& name) const {
  if (auto entry = find(name)) return *entry;
  std::vector<std::string> names;
  for (const StyleEntry& entry : list()) names.push_back(entry.name);
  const std::string near = name.size() > kLongestName ? "" : nearest_name(name, names);
  const std::string shown = dump(Json(name.substr(0, kLongestName)));
  if (names.empty()) fail(ExitCode::kUsage, "there is no style {}: the library is empty; add one with: attelier styles add NAME FILE", shown);
  if (near.empty()) fail(ExitCode::kUsage, "there is no style {}; attelier styles list names those that there are", shown);
  fail(ExitCode::kUsage, "there is no style {}; did you mean \"{}\"?", shown, near);
}

fs::path StyleLibrary::find_picture(const std::string& sha256) const {
  for (const StyleEntry& entry : list())
    if (!sha256.empty() && entry.sha256 == sha256) return entry.picture;
  return {};
}

StyleEntry StyleLibrary::add(const std::string& name, const fs::path& picture, const std::string& notes) {
  check_name(name);
  const std::string bytes = read_file(picture, kLargestPicture);
  const Image image = decode_image(bytes, picture.string());
  const FileLock locked = lock(folder_);
  remove_leftovers(folder_);
  if (find(name)) fail(ExitCode::kUsage, "there is a style \"{}\" already; choose another name, or remove it first", name);
  // Files are read by their contents; the ending is for people.
  constexpr std::array<std::string_view, 7> kEndings = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"};
  const std::string given = lower(picture.extension().string()), extension = std::find(kEndings.begin(), kEndings.end(), given) == kEndings.end() ? ".png" : given;
  StyleEntry entry;
  entry.name = name;
  entry.notes = notes.substr(0, kLongestNotes);
  entry.sha256 = sha256(bytes);
  entry.added = static_cast<int64_t>(std::time(nullptr));
  const fs::path making = folder_ / ".new";
  fs::path made = folder_ / as_file_name(name);
  std::error_code error;
  for (int n = 2; fs::exists(made, error) || made.filename() == "lock"; ++n) made = folder_ / fmt::format("{}-{}", as_file_name(name), n);
  try {
    fs::create_directories(making / kInversions);
    entry.picture = made / (as_file_name(name) + extension);
    entry.thumbnail = made / kThumbnail;
    write_file_atomically(making / entry.picture.filename(), bytes);
    save_image(making / kThumbnail, small(image));
    write_facts(making, entry);
    fs::rename(making, made);
  } catch (const fs::filesystem_error& problem) {
    fs::remove_all(making, error);
    fail(ExitCode::kBadInput, "{}: cannot be written: {}; free some space or set XDG_DATA_HOME", made.string(), problem.code().message());
  } catch (...) {
    fs::remove_all(making, error);
    throw;
  }
  return entry;
}

StyleEntry StyleLibrary::change(const std::string& name, std::string StyleEntry::*field, const std::string& value) {
  StyleEntry entry = get(name);
  entry.*field = value;
  write_facts(entry.picture.parent_path(), entry);
  return entry;
}

StyleEntry StyleLibrary::rename(const std::string& name, const std::string& new_name) {
  check_name(new_name);
  const FileLock locked = lock(folder_);
  if (lower(new_name) != lower(name) && find(new_name)) fail(ExitCode::kUsage, "there is a style \"{}\" already; choose another name", new_name);
  return change(name, &StyleEntry::name, new_name);
}

StyleEntry StyleLibrary::annotate(const std::string& name, const std::string& notes) {
  const FileLock locked = lock(folder_);
  return change(name, &StyleEntry::notes, notes.substr(0, kLongestNotes));
}

void StyleLibrary::remove(const std::string& name) {
  const FileLock locked = lock(folder_);
  const fs::path folder = get(name).picture.parent_path(), gone = folder_ / ".gone";
  std::error_code error;
  fs::remove_all(gone, error);
  fs::rename(folder, gone, error);
  if (error) fail(ExitCode::kBadInput, "{}: cannot be removed: {}", folder.string(), error.message());
  fs::remove_all(gone, error);
}

std::string StyleLibrary::free_name(const std::string& wanted) const {
  std::string name;
  for (const char c : wanted) name += static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '/' ? ' ' : c;
  constexpr size_t kRoom = kLongestName - 5;  // for a number
  if (name.size() > kRoom) {
    size_t length = kRoom;
    while (length > 0 && (static_cast<unsigned char>(name[length]) & 0xC0) == 0x80) --length;  // no half characters
    name.resize(length);
  }
  name.erase(0, std::min(name.find_first_not_of(" ."), name.size()));
  name.resize(name.find_last_not_of(' ') + 1);
  if (!is_text(name) || name.empty()) name = "style";
  std::string free = name;
  for (int n = 2; find(free); ++n) free = fmt::format("{} {}", name, n);
  return free;
}

std::string resolve_style(const std::string& text) {
  std::error_code error;
  if (text.empty() || text.size() > kLongestName || fs::exists(text, error)) return text;
  const auto entry = StyleLibrary().find(text);
  return entry ? entry->picture.string() : text;
}

void resolve_styles(Json& job) {
  if (!job.is_object() || !job.contains("inputs") || !job["inputs"].is_object() || !job["inputs"].contains("style")) return;
  Json& styles = job["inputs"]["style"];
  const auto resolve = [](Json& one) {
    if (one.is_string()) one = resolve_style(one.get<std::string>());
  };
  if (styles.is_array()) std::for_each(styles.begin(), styles.end(), resolve);
  else resolve(styles);
}

}  // namespace attelier
