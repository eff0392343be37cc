#include "app/desktop/overlays.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <vector>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"

namespace attelier::desktop {
namespace {

constexpr double kToastSeconds = 4;
constexpr size_t kMostToasts = 6;

}  // namespace

void Toasts::add(const std::string& text, const std::string& details, bool is_error) {
  toasts_.push_back({text, details, is_error, -1, false});
  if (toasts_.size() > kMostToasts) toasts_.pop_front();
}

double Toasts::next_change(double now) const {
  double next = 1e9;
  for (const Toast& toast : toasts_)
    if (!toast.is_error) next = std::min(next, toast.since < 0 ? 0 : std::max(0.0, toast.since + kToastSeconds - now));
  return next;
}

void Toasts::draw(const Theme& theme, double now) {
  for (Toast& toast : toasts_)
    if (toast.since < 0) toast.since = now;
  std::erase_if(toasts_, [&](const Toast& toast) { return !toast.is_error && now >= toast.since + kToastSeconds; });
  const ImVec2 screen = ImGui::GetIO().DisplaySize;
  float bottom = screen.y - theme.px(40);
  size_t closed = toasts_.size();
  for (size_t i = toasts_.size(); i-- > 0;) {
    Toast& toast = toasts_[i];
    ImGui::SetNextWindowPos({screen.x - theme.px(16), bottom}, ImGuiCond_Always, {1, 1});
    ImGui::SetNextWindowSize({theme.px(380), 0});
    ImGui::PushStyleColor(ImGuiCol_WindowBg, theme.palette().panel);
    ImGui::PushStyleColor(ImGuiCol_Border, toast.is_error ? theme.palette().bad : theme.palette().line);
    ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 1);
    ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, theme.px(6));
    {
      ImGui::Begin(fmt::format("###toast{}", i).c_str(), nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoFocusOnAppearing | ImGuiWindowFlags_NoNav);
      const Scope window(ImGui::End);
      if (toast.is_error) coloured(theme.palette().bad, "Error");
      wrapped(theme.palette().text, toast.text);
      if (toast.is_error) {
        ImGui::PushFont(theme.fonts().small);
        if (!toast.details.empty() && ImGui::SmallButton(toast.shows_details ? "Hide details" : "Show details")) toast.shows_details = !toast.shows_details;
        if (!toast.details.empty()) ImGui::SameLine();
        if (ImGui::SmallButton("Copy")) ImGui::SetClipboardText((toast.text + "\n" + toast.details).c_str());
        ImGui::SameLine();
        if (ImGui::SmallButton("Close")) closed = i;
        mark("close error");
        if (toast.shows_details) wrapped(theme.palette().faint, toast.details);
        ImGui::PopFont();
      }
      bottom -= ImGui::GetWindowHeight() + theme.px(8);
    }
    ImGui::PopStyleVar(2);
    ImGui::PopStyleColor(2);
  }
  if (closed < toasts_.size()) toasts_.erase(toasts_.begin() + static_cast<std::ptrdiff_t>(closed));
}

void CommandPalette::open() {
  open_ = focus_ = true;
  words_.clear();
  selected_ = 0;
}

void CommandPalette::draw(const Actions& actions, const Theme& theme) {
  if (!open_) return;
  ImGui::OpenPopup("###palette");
  const ImVec2 screen = ImGui::GetIO().DisplaySize;
  ImGui::SetNextWindowPos({screen.x / 2, theme.px(80)}, ImGuiCond_Always, {0.5f, 0});
  ImGui::SetNextWindowSize({theme.px(560), theme.px(420)});
  if (!ImGui::BeginPopup("###palette", ImGuiWindowFlags_NoMove)) {
    open_ = false;
    return;
  }
  const Scope popup(ImGui::EndPopup);
  const std::vector<const Action*> found = actions.search(words_);
  const auto key = [](ImGuiKey which) { return ImGui::IsKeyPressed(ImGui::GetKeyIndex(which)); };
  if (key(ImGuiKey_DownArrow)) ++selected_;
  if (key(ImGuiKey_UpArrow)) --selected_;
  selected_ = std::clamp(selected_, 0, std::max(0, static_cast<int>(found.size()) - 1));
  if (std::exchange(focus_, false)) ImGui::SetKeyboardFocusHere();
  ImGui::SetNextItemWidth(-FLT_MIN);
  const bool entered = input_text("##words", words_, "What to do?", ImGuiInputTextFlags_EnterReturnsTrue);
  if (ImGui::IsItemEdited()) selected_ = 0;
  const Action* chosen = entered && !found.empty() ? found[static_cast<size_t>(selected_)] : nullptr;
  ImGui::BeginChild("found");
  {
    const Scope child(ImGui::EndChild);
    for (size_t i = 0; i < found.size(); ++i) {
      const Action& action = *found[i];
      ImGui::BeginDisabled(!action.enabled());
      if (ImGui::Selectable(fmt::format("{}###{}", action.label, action.id).c_str(), static_cast<int>(i) == selected_)) chosen = &action;
      ImGui::EndDisabled();
      if (static_cast<int>(i) == selected_ && (key(ImGuiKey_DownArrow) || key(ImGuiKey_UpArrow))) ImGui::SetScrollHereY();
      const std::string chord = action.chord.empty() ? action.menu : to_string(action.chord);
      ImGui::SameLine(ImGui::GetContentRegionMax().x - ImGui::CalcTextSize(chord.c_str()).x);
      faint(theme, chord);
    }
    if (found.empty()) faint(theme, "No action is called so.");
  }
  if (chosen != nullptr || key(ImGuiKey_Escape)) {
    open_ = false;
    ImGui::CloseCurrentPopup();
  }
  if (chosen != nullptr && chosen->enabled()) chosen->run();
}

}  // namespace attelier::desktop
