#include "app/desktop/style_shelf.h"

#include <GLFW/glfw3.h>
#include <fmt/format.h>
#include <imgui_stdlib.h>

#include <algorithm>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"
#include "core/base/error.h"

namespace attelier::desktop {
namespace {

constexpr const char* kPopup = "styles that are kept";

}  // namespace

void StyleShelf::open(ImVec2 corner) {
  corner_ = corner;
  opens_ = true;
  words_.clear();
  read();
}

void StyleShelf::keep(const std::filesystem::path& picture) {
  keeping_.push_back(std::async(std::launch::async, [picture, wake = wake_] {
    StyleLibrary library;
    StyleEntry entry = library.add(library.free_name(picture.stem().string()), picture);
    if (wake) wake();
    return entry;
  }));
}

void StyleShelf::take_kept(const ShelfCommands& commands) {
  for (auto& one : keeping_) {
    if (one.wait_for(std::chrono::seconds(0)) != std::future_status::ready) continue;
    try {
      commands.tell(fmt::format("Kept as \"{}\". The library of the form offers it from now on.", one.get().name));
    } catch (const std::exception& error) {
      commands.failed(error.what());
    }
    read();
  }
  std::erase_if(keeping_, [](const auto& one) { return !one.valid(); });
}

void StyleShelf::draw_menu(const StyleEntry& entry, const Theme& theme, const ShelfCommands& commands) {
  if (!ImGui::BeginPopupContextItem("menu")) return;
  const Scope popup(ImGui::EndPopup);
  if (ImGui::IsWindowAppearing()) {
    name_ = entry.name;
    notes_ = entry.notes;
  }
  const float width = theme.px(220);
  const auto guarded = [&](const auto& work) {
    try {
      work();
    } catch (const std::exception& error) {
      commands.failed(error.what());
    }
    ImGui::CloseCurrentPopup();
    read();
  };
  faint(theme, "Name");
  ImGui::SetNextItemWidth(width);
  if (ImGui::InputText("##name", &name_, ImGuiInputTextFlags_EnterReturnsTrue) && name_ != entry.name) guarded([&] { library_.rename(entry.name, name_); });
  faint(theme, "Notes");
  ImGui::SetNextItemWidth(width);
  if (ImGui::InputText("##notes", &notes_, ImGuiInputTextFlags_EnterReturnsTrue) && notes_ != entry.notes) guarded([&] { library_.annotate(entry.name, notes_); });
  ImGui::Separator();
  if (ImGui::MenuItem("Copy the picture's path")) ImGui::SetClipboardText(entry.picture.string().c_str());
  if (ImGui::MenuItem("Take out of the library")) guarded([&] { library_.remove(entry.name); });
}

void StyleShelf::draw_style(const StyleEntry& entry, ImVec2 corner, ImVec2 size, const Theme& theme, const ShelfCommands& commands) {
  ImGui::SetCursorScreenPos(corner);
  ImGui::PushID(entry.picture.c_str());
  const bool used = ImGui::InvisibleButton("style", size);
  const bool hovered = ImGui::IsItemHovered();
  mark("kept " + entry.name);
  tooltip(fmt::format("{}{}{}\nA click takes it as style; right-click for more.", entry.name, entry.notes.empty() ? "" : "\n" + entry.notes,
                      entry.inversions == 0 ? "" : fmt::format("\n{} inversion{} kept with it ({:.1f} MB): only the painting takes time", entry.inversions, entry.inversions == 1 ? "" : "s",
                                                               static_cast<double>(entry.inversion_bytes) / 1e6)));
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(corner, {corner.x + size.x, corner.y + size.y}, ImGui::GetColorU32(hovered ? ImGuiCol_ButtonHovered : ImGuiCol_Button), theme.px(6));
  const float pad = theme.px(6), side = size.x - 2 * pad;
  if (const SharedPicture picture = loader_.thumbnail(entry.thumbnail)) picture->on_screen().draw_within(list, {corner.x + pad, corner.y + pad}, side);
  ImFont* const font = theme.fonts().small;
  ImGui::PushFont(font);
  const std::string name = fitted(entry.name, side);
  const float wide = ImGui::CalcTextSize(name.c_str()).x;
  ImGui::PopFont();
  list.AddText(font, font->FontSize, {corner.x + (size.x - wide) / 2, corner.y + side + 2 * pad - theme.px(2)}, theme.palette().text, name.c_str());
  draw_menu(entry, theme, commands);
  ImGui::PopID();
  if (!used) return;
  commands.use(entry.picture);
  ImGui::CloseCurrentPopup();
}

void StyleShelf::draw(const Theme& theme, const ShelfCommands& commands) {
  take_kept(commands);
  if (std::exchange(opens_, false)) ImGui::OpenPopup(kPopup);
  const ImVec2 screen = ImGui::GetIO().DisplaySize, size = {std::min(theme.px(580), screen.x - theme.px(24)), std::min(theme.px(440), screen.y - theme.px(80))};
  ImGui::SetNextWindowPos({std::clamp(corner_.x, theme.px(12), screen.x - size.x - theme.px(12)), std::clamp(corner_.y, theme.px(32), screen.y - size.y - theme.px(40))});
  ImGui::SetNextWindowSize(size);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(theme.px(16), theme.px(14)));
  open_ = ImGui::BeginPopup(kPopup, ImGuiWindowFlags_NoMove);
  ImGui::PopStyleVar();
  if (!open_) return;
  const Scope popup(ImGui::EndPopup);
  if (ImGui::IsKeyPressed(GLFW_KEY_ESCAPE)) ImGui::CloseCurrentPopup();
  const float add = theme.px(130);
  if (ImGui::IsWindowAppearing()) ImGui::SetKeyboardFocusHere();
  ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - add - ImGui::GetStyle().ItemSpacing.x);
  if (input_text("##search", words_, "Search names and notes")) read();
  ImGui::SameLine();
  if (ImGui::Button("Add a picture…", {add, 0})) {
    ImGui::CloseCurrentPopup();
    commands.add_file();
  }
  ImGui::BeginChild("shelf");
  const Scope child(ImGui::EndChild);
  if (entries_.empty()) {
    ImGui::Dummy({0, theme.px(8)});
    wrapped(theme.palette().faint, !words_.empty() ? "No style fits these words." : "No style is kept yet. Right-click a style of the form, or a picture of the history, and choose \"Keep in the library\".");
    return;
  }
  const float gap = theme.px(8), wanted = theme.px(128);
  const int columns = std::max(1, static_cast<int>((ImGui::GetContentRegionAvail().x + gap) / (wanted + gap)));
  const float width = std::floor((ImGui::GetContentRegionAvail().x - gap * static_cast<float>(columns - 1)) / static_cast<float>(columns)), height = width + theme.px(24);
  const ImVec2 start = ImGui::GetCursorScreenPos();
  const std::vector<StyleEntry> shown = entries_;  // a menu may change them
  for (size_t i = 0; i < shown.size(); ++i) {
    const auto column = static_cast<float>(i % static_cast<size_t>(columns)), row = static_cast<float>(i / static_cast<size_t>(columns));
    const ImVec2 corner = {start.x + column * (width + gap), start.y + row * (height + gap)};
    ImGui::SetCursorScreenPos(corner);
    if (ImGui::IsRectVisible({width, height})) draw_style(shown[i], corner, {width, height}, theme, commands);
    else ImGui::Dummy({width, height});
  }
}

}  // namespace attelier::desktop
