#include "app/session/document.h"

#include <algorithm>

#include "app/session/mask_brush.h"
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
size_t bytes_of(const MethodState& state) {  // the same for its masks
  size_t bytes = state.model.size() + bytes_of(state.params);
  for (const auto& [name, paths] : state.inputs) bytes += bytes_of(paths);
  return bytes;
}
template <typename T>
size_t difference(const T&, const T&) {
  return 0;
}
size_t difference(const Mask& a, const Mask& b) { return a.different_tiles(b) * sizeof(Mask::Tile); }
size_t difference(const MethodState& a, const MethodState& b) {
  size_t bytes = 0;
  for (const auto& [name, masks] : a.masks) {
    const auto found = b.masks.find(name);
    for (size_t i = 0; i < masks.size(); ++i) bytes += difference(masks[i], found != b.masks.end() && i < found->second.size() ? found->second[i] : Mask());
  }
  return bytes;
}

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

const InputDescription* find_input(const Method& method, const std::string& name) {
  const auto found = std::find_if(method.inputs.begin(), method.inputs.end(), [&](const InputDescription& one) { return one.name == name; });
  return found == method.inputs.end() ? nullptr : &*found;
}

const InputDescription& input_of(const Method& method, const std::string& name) {
  const InputDescription* input = find_input(method, name);
  if (input == nullptr) fail(ExitCode::kUsage, "{} has no input \"{}\"", method.name, name);
  return *input;
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

/// Every input is there, and as many masks as there must be.
void complete_inputs(const Method& method, MethodState& state) {
  for (const InputDescription& input : method.inputs) state.inputs[input.name];
  for (const InputDescription& input : method.inputs)
    if (!input.painted_over.empty()) state.masks[input.name].resize(input.one_per.empty() ? 1 : state.inputs[input.one_per].size());
}

constexpr size_t kNew = SIZE_MAX;  // of an order: a file that was not there

/// What belonged to the files of `input` before, in their new order: weights, and masks of which there is one for each.
void reorder(const Method& method, const InputDescription& input, const std::vector<size_t>& order, MethodState& state) {
  const auto moved = [&](const auto& list, const auto& fresh) {
    std::decay_t<decltype(list)> result;
    for (const size_t place : order) result.push_back(place < list.size() ? list[place] : fresh);
    return result;
  };
  if (!input.weights.empty() && state.params[input.weights].is_array()) state.params[input.weights] = moved(state.params[input.weights], Json(1.0));
  for (const InputDescription& mask : method.inputs)
    if (mask.one_per == input.name && !mask.painted_over.empty()) state.masks[mask.name] = moved(state.masks[mask.name], Mask());
}

/// Mask files become painted masks where there is a picture to paint over. Throws Error for one that cannot be read.
void adopt_mask_files(const Method& method, MethodState& state) {
  for (auto& [name, masks] : state.masks) {
    InputPaths& files = state.inputs[name];
    if (files.size() != masks.size() || state.inputs[find_input(method, name)->painted_over].empty()) continue;  // the job's check says what is wrong
    std::vector<Mask> read;
    for (const fs::path& file : files) read.emplace_back(load_image(file));
    masks = std::move(read);
    files.clear();
  }
}

/// The settings of one method anew.
std::unique_ptr<Command> set_state(const Document& document, std::string label, const std::string& method, MethodState state) {
  return set_value<MethodState>(document, std::move(label), "", [method](Document& d) -> MethodState& { return d.methods[method]; }, std::move(state));
}

/// Blank ones among painted masks of one picture become all that the painted ones leave.
std::vector<Mask> with_rest(std::vector<Mask> masks) {
  const auto painted = std::find_if(masks.begin(), masks.end(), [](const Mask& mask) { return !mask.is_blank(); });
  if (painted == masks.end()) return {};
  Image rest{painted->width(), painted->height(), 1, std::vector<uint8_t>(static_cast<size_t>(painted->width() * painted->height()), 255)};
  for (const Mask& mask : masks) {
    if (mask.is_blank()) continue;
    const Image image = resized(mask, rest.width, rest.height).to_image();
    for (size_t i = 0; i < rest.pixels.size(); ++i) rest.pixels[i] = std::min<uint8_t>(rest.pixels[i], 255 - image.pixels[i]);
  }
  for (Mask& mask : masks)
    if (mask.is_blank()) mask = Mask(rest);
  return masks;
}

JobOutput read_output(const Json& given) {
  const Json output = tolerant(common_group("output"), given);
  return {output["dir"].get<std::string>(), output["pattern"], output["exists"], output["embed_job"], output["record"]};
}

JobRun read_run(const Json& given) {
  const Json run = tolerant(common_group("run"), given);
  return {run["device"], run["dtype"], run["threads"]};
}

void read_common(const Json& json, Document& document) {
  const auto group = [&](const char* name) { return json.is_object() ? json.value(name, Json::object()) : Json::object(); };
  document.output = read_output(group("output"));
  document.run = read_run(group("run"));
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
  document.settings = common_json(document);
  return document;
}

std::unique_ptr<Command> set_parameter(const Document& document, const std::string& name, Json value) {
  const std::string method = document.method;
  const ParameterDescription& description = parameter_of(method_of(method), name);
  return set_value<Json>(document, description.label, method + "/params/" + name, [method, name](Document& d) -> Json& { return d.methods[method].params[name]; }, std::move(value));
}

std::unique_ptr<Command> set_parameters(const Document& document, const std::string& label, Json params) {
  const std::string method = document.method;
  return set_value<Json>(document, label, "", [method](Document& d) -> Json& { return d.methods[method].params; }, std::move(params));
}

std::unique_ptr<Command> set_input(const Document& document, const std::string& name, InputPaths paths) {
  const Method& method = method_of(document.method);
  const InputDescription& input = input_of(method, name);
  InputPaths before = document.state().inputs.at(name);
  std::vector<size_t> order;
  for (const fs::path& path : paths) {
    const auto found = std::find(before.begin(), before.end(), path);
    order.push_back(found == before.end() ? kNew : static_cast<size_t>(found - before.begin()));
    if (found != before.end()) *found = fs::path();  // the next equal one is another
  }
  MethodState state = document.state();
  if (paths.empty() && !input.painted_over.empty()) state.masks[name].assign(state.masks[name].size(), Mask());
  state.inputs[name] = std::move(paths);
  reorder(method, input, order, state);
  try {
    adopt_mask_files(method, state);
  } catch (const Error&) {
    // The file stays, and the run that reads it says what is wrong with it.
  }
  return set_state(document, "Input " + name, document.method, std::move(state));
}

std::unique_ptr<Command> reorder_input(const Document& document, const std::string& name, const std::vector<size_t>& order) {
  const Method& method = method_of(document.method);
  const InputDescription& input = input_of(method, name);
  MethodState state = document.state();
  InputPaths paths;
  for (const size_t place : order) paths.push_back(state.inputs.at(name).at(place));
  state.inputs[name] = std::move(paths);
  reorder(method, input, order, state);
  return set_state(document, "Order of " + name, document.method, std::move(state));
}

std::unique_ptr<Command> set_model(const Document& document, const std::string& model) {
  const std::string method = document.method;
  return set_value<std::string>(document, "Model", method + "/model", [method](Document& d) -> std::string& { return d.methods[method].model; }, model);
}

std::unique_ptr<Command> set_method(const Document& document, const std::string& method) {
  return set_value<std::string>(document, "Method " + method, "", [](Document& d) -> std::string& { return d.method; }, method_of(method).name);
}

std::unique_ptr<Command> set_common(const Document& document, const std::string& group, const std::string& name, Json value) {
  Json all = common_json(document);
  const auto descriptions = common_group(group);
  const auto found = std::find_if(descriptions.begin(), descriptions.end(), [&](const ParameterDescription& one) { return one.name == name; });
  if (found == descriptions.end()) fail(ExitCode::kUsage, "there is no setting \"{}\" of \"{}\"", name, group);
  all[group][name] = value.is_null() ? document.settings.at(group).at(name) : std::move(value);
  const std::string key = group + "/" + name;
  if (group == "run") return set_value<JobRun>(document, found->label, key, [](Document& d) -> JobRun& { return d.run; }, read_run(all[group]));
  return set_value<JobOutput>(document, found->label, key, [](Document& d) -> JobOutput& { return d.output; }, read_output(all[group]));
}

std::unique_ptr<Command> paint(const Document& document, const std::string& label, const std::string& name, size_t index, Mask before, Mask after) {
  document.state().masks.at(name).at(index);  // there is one
  return std::make_unique<SetValue<Mask>>(label, "", [method = document.method, name, index](Document& d) -> Mask& { return d.methods[method].masks[name][index]; }, std::move(before), std::move(after));
}

std::unique_ptr<Command> restore(const Document& document, const Job& job) {
  MethodState state{job.model, job.params, job.inputs, {}};
  complete_inputs(*job.method, state);
  adopt_mask_files(*job.method, state);
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(set_method(document, job.method->name));
  commands.push_back(set_state(document, "Settings", job.method->name, std::move(state)));
  commands.push_back(set_value<JobRun>(document, "Device", "", [](Document& d) -> JobRun& { return d.run; }, job.run));
  return std::make_unique<CommandGroup>("Settings of a job", std::move(commands));
}

Json common_json(const Document& document) { return {{"output", output_json(document.output)}, {"run", run_json(document.run)}}; }

void follow_settings(Document& document, const Document& today) {
  const Json old = document.settings, now = common_json(document);
  Json merged = common_json(today);
  for (const auto& [group, values] : now.items())
    for (const auto& [name, value] : values.items()) {
      const Json::json_pointer place("/" + group + "/" + name);
      if (old.contains(place) && old[place] != value) merged[place] = value;
    }
  read_common(merged, document);
  document.settings = today.settings;
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

std::string write_mask(const Mask& mask, const fs::path& folder) {
  const std::string png = encode_png(mask.to_image()), name = fmt::format("mask-{}.png", sha256(png).substr(0, 16));
  std::error_code error;
  if (!fs::exists(folder / name, error)) write_file_atomically(folder / name, png);
  return name;
}

Job to_job(const Document& document, const fs::path& mask_folder) {
  Json json = job_json(document);
  const MethodState& state = document.state();
  for (const auto& [name, masks] : state.masks) {
    if (state.inputs.at(find_input(method_of(document.method), name)->painted_over).empty()) continue;
    const std::vector<Mask> whole = with_rest(masks);
    if (whole.empty()) continue;
    fs::create_directories(mask_folder);
    json["inputs"][name] = Json::array();
    for (const Mask& mask : whole) json["inputs"][name].push_back((mask_folder / write_mask(mask, mask_folder)).string());
  }
  return parse_job(json, {"the form", "", {}});
}

Json to_json(const Document& document) {
  Json methods = Json::object();
  for (const auto& [name, state] : document.methods) methods[name] = {{"model", state.model}, {"params", state.params}, {"inputs", inputs_json(state.inputs)}};
  return {{"document", 1}, {"method", document.method}, {"methods", methods}, {"output", output_json(document.output)}, {"run", run_json(document.run)}, {"settings", document.settings}};
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
    const Json inputs = given.is_object() ? given.value("inputs", Json::object()) : Json::object();
    if (inputs.is_object())
      for (const auto& [role, paths] : inputs.items())
        if (find_input(*method, role) != nullptr && paths.is_array())
          for (const Json& path : paths)
            if (path.is_string()) state.inputs[role].emplace_back(path.get<std::string>());
    complete_inputs(*method, state);
  }
  read_common(json, document);
  document.settings = json.value("settings", Json::object());
  if (!document.settings.is_object()) document.settings = Json::object();
  return document;
}

}  // namespace attelier
