#include "app/desktop/shortcut_sheet.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <vector>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"

namespace attelier::desktop {
namespace {

constexpr std::array<const char*, 8> kMenus = {"File", "Edit", "Mask", "View", "Time", "Job", "Help", ""};

bool is_modifier(const std::string& key) { return key == "Shift" || key == "Ctrl" || key == "Alt" || key == "Super" || key.empty(); }

}  // namespace

void ShortcutSheet::stop() {
  listening_for_.clear();
  wanted_.reset();
  note_.clear();
}

void ShortcutSheet::bind(Actions& actions, std::string id, Chord chord) {
  const Action* const holder = actions.holder(chord);
  const std::string loser = holder != nullptr && holder->id != id ? holder->label : "";
  actions.bind(id, chord);
  stop();
  note_ = fmt::format("{}: {}{}", actions.find(id)->label, chord.empty() ? "no shortcut" : to_string(chord), loser.empty() ? "" : fmt::format("; {} has none any more", loser));
  changed_ = true;
}

void ShortcutSheet::press(Actions& actions, const Chord& chord) {
  if (is_modifier(chord.key)) return;
  if (chord == Chord{0, "Escape"}) return stop();
  const Action* const holder = actions.holder(chord);
  if (holder == nullptr || holder->id == listening_for_) return bind(actions, listening_for_, chord);
  wanted_ = chord;
}

void ShortcutSheet::draw_action(Actions& actions, const Action& action, const Theme& theme) {
  const bool listens = listening_for_ == action.id, is_changed = action.chord != action.default_chord;
  ImGui::PushID(action.id.c_str());
  const float height = ImGui::GetTextLineHeight() + theme.px(4), width = ImGui::GetContentRegionAvail().x;
  const ImVec2 corner = ImGui::GetCursorScreenPos();
  if (ImGui::InvisibleButton("action", {width, height})) {
    stop();
    if (!listens) listening_for_ = action.id;
  }
  mark("shortcut " + action.id);
  const bool hovered = ImGui::IsItemHovered();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  if (hovered || listens) list.AddRectFilled(corner, {corner.x + width, corner.y + height}, ImGui::GetColorU32(ImGuiCol_FrameBg), theme.px(3));
  if (ImGui::BeginPopupContextItem("menu")) {
    const Scope popup(ImGui::EndPopup);
    const std::string back = action.default_chord.empty() ? "Reset to none" : "Reset to " + to_string(action.default_chord);
    if (ImGui::MenuItem(back.c_str(), nullptr, false, is_changed)) bind(actions, action.id, action.default_chord);
    if (ImGui::MenuItem("No shortcut", nullptr, false, !action.chord.empty())) bind(actions, action.id, {});
  }
  if (hovered) tooltip("Click and press the new shortcut. Right-click: reset, or none.");
  const float top = corner.y + theme.px(2);
  list.AddText({corner.x + theme.px(4), top}, theme.palette().text, action.label.c_str());
  ImFont& mono = *theme.fonts().mono;
  const std::string chord = listens ? "press keys…" : to_string(action.chord);
  const float wide = mono.CalcTextSizeA(mono.FontSize, FLT_MAX, 0, chord.c_str()).x;
  list.AddText(&mono, mono.FontSize, {corner.x + width - wide - theme.px(4), top + theme.px(1)}, listens || is_changed ? theme.palette().accent : theme.palette().faint, chord.c_str());
  ImGui::PopID();
}

void ShortcutSheet::draw_foot(Actions& actions, const Theme& theme) {
  if (wanted_) {
    const Action* const holder = actions.holder(*wanted_);
    coloured(theme.palette().warn, fmt::format("{} is the shortcut of \"{}\".", to_string(*wanted_), holder == nullptr ? "" : holder->label));
    ImGui::SameLine();
    if (ImGui::SmallButton("Take it")) return bind(actions, listening_for_, *wanted_);
    ImGui::SameLine();
    if (ImGui::SmallButton("Leave it")) stop();
    return;
  }
  faint(theme, is_listening() ? "Press the new shortcut; Escape keeps the old one." : note_.empty() ? "Click a line to change its shortcut." : note_);
  const char* const label = "Reset all";
  const float width = ImGui::CalcTextSize(label).x + 2 * ImGui::GetStyle().FramePadding.x;
  ImGui::SameLine(ImGui::GetContentRegionMax().x - width);
  ImGui::BeginDisabled(actions.changes().empty());
  if (ImGui::SmallButton(label)) {
    actions.reset();
    stop();
    changed_ = true;
  }
  ImGui::EndDisabled();
}

void ShortcutSheet::draw(Actions& actions, const Theme& theme, const std::function<void()>& changed) {
  if (!open_) return;
  const ImVec2 screen = ImGui::GetIO().DisplaySize;
  ImGui::SetNextWindowPos({screen.x / 2, screen.y / 2}, ImGuiCond_Appearing, {0.5f, 0.5f});
  ImGui::SetNextWindowSize({std::min(screen.x * 0.9f, theme.px(860)), std::min(screen.y * 0.9f, theme.px(680))}, ImGuiCond_Appearing);
  ImGui::PushStyleColor(ImGuiCol_WindowBg, theme.palette().panel);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, theme.px(8));
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 1);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(theme.px(20), theme.px(14)));
  ImGui::Begin("Shortcuts###help", &open_, ImGuiWindowFlags_NoCollapse | ImGuiWindowFlags_NoSavedSettings);
  {
    const Scope window(ImGui::End);
    const float foot = 2 * ImGui::GetTextLineHeightWithSpacing() + theme.px(30);
    ImGui::BeginChild("actions", {0, -foot});
    {
      const Scope child(ImGui::EndChild);
      for (const char* menu : kMenus) {
        std::vector<const Action*> list;
        for (const Action& action : actions.all())
          if (action.menu == menu) list.push_back(&action);
        if (list.empty()) continue;
        std::string title = menu[0] == 0 ? "MORE" : menu;
        for (char& c : title) c = static_cast<char>(std::toupper(c));
        section(title.c_str(), theme);
        if (!ImGui::BeginTable(menu, 2, ImGuiTableFlags_SizingStretchSame)) continue;
        const Scope table(ImGui::EndTable);
        for (const Action* action : list) {
          ImGui::TableNextColumn();
          draw_action(actions, *action, theme);
        }
      }
    }
    ImGui::Separator();
    draw_foot(actions, theme);
    ImGui::PushFont(theme.fonts().small);
    wrapped(theme.palette().faint, "Mouse: the wheel zooms under the pointer, drag or middle drag pans; while a mask is painted, hold Space to pan. Pens paint without pressure, which the window system's library does not report.");
    ImGui::PopFont();
  }
  ImGui::PopStyleVar(3);
  ImGui::PopStyleColor();
  if (!open_) stop();
  if (std::exchange(changed_, false)) changed();
}

}  // namespace attelier::desktop
