#include "app/session/autosave.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <set>

#include "core/base/files.h"
#include "core/base/json_text.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr int kMostInstances = 64;

/// The number of document-000012.json, 0 for other files.
int64_t number_of(const fs::path& file) {
  const std::string name = file.filename().string();
  if (!name.starts_with("document-") || file.extension() != ".json") return 0;
  return std::strtoll(name.c_str() + 9, nullptr, 10);
}

/// Newest first.
std::vector<fs::path> documents_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (number_of(entry.path()) > 0) files.push_back(entry.path());
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) { return number_of(a) > number_of(b); });
  return files;
}

Autosave::Saved read_saved(const fs::path& file) {
  const Json json = parse_json_text(read_file(file, kLargestJson), file.string());
  if (!json.is_object() || !json.contains("document") || !json.value("saved", Json()).is_number_integer()) fail(ExitCode::kBadInput, "{}: is no saved document", file.string());
  Autosave::Saved saved{document_from_json(json["document"]), json["saved"], file};
  const auto read = [&](const Json& name) { return name.is_string() ? Mask(load_image(file.parent_path() / fs::path(name.get<std::string>()).filename())) : Mask(); };
  const auto member = [](const Json& object, const std::string& key) { return object.is_object() ? object.value(key, Json()) : Json(); };
  Json masks = member(json, "masks");
  if (json.contains("mask")) masks = {{"generate", {{"mask", Json::array({json["mask"]})}}}};  // of the first version
  for (auto& [method, state] : saved.document.methods)
    for (auto& [input, list] : state.masks) {
      const Json names = member(member(masks, method), input);
      for (size_t i = 0; names.is_array() && i < std::min(names.size(), list.size()); ++i) list[i] = read(names[i]);
    }
  return saved;
}

/// By method and input, a list of names; null for a mask without size.
Json save_masks(const Document& document, const fs::path& folder) {
  Json masks = Json::object();
  for (const auto& [method, state] : document.methods)
    for (const auto& [input, list] : state.masks)
      if (std::any_of(list.begin(), list.end(), [](const Mask& mask) { return mask.width() > 0; }))
        for (const Mask& mask : list) masks[method][input].push_back(mask.width() > 0 ? Json(write_mask(mask, folder)) : Json());
  return masks;
}

void save(const Document& document, const fs::path& folder, int64_t number) {
  const Json json = {{"saved", static_cast<int64_t>(std::time(nullptr))}, {"document", to_json(document)}, {"masks", save_masks(document, folder)}};
  write_file_atomically(folder / fmt::format("document-{:06}.json", number), dump(json, 1) + "\n");
  // Older ones go, and masks that none of the rest names.
  std::vector<fs::path> files = documents_in(folder);
  std::error_code ignored;
  for (size_t i = Autosave::kKept; i < files.size(); ++i) fs::remove(files[i], ignored);
  files.resize(std::min(files.size(), Autosave::kKept));
  std::set<std::string> masks;
  for (const fs::path& file : files) {
    const Json old = Json::parse(read_file(file, kLargestJson), nullptr, false);
    if (!old.is_object()) continue;
    const Json names = Json{{"mask", old.value("mask", Json())}, {"masks", old.value("masks", Json())}}.flatten();
    for (const Json& name : names)
      if (name.is_string()) masks.insert(name.get<std::string>());
  }
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool stale = name.find(".tmp-") != std::string::npos || (name.starts_with("mask-") && !masks.contains(name));
    if (stale) fs::remove(entry.path(), ignored);
  }
}

}  // namespace

fs::path Autosave::default_folder() { return state_folder() / "autosave"; }

Autosave::Autosave(fs::path base, std::function<double()> clock) : base_(std::move(base)), clock_(std::move(clock)) {
  if (!clock_) clock_ = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
  for (int instance = 1; instance <= kMostInstances && !lock_; ++instance) {
    folder_ = base_ / std::to_string(instance);
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) fail(ExitCode::kBadInput, "{}: cannot be made: {}; work is not saved until it can", folder_.string(), error.message());
    lock_ = FileLock::take(folder_ / "lock");
  }
  if (!lock_) fail(ExitCode::kBadInput, "{}: {} instances run already", base_.string(), kMostInstances);
  if (const std::vector<fs::path> files = documents_in(folder_); !files.empty()) number_ = number_of(files.front());
}

Autosave::~Autosave() {
  if (saving_.valid()) saving_.wait();
}

void Autosave::changed(const Document& document) {
  last_change_ = clock_();
  if (!waiting_) first_change_ = last_change_;
  waiting_ = document;
}

std::optional<double> Autosave::tick() {
  collect();
  if (!waiting_) return std::nullopt;
  const double due = std::min(last_change_ + kPause, first_change_ + kPeriod) - clock_();
  if (due > 0) return due;
  if (saving_.valid()) return 0.1;
  start_save();
  return std::nullopt;
}

void Autosave::flush() {
  if (saving_.valid()) saving_.wait();
  collect();
  if (!waiting_) return;
  save(*waiting_, folder_, ++number_);
  waiting_.reset();
  trouble_.clear();
}

void Autosave::start_save() {
  saving_document_ = std::move(*waiting_);
  waiting_.reset();
  saving_ = std::async(std::launch::async, [document = saving_document_, folder = folder_, number = ++number_] { save(document, folder, number); });
}

void Autosave::collect() {
  if (!saving_.valid() || saving_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
  try {
    saving_.get();
    trouble_.clear();
  } catch (const std::exception& error) {
    trouble_ = error.what();
    if (!waiting_) changed(saving_document_);  // tried again after the usual rest
  }
}

std::optional<Autosave::Saved> Autosave::newest() const {
  std::optional<Saved> best;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(base_, error)) {
    std::optional<FileLock> lock;
    if (entry.path() != folder_ && !(lock = FileLock::take(entry.path() / "lock"))) continue;
    for (const fs::path& file : documents_in(entry.path())) {
      try {
        Saved saved = read_saved(file);
        if (!best || saved.time > best->time) best = std::move(saved);
        break;
      } catch (const Error&) {
        // Damaged: an older one may be whole.
      }
    }
  }
  return best;
}

void Autosave::discard() {
  if (saving_.valid()) saving_.wait();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(base_, error)) {
    std::optional<FileLock> lock;
    if (entry.path() != folder_ && !(lock = FileLock::take(entry.path() / "lock"))) continue;
    for (const auto& file : fs::directory_iterator(entry.path(), error))
      if (file.path().filename() != "lock") fs::remove(file.path(), error);
  }
}

}  // namespace attelier
