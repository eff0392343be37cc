#include "app/desktop/widgets.h"

#include <imgui_stdlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

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

bool bar_slider(const char* id, double& number, double lowest, double highest, const char* format, const Theme& theme, BarLook look) {
  const ImVec2 from = ImGui::GetCursorScreenPos(), to = {from.x + ImGui::CalcItemWidth(), from.y + ImGui::GetFrameHeight()};
  // ImGui's logarithmic sliders that reach zero begin at the last digit shown.
  const char* const point = std::strchr(format, '.');
  const double start = lowest > 0 ? lowest : std::pow(0.1, point != nullptr ? std::atoi(point + 1) : 3);
  const double share = look.logarithmic ? std::log(std::max(number, start) / start) / std::log(highest / start) : (number - lowest) / (highest - lowest);
  const float end = from.x + (to.x - from.x) * static_cast<float>(std::clamp(share, 0.0, 1.0)), rounding = ImGui::GetStyle().FrameRounding;
  const auto faded = [](ImU32 colour, unsigned alpha) { return (colour & ~IM_COL32_A_MASK) | (alpha << IM_COL32_A_SHIFT); };
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(from, to, ImGui::GetColorU32(ImGui::IsMouseHoveringRect(from, to) ? ImGuiCol_FrameBgHovered : ImGuiCol_FrameBg), rounding);
  list.PushClipRect(from, {end, to.y}, true);
  list.AddRectFilled(from, to, faded(theme.palette().accent, look.quiet ? 0x30 : 0x70), rounding);
  list.PopClipRect();
  list.AddLine({end, from.y + theme.px(2)}, {end, to.y - theme.px(2)}, faded(theme.palette().accent, look.quiet ? 0x80 : 0xFF), theme.px(2));
  constexpr ImGuiCol kDrawn[] = {ImGuiCol_FrameBg, ImGuiCol_FrameBgHovered, ImGuiCol_FrameBgActive, ImGuiCol_SliderGrab, ImGuiCol_SliderGrabActive};
  for (const ImGuiCol colour : kDrawn) ImGui::PushStyleColor(colour, IM_COL32(0, 0, 0, 0));
  if (look.quiet) ImGui::PushStyleColor(ImGuiCol_Text, theme.palette().faint);
  const bool changed = ImGui::SliderScalar(id, ImGuiDataType_Double, &number, &lowest, &highest, format, (look.logarithmic ? ImGuiSliderFlags_Logarithmic : 0) | ImGuiSliderFlags_AlwaysClamp);
  ImGui::PopStyleColor(static_cast<int>(std::size(kDrawn)) + (look.quiet ? 1 : 0));
  return changed;
}

bool bar_slider(const char* id, int& number, int lowest, int highest, const char* format, const Theme& theme, BarLook look) {
  double exact = number;
  if (!bar_slider(id, exact, lowest, highest, format, theme, look)) return false;
  const int before = std::exchange(number, static_cast<int>(std::lround(exact)));
  return number != before;
}

bool sign_button(const char* id, Sign sign, float side, const Theme& theme) {
  const ImVec2 corner = ImGui::GetCursorScreenPos(), middle = {corner.x + side / 2, corner.y + side / 2};
  const bool pressed = ImGui::InvisibleButton(id, {side, side}), hovered = ImGui::IsItemHovered();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  if (hovered) list.AddRectFilled(corner, {corner.x + side, corner.y + side}, ImGui::GetColorU32(ImGui::IsItemActive() ? ImGuiCol_ButtonActive : ImGuiCol_ButtonHovered), ImGui::GetStyle().FrameRounding);
  const bool enabled = ImGui::GetStyle().Alpha > 0.99f;
  const ImU32 base = hovered ? theme.palette().text : theme.palette().faint, colour = enabled ? base : (base & ~IM_COL32_A_MASK) | (0x50u << IM_COL32_A_SHIFT);
  const float reach = side * 0.2f, line = theme.px(1.5);
  if (sign == Sign::kCross) {
    list.AddLine({middle.x - reach, middle.y - reach}, {middle.x + reach, middle.y + reach}, colour, line);
    list.AddLine({middle.x - reach, middle.y + reach}, {middle.x + reach, middle.y - reach}, colour, line);
  } else {
    const float tip = sign == Sign::kUp ? -reach / 2 : reach / 2;
    const ImVec2 points[] = {{middle.x - reach, middle.y - tip}, {middle.x, middle.y + tip}, {middle.x + reach, middle.y - tip}};
    list.AddPolyline(points, 3, colour, 0, line);
  }
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
  if (ImGui::IsItemActive() && !ImGui::IsItemActivated()) size += towards * (vertical ? ImGui::GetIO().MouseDelta.x : ImGui::GetIO().MouseDelta.y);
  size = std::clamp(size, minimum, std::max(minimum, maximum));
}

void tab(const std::string& label, const std::function<void()>& draw, bool front) {
  if (!ImGui::BeginTabItem(label.c_str(), nullptr, front ? ImGuiTabItemFlags_SetSelected : ImGuiTabItemFlags_None)) return;
  const Scope item(ImGui::EndTabItem);
  draw();
}

void star(ImDrawList& list, ImVec2 centre, float radius, ImU32 colour) {
  const auto corner = [&](int i, double reach) {
    const double angle = (static_cast<double>(i) / 5 - 0.5) * 3.14159265358979;  // i = 0 points up, each further one a tenth of a turn on
    return ImVec2(centre.x + radius * static_cast<float>(reach * std::cos(angle)), centre.y + radius * static_cast<float>(reach * std::sin(angle)));
  };
  for (int i = 0; i < 10; i += 2) list.AddQuadFilled(centre, corner(i - 1, 0.42), corner(i, 1), corner(i + 1, 0.42), colour);
}

bool rating_stars(const char* id, int& rating, const Theme& theme) {
  const float side = theme.px(24);
  const ImVec2 corner = ImGui::GetCursorScreenPos();
  const bool pressed = ImGui::InvisibleButton(id, {5 * side, side});
  const bool hovered = ImGui::IsItemHovered();
  const int pointed = std::clamp(static_cast<int>((ImGui::GetIO().MousePos.x - corner.x) / side) + 1, 1, 5);
  if (hovered) tooltip(pointed == rating ? "Takes the rating back" : "Rates it " + std::to_string(pointed) + " of 5");
  for (int i = 0; i < 5; ++i) {
    const bool shines = hovered ? i < pointed : i < rating;
    star(*ImGui::GetWindowDrawList(), {corner.x + (static_cast<float>(i) + 0.5f) * side, corner.y + side / 2}, theme.px(9), shines ? theme.palette().warn : ImGui::GetColorU32(ImGuiCol_FrameBg));
  }
  if (pressed) rating = pointed == rating ? 0 : pointed;
  return pressed;
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
