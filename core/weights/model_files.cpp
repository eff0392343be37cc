#include "core/weights/model_files.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>

#include "core/base/files.h"
#include "core/weights/file_hashes.h"
#include "core/weights/layouts.h"
#include "core/weights/lora.h"
#include "core/weights/quote.h"
#include "core/weights/recognise.h"
#include "core/weights/weight_files.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr uint64_t kLargestConfig = uint64_t{1} << 24;
constexpr const char* kPipelineIndex = "model_index.json";
constexpr const char* kConfig = "config.json";
constexpr const char* kSchedulerConfig = "scheduler_config.json";
constexpr std::array kTokenizerFiles = {"vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"};

// What a config.json says it is, and the component that this runtime has for it.
struct ComponentClass {
  const char* key;
  const char* value;
  const char* component;
};
constexpr std::array kClasses = {
    ComponentClass{"_class_name", "UNet2DConditionModel", "unet"},
    ComponentClass{"_class_name", "AutoencoderKL", "vae"},
    ComponentClass{"_class_name", "ControlNetModel", "controlnet"},
    ComponentClass{"_class_name", "MotionAdapter", "motion_adapter"},
    ComponentClass{"architectures", "CLIPTextModel", "text_encoder"},
    ComponentClass{"architectures", "CLIPTextModelWithProjection", "text_encoder_2"},
    ComponentClass{"architectures", "CLIPModel", "text_encoder"},
    ComponentClass{"architectures", "LlavaForConditionalGeneration", "language_model"},
    ComponentClass{"architectures", "LlavaLlamaForCausalLM", "language_model"},
    ComponentClass{"architectures", "ViTForImageClassification", "backbone"},
    ComponentClass{"_class_name", "AttelierJudge", "judge"},
    ComponentClass{"architecture", "rgt", "upscaler"},
    ComponentClass{"architecture", nullptr, "backbone"},
};

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool has_tokenizer(const fs::path& folder) { return is_file(folder / "merges.txt") || is_file(folder / "tokenizer.json"); }

/// Python's json module writes -Infinity, Infinity and NaN as bare words (diffusers' lambda_min_clipped); they are put in quotes, outside texts.
std::string with_quoted_words(const std::string& text) {
  constexpr std::string_view kWords[] = {"-Infinity", "Infinity", "NaN"};
  std::string result;
  bool in_text = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto starts_here = [&](std::string_view word) { return text.compare(i, word.size(), word) == 0; };
    const auto* word = in_text ? std::end(kWords) : std::find_if(std::begin(kWords), std::end(kWords), starts_here);
    if (word != std::end(kWords)) {
      result += fmt::format("\"{}\"", *word);
      i += word->size() - 1;
      continue;
    }
    result += text[i];
    if (in_text && text[i] == '\\' && i + 1 < text.size())
      result += text[++i];
    else if (text[i] == '"')
      in_text = !in_text;
  }
  return result;
}

Json read_config(const fs::path& path) {
  std::string text;
  try {
    text = read_file(path, kLargestConfig);
  } catch (const Error& error) {
    throw Error(ExitCode::kModel, error.what());
  }
  Json json;
  try {
    json = Json::parse(with_quoted_words(text));
  } catch (const Json::parse_error& error) {
    fail(ExitCode::kModel, "{}: is not valid JSON, at byte {}; fetch or write the file again", path.string(), error.byte);
  } catch (const Json::exception& error) {  // a number beyond a double
    fail(ExitCode::kModel, "{}: is not valid JSON ({}); fetch or write the file again", path.string(), error.what());
  }
  if (!json.is_object()) fail(ExitCode::kModel, "{}: is {}; a config is a JSON object", path.string(), json.type_name());
  return json;
}

std::string component_of(const Json& config, const fs::path& file) {
  for (const ComponentClass& entry : kClasses) {
    const auto found = config.find(entry.key);
    if (found == config.end()) continue;
    const Json values = found->is_array() ? *found : Json::array({*found});
    for (const Json& value : values)
      if (value.is_string() && (entry.value == nullptr || value == entry.value)) return entry.component;
  }
  std::vector<std::string> said;
  for (const char* key : {"_class_name", "architectures", "architecture", "model_type"})
    if (config.contains(key)) said.push_back(fmt::format("\"{}\": {}", key, config[key].dump()));
  fail(ExitCode::kModel,
       "{}: {}; known are \"_class_name\": UNet2DConditionModel, AutoencoderKL, ControlNetModel, MotionAdapter, and \"architectures\": CLIPTextModel, "
       "CLIPTextModelWithProjection, ViTForImageClassification, and \"architecture\": biformer, vitaev2_vsa, rgt",
       file.string(), said.empty() ? std::string("does not say which model it is (\"_class_name\", \"architectures\" or \"architecture\" is missing)")
                                   : fmt::format("says {}, which is not supported", fmt::join(said, ", ")));
}

bool wants_projection(const Json& config) {
  const auto found = config.find("architectures");
  return found != config.end() && found->is_array() && std::find(found->begin(), found->end(), "CLIPTextModelWithProjection") != found->end();
}

// The other name of a text encoder or tokenizer, "" for all else.
std::string other_name(const std::string& component) {
  for (const std::string base : {"text_encoder", "tokenizer"}) {
    if (component == base) return base + "_2";
    if (component == base + "_2") return base;
  }
  return "";
}

}  // namespace

struct ModelFiles::Component {
  fs::path folder;       // empty for a component inside a single file
  fs::path weight_file;  // empty: to be found in the folder
  std::mutex mutex;
  std::optional<Json> config;
  std::shared_ptr<const TensorSource> tensors;
};

ModelFiles::ModelFiles(const fs::path& path) : path_(path) {
  std::error_code error;
  if (!fs::exists(path, error))
    fail(ExitCode::kModel, "{}: does not exist; give the folder or file of a model, or a name that 'attelier models list' shows", path.string());
  is_folder_ = is_folder(path);
  if (is_folder_)
    open_folder();
  else
    open_single_file();
}

ModelFiles::~ModelFiles() = default;

void ModelFiles::open_folder() {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, error)) {
    const fs::path folder = entry.path();
    if (!is_folder(folder) || !(is_file(folder / kConfig) || is_file(folder / kSchedulerConfig) || has_tokenizer(folder))) continue;
    auto component = std::make_unique<Component>();
    component->folder = folder;
    components_.emplace(folder.filename().string(), std::move(component));
  }
  if (error) fail(ExitCode::kModel, "{}: cannot be listed: {}", path_.string(), error.message());
  const auto add_root = [&](const std::string& name) {
    auto component = std::make_unique<Component>();
    component->folder = path_;
    components_.emplace(name, std::move(component));
  };
  if (is_file(path_ / kPipelineIndex)) {
    const Json index = read_config(path_ / kPipelineIndex);
    for (const auto& [name, value] : index.items()) {
      const bool is_component = value.is_array() && value.size() == 2 && value[0].is_string();
      if (is_component && !components_.contains(name)) promised_.push_back(name);
    }
  } else {
    if (is_file(path_ / kConfig)) add_root(component_of(read_config(path_ / kConfig), path_ / kConfig));
    if (is_file(path_ / kSchedulerConfig)) add_root("scheduler");
    if (has_tokenizer(path_)) add_root("tokenizer");
  }
  if (!components_.empty()) return;

  std::vector<std::string> weights;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, error))
    if (is_weight_name(entry.path())) weights.push_back(entry.path().filename().string());
  std::sort(weights.begin(), weights.end());
  const std::string next = weights.empty() ? "choose the folder that holds model_index.json"
                                           : fmt::format("its file {} may be a model itself: give that path, or put the config.json beside it", in_quotes(weights.front()));
  fail(ExitCode::kModel, "{}: is no model: it has neither {} with the folders of components (unet, vae, text_encoder, tokenizer, scheduler) nor a {} of one component; {}",
       path_.string(), kPipelineIndex, kConfig, next);
}

void ModelFiles::open_component_folder(const fs::path& config_file, const fs::path& weight_file) {
  auto component = std::make_unique<Component>();
  component->folder = config_file.parent_path();
  component->weight_file = weight_file;
  component->config = read_config(config_file);
  const std::string name = component_of(*component->config, config_file);
  components_.emplace(name, std::move(component));
}

void ModelFiles::open_single_file() {
  const std::shared_ptr<const TensorSource> file = open_tensors(path_);
  ComponentTensors found = find_components(file);
  const fs::path config_file = path_.parent_path() / kConfig;
  const bool whole = found.contains("unet") && found.size() > 1;
  if (!whole && is_file(config_file)) return open_component_folder(config_file, path_);
  if (found.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, info] : file->tensors()) names.push_back(name);
    if (Lora::recognise(names)) fail(ExitCode::kModel, "{}: is a LoRA, which changes a model but is none; choose a model and give this file with --lora", path_.string());
    fail(ExitCode::kModel,
         "{}: its {} tensors (the first is {}) are no model that is known: SD1, SD2 or SDXL (model.diffusion_model.*), ControlNet, or one of their parts; for "
         "another network put its config.json beside it",
         path_.string(), names.size(), names.empty() ? "none" : in_quotes(names.front()));
  }
  std::string family, prediction;
  const auto network = found.find(found.contains("unet") ? "unet" : "controlnet");
  if (network != found.end()) {
    family = recognise_family(*network->second);
    prediction = recognise_prediction(*file, family);
  }
  if (found.contains("unet")) scheduler_ = default_scheduler(*file, family);
  for (auto& [name, tensors] : found) {
    auto component = std::make_unique<Component>();
    component->config = recognise_config(name, *tensors, defaults_of(family, prediction));
    component->tensors = std::move(tensors);
    components_.emplace(name, std::move(component));
  }
}

std::vector<std::string> ModelFiles::components() const {
  std::vector<std::string> names;
  for (const auto& [name, component] : components_) names.push_back(name);
  return names;
}

bool ModelFiles::has(const std::string& component) const {
  if (components_.contains(component)) return true;
  return !components_.contains("unet") && components_.contains(other_name(component));
}

ModelFiles::Component& ModelFiles::component(const std::string& name) const {
  auto found = components_.find(name);
  if (found == components_.end() && has(name)) found = components_.find(other_name(name));
  if (found != components_.end()) return *found->second;
  if (std::find(promised_.begin(), promised_.end(), name) != promised_.end())
    fail(ExitCode::kModel, "{}: its {} lists \"{}\", but {} is missing or has no {}; fetch that folder as well", path_.string(), kPipelineIndex, name,
         (path_ / name).string(), name == "scheduler" ? kSchedulerConfig : name.starts_with("tokenizer") ? "merges.txt" : kConfig);
  fail(ExitCode::kModel, "{}: has no \"{}\"; it has {}", path_.string(), name, fmt::join(components(), ", "));
}

Json ModelFiles::config(const std::string& name) const {
  Component& found = component(name);
  const std::scoped_lock lock(found.mutex);
  if (!found.config) {
    if (!is_file(found.folder / kConfig))
      fail(ExitCode::kModel, "{}: is missing, so the sizes of \"{}\" are unknown; put the model's own config.json there", (found.folder / kConfig).string(), name);
    found.config = read_config(found.folder / kConfig);
  }
  return *found.config;
}

std::shared_ptr<const TensorSource> ModelFiles::weights(const std::string& name) const {
  Component& found = component(name);
  const bool with_projection = name.starts_with("text_encoder") && wants_projection(config(name));
  const std::scoped_lock lock(found.mutex);
  if (!found.tensors) {
    const fs::path file = found.weight_file.empty() ? find_weight_file(found.folder) : found.weight_file;
    found.tensors = standard_names(name, open_tensors(file), with_projection);
  }
  return found.tensors;
}

fs::path ModelFiles::tokenizer_folder(const std::string& name) const {
  const bool is_promised = std::find(promised_.begin(), promised_.end(), name) != promised_.end();
  if (!has(name) && !is_promised) return {};
  return component(name).folder;
}

Json ModelFiles::scheduler_config() const {
  if (!scheduler_.is_null()) return scheduler_;
  if (!components_.contains("scheduler") && components_.contains("unet") && promised_.empty()) return default_scheduler(*weights("unet"), family());
  const fs::path file = component("scheduler").folder / kSchedulerConfig;
  if (!is_file(file)) fail(ExitCode::kModel, "{}: is missing; put the model's own file there", file.string());
  return read_config(file);
}

std::string ModelFiles::family() const {
  if (components_.contains("unet")) return recognise_family(*weights("unet"));
  if (components_.contains("controlnet")) return "controlnet-" + recognise_family(*weights("controlnet"));
  const std::string& name = components_.begin()->first;
  return name == "x2" || name == "x3" || name == "x4" ? "upscaler" : name;  // one folder a scale
}

std::vector<fs::path> ModelFiles::files() const {
  if (!is_folder_) return {};
  std::vector<fs::path> files;
  const auto add = [&](const fs::path& file) {
    if (is_file(file)) files.push_back(file.lexically_relative(path_));
  };
  add(path_ / kPipelineIndex);
  for (const auto& [name, component] : components_) {
    for (const char* file : {kConfig, kSchedulerConfig}) add(component->folder / file);
    for (const char* file : kTokenizerFiles) add(component->folder / file);
    if (!is_file(component->folder / kConfig)) continue;
    try {
      for (const fs::path& file : with_shards(find_weight_file(component->folder))) add(file);
    } catch (const Error&) {
      // A component that was never fetched (a safety checker): using it is an error, listing the rest is not.
    }
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

int64_t ModelFiles::bytes() const {
  std::error_code error;
  if (!is_folder_) return static_cast<int64_t>(fs::file_size(path_, error));
  int64_t sum = 0;
  for (const fs::path& file : files()) sum += static_cast<int64_t>(fs::file_size(path_ / file, error));
  return sum;
}

std::string ModelFiles::hash(const Context* context) const { return hash_files(true, context); }
std::string ModelFiles::hash_again(const Context* context) const { return hash_files(false, context); }

std::string ModelFiles::hash_files(bool from_cache, const Context* context) const {
  const int64_t total = context == nullptr ? 0 : bytes();
  int64_t done = 0;
  const auto progress = [&](uint64_t bytes) {
    if (context == nullptr) return;
    context->check_stop();
    context->report("hashing the model", done += static_cast<int64_t>(bytes), total);
  };
  const auto one = [&](const fs::path& file) {
    try {
      return from_cache ? remembered_sha256(file, progress) : sha256_file(file, progress);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      throw Error(ExitCode::kModel, error.what());
    }
  };
  if (!is_folder_) return one(path_);
  std::string lines;
  for (const fs::path& file : files()) lines += fmt::format("{}  {}\n", one(path_ / file), file.generic_string());
  return sha256(lines);
}

}  // namespace attelier
