#include "app/session/settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <random>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/text/byte_pairs.h"
#include "pipelines/method.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

ParameterDescription describe(std::string name, ParameterType type, Json default_value, std::string label, std::string help, std::vector<std::string> choices = {}) {
  ParameterDescription description;
  description.name = std::move(name);
  description.label = std::move(label);
  description.help = std::move(help);
  description.type = type;
  description.default_value = std::move(default_value);
  description.choices = std::move(choices);
  return description;
}

std::vector<CommonSetting> make_common_settings() {
  ParameterDescription threads = describe("threads", ParameterType::kInteger, 0, "Threads", "CPU threads; 0 = all cores.");
  threads.minimum = 0;
  threads.maximum = 1024;
  return {
      {"model", "", describe("model", ParameterType::kText, "mini", "Model", "A name that `attelier models list` shows, a diffusers folder, or a checkpoint file.")},
      {"out", "output", describe("dir", ParameterType::kPath, ".", "Folder", "An existing folder for the pictures; - writes the one picture to standard output.")},
      {"name", "output",
       describe("pattern", ParameterType::kText, "{name}_{seed}_{index:04}.png", "File name", "Fields are {name} {method} {model} {seed} {index} {date}; {index:04} pads with zeros.")},
      {"exists", "output",
       describe("exists", ParameterType::kChoice, "number", "If the file exists", "number: take a free name; skip: keep it if the same job made it; overwrite; error.",
                {"number", "skip", "overwrite", "error"})},
      {"embed_job", "output", describe("embed_job", ParameterType::kBoolean, true, "Embed job", "Write the job into the PNG, so that `attelier run PICTURE` repeats it.")},
      {"record", "output", describe("record", ParameterType::kBoolean, false, "Record", "Write a record (job, timings, versions, hashes) beside each picture, as PICTURE.json.")},
      {"device", "run", describe("device", ParameterType::kChoice, "auto", "Device", "Where the model runs.", {"auto", "cpu", "cuda"})},
      {"dtype", "run",
       describe("dtype", ParameterType::kChoice, "auto", "Number format", "auto: float32 on the CPU, float16 on a GPU.", {"auto", "float32", "bfloat16", "float16"})},
      {"threads", "run", threads},
  };
}

void check_object(const Json& json, const std::string& pointer, const ParameterDescriptions& descriptions, std::vector<Problem>& problems) {
  resolve_parameters(descriptions, json, pointer, problems);
}

/// Everything wrong in a config.json.
std::vector<Problem> config_problems(const Json& config) {
  std::vector<Problem> problems;
  if (!config.is_object()) return {{"", fmt::format("is {}; expected an object", config.type_name())}};
  for (const auto& [key, value] : config.items()) {
    const std::string pointer = "/" + escaped_key(key);
    if (key == "model") {
      check_object({{"model", value}}, "", common_group(""), problems);
    } else if (key == "output" || key == "run") {
      check_object(value, pointer, common_group(key), problems);
    } else if (key == "params") {
      if (!value.is_object()) {
        problems.push_back({pointer, "is no object with a member per method"});
        continue;
      }
      for (const auto& [name, params] : value.items()) {
        const Method* method = find_method(name);
        if (method == nullptr)
          problems.push_back({pointer + "/" + escaped_key(name), "is no method"});
        else
          check_object(params, pointer + "/" + name, method->parameters, problems);
      }
    } else {
      problems.push_back({pointer, "is unknown; known are model, output, run, params"});
    }
  }
  return problems;
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

void read_variable(SettingsLayer& layer, const std::string& variable, const std::string& group, const ParameterDescription& description) {
  const char* text = std::getenv(variable.c_str());
  if (text == nullptr || *text == '\0') return;
  try {
    layer.set(group, description.name, parse_setting(description, description.name, text), variable);
  } catch (const Error& error) {
    fail(ExitCode::kUsage, "the environment's {}: {}", variable, error.what());
  }
}

}  // namespace

const std::vector<CommonSetting>& common_settings() {
  static const std::vector<CommonSetting> settings = make_common_settings();
  return settings;
}

ParameterDescriptions common_group(const std::string& group) {
  ParameterDescriptions descriptions;
  for (const CommonSetting& setting : common_settings())
    if (setting.group == group) descriptions.push_back(setting.description);
  return descriptions;
}

void SettingsLayer::set(const std::string& group, const std::string& key, Json value, const std::string& origin_of_value) {
  (group.empty() ? job[key] : job[group][key]) = std::move(value);
  origins[(group.empty() ? "/" : "/" + group + "/") + key] = origin_of_value;
}

std::vector<fs::path> config_files() { return {"/etc/xdg/attelier/config.json", config_folder() / "config.json"}; }

std::vector<SettingsLayer> config_layers(const std::string& method) {
  std::vector<SettingsLayer> layers;
  for (const fs::path& file : config_files()) {
    std::error_code error;
    if (!fs::is_regular_file(file, error)) continue;
    const std::string text = read_file(file, kLargestJson);
    Json config = parse_json_text(text, file.string());
    report_problems(config_problems(config), text, file.string(), ExitCode::kBadInput);
    Json params = config.contains("params") && config["params"].contains(method) ? config["params"][method] : Json::object();
    config["params"] = std::move(params);
    layers.push_back({file.string(), std::move(config), {}});
  }
  return layers;
}

SettingsLayer environment_layer(const std::string& method) {
  SettingsLayer layer{"the environment", Json::object(), {}};
  for (const CommonSetting& setting : common_settings()) read_variable(layer, variable_name("", setting.flag), setting.group, setting.description);
  if (const Method* one = find_method(method); one != nullptr)
    for (const ParameterDescription& description : one->parameters) read_variable(layer, variable_name(method, description.name), "params", description);
  return layer;
}

std::string variable_name(const std::string& method, const std::string& flag) { return "ATTELIER_" + upper(method.empty() ? flag : method + "_" + flag); }

Json parse_setting(const ParameterDescription& description, const std::string& flag, const std::string& text) {
  if (description.name == "seed" && description.type == ParameterType::kInteger && text == "random") return std::random_device{}();
  ParameterDescription named = description;
  named.name = flag;
  const bool path = description.type == ParameterType::kPath;
  return parse_parameter(named, path ? text : text::valid_utf8(text));
}

MergedSettings merge_layers(const std::vector<SettingsLayer>& layers) {
  MergedSettings merged;
  for (const SettingsLayer& layer : layers) {
    const auto note = [&](const std::string& pointer) {
      const auto found = layer.origins.find(pointer);
      merged.origins[pointer] = found == layer.origins.end() ? layer.origin : found->second;
    };
    for (const auto& [key, value] : layer.job.items()) {
      const bool group = key == "inputs" || key == "params" || key == "output" || key == "run";
      Json& target = merged.job[key];
      if (group && value.is_object() && (target.is_null() || target.is_object())) {
        if (target.is_null()) target = Json::object();
        for (const auto& [name, one] : value.items()) {
          target[name] = one;
          note("/" + key + "/" + escaped_key(name));
        }
      } else {
        target = value;
        note("/" + escaped_key(key));
      }
    }
  }
  return merged;
}

}  // namespace attelier
