#include "app/session/document.h"

#include <algorithm>

#include "core/base/files.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

size_t bytes_of(const std::string& text) { return text.size(); }
size_t bytes_of(const Json& json) { return json.is_structured() || json.is_string() ? json.dump(-1, ' ', false, Json::error_handler_t::replace).size() : 16; }
size_t bytes_of(const InputPaths& paths) {
  size_t bytes = 0;
  for (const fs::path& path : paths) bytes += path.native().size();
  return bytes;
}
size_t bytes_of(const JobOutput& output) { return output.folder.native().size() + output.pattern.size(); }
size_t bytes_of(const JobRun&) { return sizeof(JobRun); }
size_t bytes_of(const Mask&) { return 0; }  // counted as a difference
size_t bytes_of(const MethodState& state) {
  size_t bytes = state.model.size() + bytes_of(state.params);
  for (const auto& [name, paths] : state.inputs) bytes += bytes_of(paths);
  return bytes;
}
template <typename T>
size_t difference(const T&, const T&) {
  return 0;
}
size_t difference(const Mask& a, const Mask& b) { return a.different_tiles(b) * sizeof(Mask::Tile); }

/// One place of the document before and after.
template <typename T>
class SetValue : public Command {
 public:
  using Place = std::function<T&(Document&)>;
  /// `key` names the place for merging; "" = never merges.
  SetValue(std::string label, std::string key, Place place, T before, T after)
      : label_(std::move(label)), key_(std::move(key)), place_(std::move(place)), before_(std::move(before)), after_(std::move(after)) {}
  std::string label() const override { return label_; }
  void apply(Document& document) const override { place_(document) = after_; }
  void revert(Document& document) const override { place_(document) = before_; }
  bool try_merge(const Command& next) override {
    const auto* same = dynamic_cast<const SetValue*>(&next);
    if (same == nullptr || key_.empty() || same->key_ != key_) return false;
    after_ = same->after_;
    return true;
  }
  size_t byte_size() const override { return sizeof(*this) + label_.size() + key_.size() + bytes_of(before_) + bytes_of(after_) + difference(before_, after_); }

 private:
  std::string label_, key_;
  Place place_;
  T before_, after_;
};

template <typename T>
std::unique_ptr<Command> set_value(const Document& document, std::string label, std::string key, typename SetValue<T>::Place place, T after) {
  Document copy = document;
  T before = place(copy);
  return std::make_unique<SetValue<T>>(std::move(label), std::move(key), std::move(place), std::move(before), std::move(after));
}

const Method& method_of(const std::string& name) {
  const Method* method = find_method(name);
  if (method == nullptr) fail(ExitCode::kUsage, "there is no method \"{}\"", name);
  return *method;
}

const ParameterDescription& parameter_of(const Method& method, const std::string& name) {
  const auto found = std::find_if(method.parameters.begin(), method.parameters.end(), [&](const ParameterDescription& one) { return one.name == name; });
  if (found == method.parameters.end()) fail(ExitCode::kUsage, "{} has no parameter \"{}\"", method.name, name);
  return *found;
}

bool has_input(const Method& method, const std::string& name) {
  return std::any_of(method.inputs.begin(), method.inputs.end(), [&](const InputDescription& one) { return one.name == name; });
}

/// `given` with defaults for what is missing, unknown or wrong.
Json tolerant(const ParameterDescriptions& descriptions, const Json& given) {
  Json good = Json::object();
  if (given.is_object())
    for (const ParameterDescription& description : descriptions)
      if (const auto found = given.find(description.name); found != given.end()) {
        std::vector<Problem> problems;
        resolve_parameters({description}, {{description.name, *found}}, "", problems);
        if (problems.empty()) good[description.name] = *found;
      }
  std::vector<Problem> none;
  return resolve_parameters(descriptions, good, "", none);
}

void complete_inputs(const Method& method, MethodState& state) {
  for (const InputDescription& input : method.inputs) state.inputs[input.name];
}

void read_common(const Json& json, Document& document) {
  const Json output = tolerant(common_group("output"), json.is_object() ? json.value("output", Json::object()) : Json::object());
  const Json run = tolerant(common_group("run"), json.is_object() ? json.value("run", Json::object()) : Json::object());
  document.output = {output["dir"].get<std::string>(), output["pattern"], output["exists"], output["embed_job"], output["record"]};
  document.run = {run["device"], run["dtype"], run["threads"]};
}

Json output_json(const JobOutput& output) {
  return {{"dir", output.folder.string()}, {"pattern", output.pattern}, {"exists", output.exists}, {"embed_job", output.embed_job}, {"record", output.record}};
}

Json inputs_json(const std::map<std::string, InputPaths>& inputs) {
  Json json = Json::object();
  for (const auto& [name, paths] : inputs)
    for (const fs::path& path : paths) json[name].push_back(path.string());
  return json;
}

Json run_json(const JobRun& run) { return {{"device", run.device}, {"dtype", run.dtype}, {"threads", run.threads}}; }

/// Whether the painted mask goes into the job.
bool uses_mask(const Document& document) {
  if (!has_input(method_of(document.method), "mask") || document.mask.is_blank()) return false;
  const auto image = document.state().inputs.find("image");
  return image != document.state().inputs.end() && !image->second.empty();
}

Json job_json(const Document& document) {
  const MethodState& state = document.state();
  Json json = {{"job", 1},
               {"method", document.method},
               {"inputs", inputs_json(state.inputs)},
               {"params", state.params},
               {"output", output_json(document.output)},
               {"run", run_json(document.run)}};
  if (!state.model.empty()) json["model"] = state.model;
  return json;
}

}  // namespace

Document new_document(const std::string& method) {
  Document document;
  document.method = method_of(method).name;
  for (const Method* one : methods()) {
    std::vector<SettingsLayer> layers = config_layers(one->name);
    layers.push_back(environment_layer(one->name));
    const Json merged = merge_layers(layers).job;
    MethodState& state = document.methods[one->name];
    state.model = merged.contains("model") && merged["model"].is_string() ? merged["model"].get<std::string>() : one->default_model;
    state.params = tolerant(one->parameters, merged.value("params", Json::object()));
    complete_inputs(*one, state);
    if (one->name == method) read_common(merged, document);
  }
  return document;
}

std::unique_ptr<Command> set_parameter(const Document& document, const std::string& name, Json value) {
  const std::string method = document.method;
  const ParameterDescription& description = parameter_of(method_of(method), name);
  return set_value<Json>(document, description.label, method + "/params/" + name, [method, name](Document& d) -> Json& { return d.methods[method].params[name]; }, std::move(value));
}

std::unique_ptr<Command> set_input(const Document& document, const std::string& name, InputPaths paths) {
  const std::string method = document.method;
  if (!has_input(method_of(method), name)) fail(ExitCode::kUsage, "{} has no input \"{}\"", method, name);
  return set_value<InputPaths>(
      document, "Input " + name, "", [method, name](Document& d) -> InputPaths& { return d.methods[method].inputs[name]; }, std::move(paths));
}

std::unique_ptr<Command> set_model(const Document& document, const std::string& model) {
  const std::string method = document.method;
  return set_value<std::string>(document, "Model", method + "/model", [method](Document& d) -> std::string& { return d.methods[method].model; }, model);
}

std::unique_ptr<Command> set_method(const Document& document, const std::string& method) {
  return set_value<std::string>(document, "Method " + method, "", [](Document& d) -> std::string& { return d.method; }, method_of(method).name);
}

std::unique_ptr<Command> set_output(const Document& document, JobOutput output) {
  return set_value<JobOutput>(document, "Output", "output", [](Document& d) -> JobOutput& { return d.output; }, std::move(output));
}

std::unique_ptr<Command> set_run(const Document& document, JobRun run) {
  return set_value<JobRun>(document, "Device and threads", "run", [](Document& d) -> JobRun& { return d.run; }, std::move(run));
}

std::unique_ptr<Command> paint(const std::string& label, Mask before, Mask after) {
  return std::make_unique<SetValue<Mask>>(label, "", [](Document& d) -> Mask& { return d.mask; }, std::move(before), std::move(after));
}

std::unique_ptr<Command> restore(const Document& document, const Job& job) {
  const std::string method = job.method->name;
  MethodState state{job.model, job.params, job.inputs};
  std::vector<std::unique_ptr<Command>> commands;
  const auto mask = state.inputs.find("mask");
  if (mask != state.inputs.end() && mask->second.size() == 1 && !state.inputs["image"].empty()) {
    commands.push_back(paint("Mask", document.mask, Mask(load_image(mask->second.front()))));
    mask->second.clear();
  }
  complete_inputs(*job.method, state);
  commands.push_back(set_method(document, method));
  commands.push_back(set_value<MethodState>(document, "Settings", "", [method](Document& d) -> MethodState& { return d.methods[method]; }, std::move(state)));
  return std::make_unique<CommandGroup>("Settings of a job", std::move(commands));
}

std::map<std::string, std::string> problems_of(const Document& document) {
  std::map<std::string, std::string> messages;
  JobSource source;
  source.name = "the form";
  std::vector<Problem> problems;
  source.problems = &problems;
  try {
    parse_job(job_json(document), source);
  } catch (const Error& error) {
    if (problems.empty()) messages[""] = error.what();
  }
  for (const Problem& problem : problems) {
    std::string& message = messages[problem.pointer];
    message += (message.empty() ? "" : "; ") + problem.message;
  }
  return messages;
}

Job to_job(const Document& document, const fs::path& mask_folder) {
  Json json = job_json(document);
  if (uses_mask(document)) {
    const std::string png = encode_png(document.mask.to_image());
    fs::create_directories(mask_folder);
    const fs::path file = mask_folder / fmt::format("mask-{}.png", sha256(png).substr(0, 16));
    std::error_code error;
    if (!fs::exists(file, error)) write_file_atomically(file, png);
    json["inputs"]["mask"] = file.string();
  }
  return parse_job(json, {"the form", "", {}});
}

Json to_json(const Document& document) {
  Json methods = Json::object();
  for (const auto& [name, state] : document.methods) methods[name] = {{"model", state.model}, {"params", state.params}, {"inputs", inputs_json(state.inputs)}};
  return {{"document", 1}, {"method", document.method}, {"methods", methods}, {"output", output_json(document.output)}, {"run", run_json(document.run)}};
}

Document document_from_json(const Json& json) {
  if (!json.is_object() || json.value("document", Json()) != Json(1)) fail(ExitCode::kBadInput, "the document is not of version 1, which this program reads");
  Document document;
  const Json name = json.value("method", Json());
  const Method* chosen = name.is_string() ? find_method(name.get<std::string>()) : nullptr;
  document.method = chosen != nullptr ? chosen->name : methods().front()->name;
  const Json states = json.value("methods", Json::object());
  for (const Method* method : methods()) {
    MethodState& state = document.methods[method->name];
    const Json given = states.is_object() ? states.value(method->name, Json::object()) : Json::object();
    const Json model = given.is_object() ? given.value("model", Json()) : Json();
    state.model = model.is_string() ? model.get<std::string>() : method->default_model;
    state.params = tolerant(method->parameters, given.is_object() ? given.value("params", Json::object()) : Json::object());
    complete_inputs(*method, state);
    const Json inputs = given.is_object() ? given.value("inputs", Json::object()) : Json::object();
    if (!inputs.is_object()) continue;
    for (const auto& [role, paths] : inputs.items()) {
      if (!has_input(*method, role) || !paths.is_array()) continue;
      for (const Json& path : paths)
        if (path.is_string()) state.inputs[role].emplace_back(path.get<std::string>());
    }
  }
  read_common(json, document);
  return document;
}

}  // namespace attelier
