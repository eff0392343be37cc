#include "app/desktop/preset_menu.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <utility>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"
#include "app/session/presets.h"
#include "core/base/error.h"

namespace attelier::desktop {
namespace {

constexpr const char* kPopup = "presets";

void carry_out(const PresetCommands& commands, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    commands.failed(error.what());
  }
}

}  // namespace

void PresetMenu::draw_presets(const std::string& method, const Theme& theme, const PresetCommands& commands) {
  if (ImGui::Selectable("Defaults")) carry_out(commands, [&] { commands.apply(""); });
  mark("preset defaults");
  tooltip("Every setting as your configuration says; prompt and seed stay");
  const float rename = ImGui::CalcTextSize("Rename").x + 2 * ImGui::GetStyle().FramePadding.x, gap = ImGui::GetStyle().ItemSpacing.x;
  const float erase = ImGui::CalcTextSize("Really?").x + 2 * ImGui::GetStyle().FramePadding.x, width = ImGui::GetContentRegionAvail().x;
  for (const std::string& name : std::vector<std::string>(names_)) {
    ImGui::PushID(name.c_str());
    if (ImGui::Selectable(fitted(name, width - rename - erase - 3 * gap).c_str(), false, ImGuiSelectableFlags_AllowItemOverlap)) carry_out(commands, [&] { commands.apply(name); });
    mark("preset " + name);
    ImGui::SameLine(ImGui::GetContentRegionMax().x - rename - erase - gap);
    if (ImGui::SmallButton("Rename")) {
      renamed_ = name_ = name;
      wants_focus_ = true;
    }
    ImGui::SameLine(ImGui::GetContentRegionMax().x - erase);
    const bool erases = ImGui::SmallButton(doomed_ == name ? "Really?" : "Delete");
    mark("delete preset " + name);
    if (erases && std::exchange(doomed_, name) == name) {
      carry_out(commands, [&] { remove_preset(method, name); });
      doomed_.clear();
      names_ = preset_names(method);
    }
    ImGui::PopID();
  }
  if (names_.empty()) {
    ImGui::PushFont(theme.fonts().small);
    faint(theme, "No presets yet: name the form's settings below.");
    ImGui::PopFont();
  }
}

void PresetMenu::draw_name(const std::string& method, const Theme& theme, const PresetCommands& commands) {
  const bool renames = !renamed_.empty(), replaces = !renames && std::find(names_.begin(), names_.end(), name_) != names_.end();
  const char* const label = renames ? "Rename" : replaces ? "Replace" : "Save";
  ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - theme.px(92));
  if (std::exchange(wants_focus_, false)) ImGui::SetKeyboardFocusHere();
  bool done = input_text("##name", name_, "Name of the preset", ImGuiInputTextFlags_EnterReturnsTrue);
  ImGui::SameLine();
  ImGui::BeginDisabled(name_.empty());
  done |= ImGui::Button(label, {-FLT_MIN, 0});
  ImGui::EndDisabled();
  tooltip(renames ? "Gives " + renamed_ + " this name" : "Keeps all settings of the form that differ from the built-in ones, without prompt and seed");
  if (!done || name_.empty()) return;
  carry_out(commands, [&] {
    if (renames) rename_preset(method, renamed_, name_);
    else commands.save(name_);
    renamed_.clear();
    name_.clear();
  });
  names_ = preset_names(method);
}

void PresetMenu::draw(const std::string& method, float width, const Theme& theme, const PresetCommands& commands) {
  const bool pressed = ImGui::Button("Presets", {width, 0});
  tooltip("Named sets of this method's settings");
  const ImVec2 below = {ImGui::GetItemRectMin().x, ImGui::GetItemRectMax().y + theme.px(2)};
  if (std::exchange(wants_open_, false) || pressed) {
    names_ = preset_names(method);
    name_.clear();
    renamed_.clear();
    doomed_.clear();
    wants_focus_ = true;
    ImGui::OpenPopup(kPopup);
  }
  ImGui::SetNextWindowPos(below, ImGuiCond_Appearing);
  ImGui::SetNextWindowSize({theme.px(340), 0});
  if (!ImGui::BeginPopup(kPopup)) return;
  const Scope popup(ImGui::EndPopup);
  draw_presets(method, theme, commands);
  ImGui::Separator();
  draw_name(method, theme, commands);
}

}  // namespace attelier::desktop
