#include "app/session/presets.h"

#include <algorithm>

#include "app/session/document.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/text/byte_pairs.h"
#include "pipelines/method.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestName = 80, kMostPresets = 1000;

const Method& method_of(const std::string& name) {
  const Method* const method = find_method(name);
  if (method == nullptr) fail(ExitCode::kUsage, "there is no method \"{}\"", name);
  return *method;
}

bool belongs_to_picture(const std::string& parameter) { return parameter == "prompt" || parameter == "seed"; }

/// A name is a file's name, too: no folders, nothing hidden, nothing that a terminal would act on.
void check_name(const std::string& name) {
  const bool has_control = std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127 || c == '/'; });
  if (name.empty() || name.size() > kLongestName || name.front() == '.' || name.front() == ' ' || name.back() == ' ' || has_control || text::valid_utf8(name) != name)
    fail(ExitCode::kUsage, "\"{}\" cannot name a preset; allowed are 1 to {} bytes of text without \"/\" that begin with no dot and no space", text::valid_utf8(name), kLongestName);
}

fs::path folder_of(const std::string& method) { return config_folder() / "presets" / method; }

[[noreturn]] void no_such_preset(const std::string& method, const std::string& name) {
  const std::vector<std::string> names = preset_names(method);
  const std::string known = names.empty() ? fmt::format("it has none yet; files of them lie in {}", folder_of(method).string()) : fmt::format("there are {}", fmt::join(names, ", "));
  fail(ExitCode::kUsage, "{} has no preset \"{}\"; {}", method, text::valid_utf8(name), known);
}

}  // namespace

fs::path preset_file(const std::string& method, const std::string& name) {
  check_name(name);
  return folder_of(method_of(method).name) / (name + ".json");
}

std::vector<std::string> preset_names(const std::string& method) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder_of(method_of(method).name), error), end; !error && entry != end && names.size() < kMostPresets; entry.increment(error)) {
    const std::string name = entry->path().stem().string();
    if (entry->path().extension() != ".json") continue;
    try {
      check_name(name);
      names.push_back(name);
    } catch (const Error&) {  // it was not saved as a preset
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Json preset_params(const std::string& method, const Json& params) {
  Json kept = Json::object();
  for (const ParameterDescription& description : method_of(method).parameters) {
    const auto found = params.find(description.name);
    if (found != params.end() && *found != description.default_value && !belongs_to_picture(description.name)) kept[description.name] = *found;
  }
  return kept;
}

Json load_preset(const std::string& method, const std::string& name) {
  const fs::path file = preset_file(method, name);
  std::error_code error;
  if (!fs::is_regular_file(file, error)) no_such_preset(method, name);
  const std::string text = read_file(file, kLargestJson);
  const Json preset = parse_json_text(text, file.string());
  std::vector<Problem> problems;
  if (!preset.is_object()) {
    problems.push_back({"", fmt::format("is {}; expected an object", preset.type_name())});
  } else {
    for (const auto& [key, value] : preset.items())
      if (key != "preset" && key != "method" && key != "params") problems.push_back({"/" + escaped_key(key), "is unknown; known are preset, method, params"});
    if (preset.value("preset", Json()) != Json(1)) problems.push_back({"/preset", "is not 1, the version that this program reads"});
    if (preset.value("method", Json()) != Json(method)) problems.push_back({"/method", fmt::format("is not \"{}\", whose folder the file lies in", method)});
    if (!preset.contains("params") || !preset["params"].is_object()) problems.push_back({"/params", "is no object"});
    else resolve_parameters(method_of(method).parameters, preset["params"], "/params", problems);
  }
  report_problems(problems, text, file.string(), ExitCode::kBadInput);
  return preset["params"];
}

void save_preset(const std::string& method, const std::string& name, const Json& params) {
  const fs::path file = preset_file(method, name);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) fail(ExitCode::kBadInput, "{}: cannot be made: {}", file.parent_path().string(), error.message());
  write_file_atomically(file, dump({{"preset", 1}, {"method", method}, {"params", preset_params(method, params)}}, 2) + "\n");
}

void rename_preset(const std::string& method, const std::string& from, const std::string& to) {
  const fs::path old_file = preset_file(method, from), new_file = preset_file(method, to);
  std::error_code error;
  if (!fs::exists(old_file, error)) no_such_preset(method, from);
  if (from == to) return;
  if (fs::exists(new_file, error)) fail(ExitCode::kUsage, "{} has a preset \"{}\" already; choose another name, or delete it first", method, to);
  fs::rename(old_file, new_file, error);
  if (error) fail(ExitCode::kBadInput, "{}: cannot be renamed: {}", old_file.string(), error.message());
}

void remove_preset(const std::string& method, const std::string& name) {
  const fs::path file = preset_file(method, name);
  std::error_code error;
  const bool removed = fs::remove(file, error);
  if (error) fail(ExitCode::kBadInput, "{}: cannot be removed: {}", file.string(), error.message());
  if (!removed) no_such_preset(method, name);
}

SettingsLayer preset_layer(const std::string& method, const std::string& name) {
  if (name.empty()) return {};
  return {"the preset " + name, {{"params", load_preset(method, name)}}, {}};
}

std::unique_ptr<Command> apply_preset(const Document& document, const std::string& name) {
  const std::string method = document.method;
  const Document fresh = new_document(method);
  Json params = fresh.state().params;
  if (!name.empty()) params.update(load_preset(method, name));
  for (const auto& [parameter, value] : document.state().params.items())
    if (belongs_to_picture(parameter)) params[parameter] = value;
  return set_parameters(document, name.empty() ? "Defaults" : "Preset " + name, std::move(params));
}

}  // namespace attelier
