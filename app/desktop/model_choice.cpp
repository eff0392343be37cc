#include "app/desktop/model_choice.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"
#include "core/weights/model_files.h"
#include "core/weights/model_store.h"

namespace attelier::desktop {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string>& checkpoint_extensions() {
  static const std::vector<std::string> all = {".safetensors", ".ckpt", ".pth"};
  return all;
}

Json defaults_of(const Method& method) {
  Json params = Json::object();
  for (const ParameterDescription& description : method.parameters) params[description.name] = description.default_value;
  return params;
}

Json params_of(const Editor& editor) {
  Json params = Json::object();
  for (const ParameterDescription& description : editor.method().parameters) params[description.name] = editor.parameter(description.name);
  return params;
}

/// Why the method cannot use the model, "" if it can. Reads headers, no weights.
std::string misfit(const Method& method, const fs::path& path, const Json& params) {
  try {
    if (method.find_model) {
      method.find_model(path, params);
      return "";
    }
    const ModelFiles files(path);
    return files.has("unet") ? "" : fmt::format("It is a part of a model ({}) without the UNet that makes pictures.", files.family());
  } catch (const Error& error) {
    return error.what();
  }
}

std::vector<std::string> fitting_models(const Method& method, const Json& params) {
  std::vector<std::string> names = known_models();
  std::erase_if(names, [&](const std::string& name) {
    try {
      return !misfit(method, resolve_model(name), params).empty();
    } catch (const Error&) {  // of the list, but no longer there
      return true;
    }
  });
  return names;
}

}  // namespace

bool ModelChoice::is_checkpoint_name(const fs::path& file) {
  const auto& all = checkpoint_extensions();
  return std::find(all.begin(), all.end(), file.extension().string()) != all.end();
}

void ModelChoice::browse() {
  std::vector<std::string> extensions = checkpoint_extensions();
  extensions.emplace_back(".json");  // of a model's folder
  browser_.open({.title = "Choose a checkpoint", .extensions = extensions, .folders = true, .name = {},
                 .chosen = [this](const fs::path& file) { choose(file.extension() == ".json" ? file.parent_path() : file); }});
}

void ModelChoice::draw(float width) {
  ImGui::SetNextItemWidth(width);
  if (ImGui::BeginCombo("##model", editor_.model().c_str())) {
    const Scope combo(ImGui::EndCombo);
    if (ImGui::IsWindowAppearing() && !coming_names_.valid()) {
      names_.clear();
      coming_names_ = std::async(std::launch::async, [method = &editor_.method(), params = params_of(editor_), wake = wake_] {
        std::vector<std::string> names = fitting_models(*method, params);
        wake();
        return names;
      });
    }
    if (coming_names_.valid() && coming_names_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) names_ = coming_names_.get();
    for (const std::string& name : names_)
      if (ImGui::Selectable(name.c_str(), name == editor_.model())) editor_.set_model(name);
    ImGui::Separator();
    const bool chooses = ImGui::Selectable("Choose a checkpoint…");
    mark("choose a checkpoint");
    if (chooses) browse();
  }
  tooltip("The model: a name, a checkpoint or a folder of one. What ships with the program is in the list.");
  mark("model");
}

void ModelChoice::draw_problem(const Theme& theme) const {
  if (const std::string problem = editor_.problem("model"); !problem.empty()) wrapped(theme.palette().bad, problem);
}

void ModelChoice::choose(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::string problem = misfit(editor_.method(), path, params_of(editor_));
  if (!problem.empty()) {
    const auto other = std::find_if(methods().begin(), methods().end(), [&](const Method* method) { return misfit(*method, path, defaults_of(*method)).empty(); });
    if (other == methods().end())
      return toasts_.error(fmt::format("{} is no model that is known here. Checkpoints of Stable Diffusion, of RGT and of the backbones are, as .safetensors, .ckpt, .pth or folders.", name), problem);
    editor_.set_method((*other)->name);
  }
  editor_.set_model(path.string());
  toasts_.info(fmt::format("{} uses {} now.", editor_.method().name, name));
}

}  // namespace attelier::desktop
