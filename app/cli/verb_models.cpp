// attelier models add|list|info|verify|remove
#include <set>

#include "app/cli/console.h"
#include "core/base/json_text.h"
#include "core/weights/model_files.h"
#include "core/weights/model_store.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string path, name, models_folder;
  std::vector<std::string> names;
  bool json = false;
};

/// 1234567 -> "1.2 MB".
std::string size_text(int64_t bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1000;
  return fmt::format(unit == 0 ? fmt::runtime("{:.0f} {}") : fmt::runtime("{:.1f} {}"), value, units[unit]);
}

Json to_json(const StoredModel& model) {
  return {{"name", model.name},     {"path", model.path.string()},     {"sha256", model.sha256.empty() ? Json() : Json(model.sha256)},
          {"family", model.family}, {"components", model.components}, {"bytes", model.bytes}};
}

/// A model that lies in one of the folders without being in the list. Not hashed: that may take long.
StoredModel found_model(const std::string& name, const fs::path& models_folder) {
  const fs::path path = resolve_model(name, models_folder);
  try {
    const ModelFiles files(path);
    return {name, path, "", files.family(), files.components(), files.bytes()};
  } catch (const Error&) {
    return {name, path, "", "unreadable", {}, 0};
  }
}

void print_table(const std::vector<StoredModel>& models) {
  size_t name_width = 4, family_width = 6;
  for (const StoredModel& model : models) {
    name_width = std::max(name_width, model.name.size());
    family_width = std::max(family_width, model.family.size());
  }
  const auto row = [&](const std::string& name, const std::string& family, const std::string& size, const std::string& hash, const std::string& path) {
    fmt::print("{:<{}}  {:<{}}  {:>9}  {:<10}  {}\n", name, name_width, family, family_width, size, hash, path);
  };
  row("NAME", "FAMILY", "SIZE", "SHA-256", "PATH");
  for (const StoredModel& model : models) row(model.name, model.family, size_text(model.bytes), model.sha256.empty() ? "-" : model.sha256.substr(0, 10), model.path.string());
}

void list(const Options& options) {
  std::vector<StoredModel> models = ModelStore().list();
  std::vector<std::string> listed;
  for (const StoredModel& model : models) listed.push_back(model.name);
  for (const std::string& name : known_models(options.models_folder))
    if (std::find(listed.begin(), listed.end(), name) == listed.end()) models.push_back(found_model(name, options.models_folder));
  if (options.json) {
    Json document = {{"models", Json::array()}, {"folders", Json::array()}};
    for (const StoredModel& model : models) document["models"].push_back(to_json(model));
    for (const fs::path& folder : model_folders(options.models_folder)) document["folders"].push_back(folder.string());
    fmt::print("{}\n", dump(document, 2));
    return;
  }
  if (!models.empty()) return print_table(models);
  std::vector<std::string> folders;
  for (const fs::path& folder : model_folders(options.models_folder)) folders.push_back(folder.string());
  fmt::print(stderr, "No model is known. Looked in {}, and in the list {}.\nAdd one with: attelier models add PATH\n", fmt::join(folders, ", "), ModelStore().index().string());
}

void add(const Options& options, const Context& context) {
  const StoredModel added = ModelStore().add(options.path, options.name, &context);
  if (options.json)
    fmt::print("{}\n", dump(to_json(added), 2));
  else
    print_table({added});
}

void info(const Options& options, const Context& context) {
  const fs::path path = resolve_model(options.path, options.models_folder);
  const ModelFiles files(path);
  Json document = {{"path", path.string()}, {"family", files.family()}, {"bytes", files.bytes()}, {"sha256", files.hash(&context)}, {"components", Json::object()}};
  for (const std::string& component : files.components()) {
    const bool has_weights = !component.starts_with("tokenizer") && component != "scheduler";
    if (!has_weights) {
      document["components"][component] = Json::object();
      continue;
    }
    const auto tensors = files.weights(component);
    int64_t parameters = 0;
    std::map<std::string, int64_t> dtypes;
    for (const auto& [name, tensor] : tensors->tensors()) {
      parameters += c10::multiply_integers(tensor.shape);
      ++dtypes[c10::toString(tensor.dtype)];
    }
    document["components"][component] = {{"tensors", tensors->tensors().size()}, {"parameters", parameters}, {"dtypes", dtypes}, {"file", tensors->path().string()}};
  }
  if (files.has("unet")) document["scheduler"] = files.scheduler_config().value("_class_name", std::string());
  if (options.json) {
    fmt::print("{}\n", dump(document, 2));
    return;
  }
  fmt::print("{}\nfamily   {}\nsize     {}\nSHA-256  {}\n", path.string(), files.family(), size_text(files.bytes()), document["sha256"].get<std::string>());
  for (const auto& [name, component] : document["components"].items())
    if (component.contains("tensors"))
      fmt::print("{:<16} {:>5} tensors {:>13} parameters  {}\n", name, component["tensors"].get<size_t>(), component["parameters"].get<int64_t>(),
                 fs::path(component["file"].get<std::string>()).filename().string());
    else
      fmt::print("{}\n", name);
}

void verify(const Options& options, Invocation& invocation) {
  const ModelStore store;
  std::vector<StoredModel> models;
  if (options.names.empty())
    models = store.list();
  else
    for (const std::string& name : options.names) models.push_back(store.find(name));
  const Context context = invocation.context();
  Json document = Json::array();
  for (const StoredModel& model : models) {
    const std::string problem = store.verify(model, &context);
    if (!problem.empty()) invocation.exit_code = static_cast<int>(ExitCode::kModel);
    document.push_back({{"name", model.name}, {"ok", problem.empty()}, {"problem", problem.empty() ? Json() : Json(problem)}});
    if (!options.json) fmt::print("{}: {}\n", model.name, problem.empty() ? "ok" : problem);
  }
  if (options.json) fmt::print("{}\n", dump({{"models", document}}, 2));
  if (models.empty() && !options.json) fmt::print(stderr, "The list is empty: nothing to verify. Add a model with: attelier models add PATH\n");
}

void remove(const Options& options) {
  ModelStore store;
  const std::set<std::string> names(options.names.begin(), options.names.end());
  for (const std::string& name : names) store.find(name);
  Json document = Json::array();
  for (const std::string& name : names) {
    const StoredModel removed = store.remove(name);
    document.push_back(to_json(removed));
    if (!options.json) fmt::print("{} is no longer in the list; its files stay at {}\n", removed.name, removed.path.string());
  }
  if (options.json) fmt::print("{}\n", dump({{"removed", document}}, 2));
}

}  // namespace

void add_models_verb(CLI::App& app, Invocation& invocation) {
  auto* verb = app.add_subcommand("models", "List, add, check and remove models");
  verb->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto subcommand = [&](const char* name, const char* help) { return add_json_subcommand(*verb, name, help, options->json); };

  CLI::App* list_verb = subcommand("list", "The models in the list and in the models folders");
  list_verb->add_option("--models-dir", options->models_folder, "Look in this folder first");
  list_verb->callback([options] { list(*options); });

  CLI::App* add_verb = subcommand("add", "Put a model into the list, by its path; nothing is copied");
  add_verb->add_option("path", options->path, "A diffusers folder, a .safetensors or .ckpt file, or a LoRA")->required()->type_name("PATH");
  add_verb->add_option("--name", options->name, "The name to keep it under; its file name if absent");
  add_verb->callback([options, &invocation] { add(*options, invocation.context()); });

  CLI::App* info_verb = subcommand("info", "What a model consists of");
  info_verb->add_option("model", options->path, "A name or a path")->required()->type_name("MODEL");
  info_verb->add_option("--models-dir", options->models_folder, "Look in this folder first");
  info_verb->callback([options, &invocation] { info(*options, invocation.context()); });

  CLI::App* verify_verb = subcommand("verify", "Read every byte of listed models and compare their hashes");
  verify_verb->add_option("names", options->names, "Which ones; all if absent")->type_name("NAME");
  verify_verb->callback([options, &invocation] { verify(*options, invocation); });

  CLI::App* remove_verb = subcommand("remove", "Take models out of the list; their files stay");
  remove_verb->add_option("names", options->names, "Which ones")->required()->type_name("NAME");
  remove_verb->callback([options] { remove(*options); });
}

}  // namespace attelier
