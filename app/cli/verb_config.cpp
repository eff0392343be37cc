// attelier config show [METHOD] [--preset NAME] [--origin], attelier config presets [METHOD], attelier config schema
#include "app/cli/console.h"
#include "app/session/job.h"
#include "app/session/presets.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/weights/model_store.h"

namespace attelier {
namespace {

struct ShowOptions {
  std::string method, preset;
  bool origin = false, json = false;
};

struct Row {
  std::string pointer, variable;
  Json value;
  std::string origin;
};

/// The settings as a run without job and flags would find them.
std::vector<Row> effective_settings(const std::string& method, const std::string& preset) {
  std::vector<SettingsLayer> layers = config_layers(method);
  layers.push_back(preset_layer(method, preset));
  layers.push_back(environment_layer(method));
  const MergedSettings merged = merge_layers(layers);
  std::vector<Row> rows;
  const auto add = [&](const std::string& pointer, const std::string& variable, const Json& built_in) {
    const Json::json_pointer at(pointer);
    const bool given = merged.job.contains(at);
    rows.push_back({pointer, variable, given ? merged.job[at] : built_in, given ? merged.origins.at(pointer) : "built in"});
  };
  for (const CommonSetting& setting : common_settings()) add(setting.pointer(), variable_name("", setting.flag), setting.description.default_value);
  if (const Method* one = find_method(method); one != nullptr)
    for (const ParameterDescription& description : one->parameters) add("/params/" + description.name, variable_name(method, description.name), description.default_value);
  return rows;
}

std::vector<std::pair<std::string, std::filesystem::path>> places() {
  std::vector<std::pair<std::string, std::filesystem::path>> result;
  for (const auto& file : config_files()) result.emplace_back("settings", file);
  for (const auto& folder : model_folders()) result.emplace_back("models", folder);
  result.emplace_back("cache", cache_folder());
  result.emplace_back("assets", assets_folder());
  return result;
}

void check_method(const std::string& name) {
  if (name.empty() || find_method(name) != nullptr) return;
  std::vector<std::string> names;
  for (const Method* method : methods()) names.push_back(method->name);
  fail(ExitCode::kUsage, "\"{}\" is no method; there are {}", name, fmt::join(names, ", "));
}

void show(const ShowOptions& options) {
  check_method(options.method);
  if (!options.preset.empty() && options.method.empty()) fail(ExitCode::kUsage, "--preset {} belongs to a method; name it: attelier config show METHOD --preset {}", options.preset, options.preset);
  const std::vector<Row> rows = effective_settings(options.method, options.preset);
  if (options.json) {
    Json document = {{"settings", Json::array()}, {"places", Json::array()}};
    for (const Row& row : rows) document["settings"].push_back({{"at", row.pointer}, {"value", row.value}, {"origin", row.origin}, {"variable", row.variable}});
    for (const auto& [what, path] : places()) document["places"].push_back({{"what", what}, {"path", path.string()}, {"exists", std::filesystem::exists(path)}});
    fmt::print("{}\n", dump(document, 2));
    return;
  }
  for (const Row& row : rows) {
    if (options.origin)
      fmt::print("{:<28} {:<30} {:<40} {}\n", row.pointer, dump(row.value), row.origin, row.variable);
    else
      fmt::print("{:<28} {}\n", row.pointer, dump(row.value));
  }
  fmt::print("\n");
  for (const auto& [what, path] : places()) fmt::print("{:<9} {}{}\n", what, path.string(), std::filesystem::exists(path) ? "" : " (absent)");
}

/// A preset that cannot be read is listed with what is wrong with it.
void list_presets(const ShowOptions& options) {
  check_method(options.method);
  Json presets = Json::array();
  for (const Method* method : methods()) {
    if (!options.method.empty() && method->name != options.method) continue;
    for (const std::string& name : preset_names(method->name)) {
      Json line = {{"method", method->name}, {"name", name}, {"file", preset_file(method->name, name).string()}};
      try {
        line["params"] = load_preset(method->name, name);
      } catch (const Error& error) {
        line["problem"] = error.what();
      }
      presets.push_back(std::move(line));
    }
  }
  if (options.json) {
    fmt::print("{}\n", dump(presets, 2));
    return;
  }
  for (const Json& line : presets)
    fmt::print("{:<12} {:<24} {}\n", line["method"].get<std::string>(), line["name"].get<std::string>(), line.contains("problem") ? line["problem"].get<std::string>() : dump(line["params"]));
}

}  // namespace

void add_config_verb(CLI::App& app, Invocation&) {
  CLI::App* verb = app.add_subcommand("config", "Show the settings in force and where they come from");
  verb->require_subcommand(1);
  auto options = std::make_shared<ShowOptions>();
  CLI::App* show_verb = verb->add_subcommand("show", "The settings in force: built in < /etc/xdg/attelier < your config.json < preset < environment (jobs and flags come on top)");
  show_verb->add_option("method", options->method, "Show this method's parameters too")->type_name("METHOD");
  show_verb->add_option("--preset", options->preset, "As with this preset of the method")->type_name("NAME");
  show_verb->add_flag("--origin", options->origin, "Where each value comes from, and the variable that sets it");
  show_verb->add_flag("--json", options->json, "The same as JSON");
  show_verb->callback([options] { show(*options); });
  CLI::App* presets_verb = verb->add_subcommand("presets", "The presets that were saved in the window, which `--preset NAME` uses");
  presets_verb->add_option("method", options->method, "Of this method alone")->type_name("METHOD");
  presets_verb->add_flag("--json", options->json, "The same as JSON");
  presets_verb->callback([options] { list_presets(*options); });
  CLI::App* schema_verb = verb->add_subcommand("schema", "The JSON Schema of job files");
  schema_verb->callback([] { fmt::print("{}\n", dump(job_schema(), 2)); });
}

}  // namespace attelier
