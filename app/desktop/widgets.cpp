#include "app/desktop/widgets.h"

#include <imgui_stdlib.h>

#include <algorithm>

namespace attelier::desktop {

Scope panel(const char* name, ImVec2 position, ImVec2 size, ImGuiWindowFlags flags) {
  ImGui::SetNextWindowPos(position);
  ImGui::SetNextWindowSize(size);
  ImGui::Begin(name, nullptr, ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoCollapse | ImGuiWindowFlags_NoSavedSettings |
                                  ImGuiWindowFlags_NoBringToFrontOnFocus | flags);
  return {ImGui::End};
}

void section(const char* label, const Theme& theme) {
  ImGui::Dummy({0, theme.px(4)});
  ImGui::PushFont(theme.fonts().small);
  coloured(theme.palette().faint, label);
  const ImVec2 end = ImGui::GetItemRectMax();
  const float y = 0.5f * (ImGui::GetItemRectMin().y + end.y), right = ImGui::GetWindowPos().x + ImGui::GetWindowContentRegionMax().x;
  ImGui::GetWindowDrawList()->AddLine({end.x + theme.px(8), y}, {right, y}, theme.palette().line);
  ImGui::PopFont();
}

void tooltip(const std::string& text) {
  if (text.empty() || !ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled)) return;
  ImGui::BeginTooltip();
  ImGui::PushTextWrapPos(ImGui::GetFontSize() * 24);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
  ImGui::EndTooltip();
}

bool primary_button(const char* label, ImVec2 size, const Theme& theme) {
  const ImVec4 accent = ImGui::ColorConvertU32ToFloat4(theme.palette().accent);
  ImGui::PushStyleColor(ImGuiCol_Button, accent);
  ImGui::PushStyleColor(ImGuiCol_ButtonHovered, {accent.x * 0.9f, accent.y * 0.9f, accent.z * 0.9f, 1});
  ImGui::PushStyleColor(ImGuiCol_ButtonActive, {accent.x * 0.8f, accent.y * 0.8f, accent.z * 0.8f, 1});
  ImGui::PushStyleColor(ImGuiCol_Text, theme.palette().ring);
  const bool pressed = ImGui::Button(label, size);
  ImGui::PopStyleColor(4);
  return pressed;
}

void coloured(ImU32 colour, const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopStyleColor();
}
void faint(const Theme& theme, const std::string& text) { coloured(theme.palette().faint, text); }

void wrapped(ImU32 colour, const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
  ImGui::PopStyleColor();
}

void splitter(const char* id, bool vertical, ImVec2 position, ImVec2 length, float& size, float minimum, float maximum, float towards) {
  ImGui::SetCursorScreenPos(position);
  ImGui::InvisibleButton(id, length);
  if (ImGui::IsItemHovered() || ImGui::IsItemActive()) {
    ImGui::SetMouseCursor(vertical ? ImGuiMouseCursor_ResizeEW : ImGuiMouseCursor_ResizeNS);
    ImGui::GetWindowDrawList()->AddRectFilled(position, {position.x + length.x, position.y + length.y}, ImGui::GetColorU32(ImGuiCol_SeparatorHovered));
  }
  if (ImGui::IsItemActive()) size += towards * (vertical ? ImGui::GetIO().MouseDelta.x : ImGui::GetIO().MouseDelta.y);
  size = std::clamp(size, minimum, std::max(minimum, maximum));
}

bool input_text(const char* id, std::string& text, const char* hint, ImGuiInputTextFlags flags) {
  return hint == nullptr ? ImGui::InputText(id, &text, flags) : ImGui::InputTextWithHint(id, hint, &text, flags);
}

std::string fitted(const std::string& text, float width) {
  if (ImGui::CalcTextSize(text.c_str()).x <= width) return text;
  const auto is_middle_of_character = [&](size_t at) { return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; };
  for (size_t keep = text.size(); keep > 2; --keep) {
    size_t head = (keep + 1) / 2, tail = text.size() - keep / 2;
    while (head > 0 && is_middle_of_character(head)) --head;
    while (is_middle_of_character(tail)) ++tail;
    const std::string shorter = text.substr(0, head) + "…" + text.substr(tail);
    if (ImGui::CalcTextSize(shorter.c_str()).x <= width) return shorter;
  }
  return "…";
}

}  // namespace attelier::desktop
