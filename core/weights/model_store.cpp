#include "core/weights/model_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/parameters.h"
#include "core/weights/lora.h"
#include "core/weights/model_files.h"
#include "core/weights/quote.h"
#include "core/weights/weight_files.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr uint64_t kLargestIndex = uint64_t{1} << 26;
constexpr int kVersion = 1;

// Held while the list is changed; the kernel lets go of it when the process ends, however it ends.
class IndexLock {
 public:
  explicit IndexLock(const fs::path& index) {
    std::error_code error;
    fs::create_directories(index.parent_path(), error);
    fs::path path = index;
    path += ".lock";
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0 || flock(descriptor_, LOCK_EX) != 0)
      fail(ExitCode::kBadInput, "{}: cannot be locked: {}; set XDG_DATA_HOME to a folder that can be written", path.string(), std::strerror(errno));
  }
  ~IndexLock() { close(descriptor_); }
  IndexLock(const IndexLock&) = delete;
  IndexLock& operator=(const IndexLock&) = delete;

 private:
  int descriptor_ = -1;
};

std::vector<StoredModel> read_index(const fs::path& index) {
  std::vector<StoredModel> models;
  std::error_code error;
  if (!fs::exists(index, error)) return models;
  const auto reject = [&](std::string_view what) {
    fail(ExitCode::kBadInput, "{}: the list of models {}; remove that file and add the models again", index.string(), what);
  };
  try {
    const Json json = Json::parse(read_file(index, kLargestIndex));
    if (json.at("version") != kVersion) reject(fmt::format("has version {}, this program knows {}", json.at("version").dump(), kVersion));
    for (const auto& [name, entry] : json.at("models").items())
      models.push_back({name, entry.at("path").get<std::string>(), entry.at("sha256"), entry.at("family"), entry.at("components"), entry.at("bytes")});
  } catch (const Json::exception& problem) {
    reject(fmt::format("cannot be understood ({})", problem.what()));
  }
  return models;  // JSON objects are sorted by name
}

void write_index(const fs::path& index, const std::vector<StoredModel>& models) {
  Json entries = Json::object();
  for (const StoredModel& model : models)
    entries[model.name] = {{"path", model.path.string()}, {"sha256", model.sha256}, {"family", model.family}, {"components", model.components}, {"bytes", model.bytes}};
  write_file_atomically(index, Json({{"version", kVersion}, {"models", entries}}).dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

bool looks_like_path(const std::string& text) { return text.find('/') != std::string::npos || text == "." || text == ".." || is_weight_name(text); }

void check_name(const std::string& name) {
  const bool is_plain = !name.empty() && name.size() <= 128 && std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (!is_plain || looks_like_path(name) || name.front() == '-' || name.front() == '.')
    fail(ExitCode::kUsage, "the name {} could be mistaken for a path or a flag; choose another with --name, without '/', a leading '-' or '.', or the ending of a weight file",
         in_quotes(name));
}

// A LoRA's file may be kept in the list like a model.
std::optional<StoredModel> as_lora(const fs::path& path, const Context* context) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  const auto source = open_tensors(path);
  std::vector<std::string> names;
  for (const auto& [name, info] : source->tensors()) names.push_back(name);
  if (!Lora::recognise(names)) return std::nullopt;
  Lora::open(path);
  int64_t done = 0;
  const auto total = static_cast<int64_t>(fs::file_size(path, error));
  const std::string hash = sha256_file(path, [&](uint64_t bytes) {
    if (context == nullptr) return;
    context->check_stop();
    context->report("hashing the LoRA", done += static_cast<int64_t>(bytes), total);
  });
  return StoredModel{"", path, hash, "lora", {"lora"}, total};
}

StoredModel examine(const fs::path& path, const Context* context) {
  if (std::optional<StoredModel> lora = as_lora(path, context)) return *lora;
  const ModelFiles files(path);
  // Opening every component's weights checks that they are there and readable.
  for (const std::string& component : files.components())
    if (!component.starts_with("tokenizer") && component != "scheduler" && component != "feature_extractor" && component != "safety_checker") files.weights(component);
  return {"", path, files.hash_again(context), files.family(), files.components(), files.bytes()};
}

const std::vector<std::string>& endings() {
  static const std::vector<std::string> all = {"", ".safetensors", ".ckpt"};
  return all;
}

bool holds_model(const fs::path& folder) {
  std::error_code error;
  for (const char* name : {"model_index.json", "config.json", "scheduler_config.json"})
    if (fs::exists(folder / name, error)) return true;
  for (const char* scale : {"x2", "x3", "x4"})  // upscalers, one for each scale
    if (fs::exists(folder / scale / "config.json", error)) return true;
  return fs::is_directory(folder / "unet", error);
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const bool is_file = entry.is_regular_file(error) && (entry.path().extension() == ".safetensors" || entry.path().extension() == ".ckpt");
    if (is_file) names.insert(entry.path().stem().string());
    if (entry.is_directory(error) && holds_model(entry.path())) names.insert(entry.path().filename().string());
  }
  return names;
}

// The folder's model of that name, or an empty path.
fs::path look_in(const fs::path& folder, const std::string& name) {
  std::error_code error;
  for (const std::string& ending : endings()) {
    const fs::path path = folder / (name + ending);
    const bool found = ending.empty() ? fs::is_directory(path, error) && holds_model(path) : fs::is_regular_file(path, error);
    if (found) return path;
  }
  return {};
}

// The folders before the list and those behind it.
std::vector<fs::path> chosen_folders(const fs::path& models_folder) {
  std::vector<fs::path> folders;
  if (!models_folder.empty()) folders.push_back(models_folder);
  const char* value = std::getenv("ATTELIER_MODELS");
  const std::string list = value != nullptr ? value : "";
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin) folders.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return folders;
}

std::vector<fs::path> standard_folders() { return {data_folder() / "models", assets_folder()}; }

}  // namespace

ModelStore::ModelStore(fs::path index) : index_(index.empty() ? data_folder() / "models.json" : std::move(index)) {}

std::vector<StoredModel> ModelStore::list() const { return read_index(index_); }

StoredModel ModelStore::find(const std::string& name) const {
  std::vector<std::string> names;
  for (StoredModel& model : list()) {
    if (model.name == name) return model;
    names.push_back(model.name);
  }
  const std::string near = nearest_name(name, names);
  fail(ExitCode::kUsage, "no model {} is in the list; {}", in_quotes(name),
       !near.empty()    ? fmt::format("did you mean \"{}\"?", near)
       : names.empty() ? std::string("it is empty: add one with 'attelier models add PATH'")
                       : fmt::format("it has {}", fmt::join(names, ", ")));
}

StoredModel ModelStore::add(const fs::path& path, const std::string& name, const Context* context) {
  std::error_code error;
  fs::path full = fs::absolute(path, error).lexically_normal();
  if (!full.has_filename()) full = full.parent_path();
  const bool is_folder = fs::is_directory(full, error);
  const std::string chosen = !name.empty() ? name : (is_folder ? full.filename() : full.stem()).string();
  check_name(chosen);
  StoredModel added = examine(full, context);
  added.name = chosen;

  const IndexLock lock(index_);
  std::vector<StoredModel> models = list();
  const auto place = std::find_if(models.begin(), models.end(), [&](const StoredModel& model) { return model.name == chosen; });
  if (place == models.end()) {
    models.push_back(added);
  } else {
    if (place->path != full)
      fail(ExitCode::kUsage, "the name \"{}\" is taken by {}; choose another with --name, or remove that model from the list first", chosen, place->path.string());
    *place = added;
  }
  write_index(index_, models);
  return added;
}

StoredModel ModelStore::remove(const std::string& name) {
  const IndexLock lock(index_);
  StoredModel removed = find(name);
  std::vector<StoredModel> models = list();
  std::erase_if(models, [&](const StoredModel& model) { return model.name == name; });
  write_index(index_, models);
  return removed;
}

std::string ModelStore::verify(const StoredModel& model, const Context* context) const {
  try {
    const StoredModel now = examine(model.path, context);
    if (now.sha256 == model.sha256) return "";
    return fmt::format("has changed: its SHA-256 is {}, it was {} when it was added; add it again if that is right", now.sha256, model.sha256);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& problem) {
    return problem.what();
  }
}

std::vector<fs::path> model_folders(const fs::path& models_folder) {
  std::vector<fs::path> folders = chosen_folders(models_folder);
  for (fs::path& folder : standard_folders()) folders.push_back(std::move(folder));
  return folders;
}

std::vector<std::string> known_models(const fs::path& models_folder) {
  std::set<std::string> names;
  for (const StoredModel& model : ModelStore().list()) names.insert(model.name);
  for (const fs::path& folder : model_folders(models_folder)) names.merge(names_in(folder));
  return {names.begin(), names.end()};
}

fs::path resolve_model(const std::string& name, const fs::path& models_folder) {
  if (name.empty()) fail(ExitCode::kModel, "no model is named; give a path or one of the names that 'attelier models list' shows");
  std::error_code error;
  if (!looks_like_path(name)) {
    for (const fs::path& folder : chosen_folders(models_folder))
      if (fs::path found = look_in(folder, name); !found.empty()) return found;
    for (const StoredModel& model : ModelStore().list())
      if (model.name == name) return model.path;
    for (const fs::path& folder : standard_folders())
      if (fs::path found = look_in(folder, name); !found.empty()) return found;
  }
  if (fs::exists(name, error)) return fs::absolute(name, error).lexically_normal();
  if (looks_like_path(name))
    fail(ExitCode::kModel, "the model {} does not exist; give the folder or file of a model, or one of the names that 'attelier models list' shows", in_quotes(name));
  const std::vector<std::string> known = known_models(models_folder);
  const std::string near = nearest_name(name, known);
  std::vector<std::string> places;
  for (const fs::path& folder : model_folders(models_folder)) places.push_back(folder.string());
  fail(ExitCode::kModel, "no model is named {}; {}. Looked in {} and in {}; add one with 'attelier models add PATH'", in_quotes(name),
       !near.empty()    ? fmt::format("did you mean \"{}\"?", near)
       : known.empty() ? std::string("none is known")
                       : fmt::format("known are {}", fmt::join(known, ", ")),
       ModelStore().index().string(), fmt::join(places, ", "));
}

}  // namespace attelier
