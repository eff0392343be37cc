#include "app/desktop/editor.h"

#include <algorithm>
#include <cstdlib>
#include <random>

#include "app/session/autosave.h"
#include "app/session/document.h"
#include "app/session/presets.h"
#include "app/session/undo.h"
#include "core/base/error.h"
#include "core/base/files.h"

namespace attelier::desktop {
namespace {

constexpr int64_t kLargeMask = int64_t{1} << 21;  // pixels: writing a mask as a PNG takes a frame by then

/// Where pictures go unless the settings say otherwise.
std::filesystem::path default_pictures_folder() {
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr || home[0] == 0 ? "." : home) / "Pictures" / "Attelier";
}

/// The group of a common setting.
const char* group_of(const std::string& name) {
  const ParameterDescriptions run = common_group("run");
  return std::any_of(run.begin(), run.end(), [&](const ParameterDescription& one) { return one.name == name; }) ? "run" : "output";
}

}  // namespace

int64_t new_seed() {
  static std::mt19937_64 source(std::random_device{}());
  return static_cast<int64_t>(source() >> 32);
}

struct Editor::State {
  Document document;
  UndoStack undo;
  std::optional<Autosave> autosave;
  std::string trouble;
  std::map<std::string, std::string> problems;  // by JSON pointer
  bool searched = false;            // problems are those of the document
  std::filesystem::path open_mark;  // a file that is there while the app runs: found at the start, the last one crashed
  std::optional<int64_t> recovered;

  void changed() {
    searched = false;
    if (autosave) autosave->changed(document);
  }
  Document fresh() {
    Document made;
    try {
      made = new_document();
    } catch (const Error& error) {
      trouble = error.what();
      made = document_from_json({{"document", 1}});
    }
    if (made.output.folder == "." || made.output.folder.empty()) made.output.folder = default_pictures_folder();
    made.settings = common_json(made);
    return made;
  }
  void push(std::unique_ptr<Command> command) {
    undo.push(document, std::move(command));
    changed();
  }
};

Editor::Editor() : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.document = s.fresh();
  try {
    s.autosave.emplace();
    s.open_mark = s.autosave->folder() / "open";
    std::error_code error;
    const bool crashed = std::filesystem::exists(s.open_mark, error);
    if (auto saved = s.autosave->newest()) {
      if (crashed) s.recovered = saved->time;
      follow_settings(saved->document, s.document);
      s.document = std::move(saved->document);
    }
    write_file_atomically(s.open_mark, "");
  } catch (const Error& error) {
    s.trouble = error.what();
  }
}

Editor::~Editor() {
  try {
    if (state_->autosave) state_->autosave->flush();
    std::error_code error;
    std::filesystem::remove(state_->open_mark, error);
  } catch (const Error&) {  // told while the app ran; nobody is there any more
  }
}

const std::string& Editor::trouble() const { return state_->trouble; }
const Method& Editor::method() const { return *find_method(state_->document.method); }
void Editor::set_method(const std::string& name) {
  if (find_method(name) != nullptr && name != state_->document.method) state_->push(attelier::set_method(state_->document, name));
}
Json Editor::parameter(const std::string& name) const { return state_->document.state().params.value(name, Json()); }
void Editor::change(const ParameterDescription& description, const Json& value) {
  const Json& wanted = value.is_null() ? description.default_value : value;
  if (parameter(description.name) != wanted) state_->push(set_parameter(state_->document, description.name, wanted));
}
void Editor::change(const std::vector<std::pair<const ParameterDescription*, Json>>& values) {
  std::vector<std::unique_ptr<Command>> commands;
  for (const auto& [description, value] : values) {
    const Json& wanted = value.is_null() ? description->default_value : value;
    if (parameter(description->name) != wanted) commands.push_back(set_parameter(state_->document, description->name, wanted));
  }
  if (!commands.empty()) state_->push(std::make_unique<CommandGroup>(values.front().first->label, std::move(commands)));
}
std::vector<std::filesystem::path> Editor::input(const std::string& name) const {
  const auto& inputs = state_->document.state().inputs;
  const auto found = inputs.find(name);
  return found == inputs.end() ? InputPaths{} : found->second;
}
void Editor::change_input(const std::string& name, const std::vector<std::filesystem::path>& files) {
  const std::vector<Mask>& painted = masks(name);
  const bool clears_mask = files.empty() && std::any_of(painted.begin(), painted.end(), [](const Mask& mask) { return !mask.is_blank(); });
  if (input(name) != files || clears_mask) state_->push(set_input(state_->document, name, files));
}
ParameterDescriptions Editor::common_parameters() const {
  ParameterDescriptions all;
  for (const char* group : {"run", "output"})
    for (ParameterDescription& description : common_group(group)) {
      description.default_value = state_->document.settings.at(group).at(description.name);
      all.push_back(std::move(description));
    }
  return all;
}
Json Editor::common(const std::string& name) const { return common_json(state_->document).at(group_of(name)).at(name); }
void Editor::change_common(const std::string& name, const Json& value) {
  if (common(name) != value) state_->push(set_common(state_->document, group_of(name), name, value));
}
std::string Editor::model() const { return state_->document.state().model; }
void Editor::set_model(const std::string& model) {
  if (model != this->model()) state_->push(attelier::set_model(state_->document, model));
}

const std::filesystem::path& Editor::pictures_folder() const { return state_->document.output.folder; }

const std::vector<Mask>& Editor::masks(const std::string& input) const {
  static const std::vector<Mask> none;
  const auto& masks = state_->document.state().masks;
  const auto found = masks.find(input);
  return found == masks.end() ? none : found->second;
}
void Editor::paint(const std::string& label, const std::string& input, size_t index, Mask after) {
  state_->push(attelier::paint(state_->document, label, input, index, masks(input)[index], std::move(after)));
}
void Editor::reorder_input(const std::string& name, const std::vector<size_t>& order) { state_->push(attelier::reorder_input(state_->document, name, order)); }

void Editor::find_problems() {
  State& s = *state_;
  if (s.searched) return;
  s.searched = true;
  s.problems = problems_of(s.document);
}

void Editor::look_again() { state_->searched = false; }

std::future<Job> Editor::job() {
  const State& s = *state_;
  find_problems();
  if (!s.problems.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(s.document.output.folder, error);
  int64_t pixels = 0;
  for (const auto& [name, masks] : s.document.state().masks)
    for (const Mask& mask : masks) pixels += mask.width() * mask.height();
  auto made = std::async(pixels < kLargeMask ? std::launch::deferred : std::launch::async, [document = s.document] { return to_job(document, state_folder() / "masks"); });
  if (pixels < kLargeMask) made.wait();
  return made;
}

std::string Editor::problem(const std::string& name) const {
  for (const char* group : {"/params/", "/inputs/", "/", "/run/", "/output/"})
    if (const auto found = state_->problems.find(group + name); found != state_->problems.end()) return found->second;
  return "";
}
std::string Editor::first_problem() const {
  if (state_->problems.empty()) return "";
  const auto& [pointer, text] = *state_->problems.begin();
  return pointer.empty() ? text : fmt::format("{} {}", pointer.substr(pointer.rfind('/') + 1), text);
}

void Editor::restore(const Json& json) {
  Job job = parse_job(json);
  state_->push(attelier::restore(state_->document, job));
}

void Editor::apply_preset(const std::string& name) { state_->push(attelier::apply_preset(state_->document, name)); }
void Editor::save_preset(const std::string& name) const { attelier::save_preset(state_->document.method, name, state_->document.state().params); }

bool Editor::can_undo() const { return !state_->undo.undo_label().empty(); }
bool Editor::can_redo() const { return !state_->undo.redo_label().empty(); }
std::string Editor::undo_label() const { return state_->undo.undo_label(); }
std::string Editor::redo_label() const { return state_->undo.redo_label(); }
void Editor::undo() {
  if (state_->undo.undo(state_->document)) state_->changed();
}
void Editor::redo() {
  if (state_->undo.redo(state_->document)) state_->changed();
}

std::optional<int64_t> Editor::recovered() const { return state_->recovered; }
void Editor::start_over() {
  state_->document = state_->fresh();
  state_->undo.clear();
  state_->recovered.reset();
  state_->changed();
}

void Editor::autosave_if_due() {
  State& s = *state_;
  if (!s.autosave) return;
  s.autosave->tick();
  s.trouble = s.autosave->trouble();
}

}  // namespace attelier::desktop
