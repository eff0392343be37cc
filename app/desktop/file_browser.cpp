#include "app/desktop/file_browser.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"
#include "core/base/files.h"
#include "core/text/byte_pairs.h"

namespace attelier::desktop {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostItems = 200'000;

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

fs::path home() {
  const char* value = std::getenv("HOME");
  return value == nullptr || value[0] == 0 ? fs::path("/") : fs::path(value);
}

std::string size_text(uintmax_t bytes) {
  return bytes < 1000 ? fmt::format("{} B", bytes) : bytes < 1'000'000 ? fmt::format("{:.0f} kB", static_cast<double>(bytes) / 1e3) : fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

}  // namespace

const std::vector<std::string>& picture_extensions() {
  static const std::vector<std::string> extensions = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"};
  return extensions;
}

void FileBrowser::open(FileRequest request) {
  request_ = std::move(request);
  name_ = request_.name;
  picked_.clear();
  asks_ = false;
  if (folder_.empty()) {
    std::error_code error;
    folder_ = fs::current_path(error);
  }
  enter(folder_);
  open_ = true;
}

bool FileBrowser::is_wanted(const fs::path& path) const {
  if (request_.extensions.empty()) return true;
  const std::string extension = lower(path.extension().string());
  return std::find(request_.extensions.begin(), request_.extensions.end(), extension) != request_.extensions.end();
}

void FileBrowser::enter(const fs::path& folder) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(folder, error);
  fs::directory_iterator entries(error ? folder : real, fs::directory_options::skip_permission_denied, error);
  if (error) {
    problem_ = fmt::format("{}: {}", folder.string(), error.message());
    return;
  }
  problem_.clear();
  folder_ = real;
  typed_folder_ = folder_.string();
  filter_.clear();
  types_ = !request_.save;
  picked_.clear();
  items_.clear();
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    const bool is_folder = entry.is_directory(error);
    if (name.starts_with(".") || (!is_folder && !is_wanted(entry.path()))) continue;
    items_.push_back({entry.path(), name, text::normalised(name), is_folder});
    if (items_.size() >= kMostItems) {
      problem_ = fmt::format("the folder has more than {} entries; type the path of those that are not shown", kMostItems);
      break;
    }
  }
  std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) { return std::tie(b.is_folder, a.key, a.name) < std::tie(a.is_folder, b.key, b.name); });
}

void FileBrowser::go_to(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) enter(path);
  else if (fs::exists(path, error)) choose(path);
  else problem_ = path.string() + ": there is no such file or folder";
}

std::optional<fs::path> FileBrowser::typed_path() const {
  if (filter_.starts_with("/")) return filter_;
  if (filter_ == "~" || filter_.starts_with("~/")) return home() / filter_.substr(std::min<size_t>(2, filter_.size()));
  return std::nullopt;
}

std::vector<const FileBrowser::Item*> FileBrowser::shown_items() const {
  const std::string wanted = typed_path() ? "" : text::normalised(filter_);
  std::vector<const Item*> shown;
  for (const Item& item : items_)
    if (item.key.find(wanted) != std::string::npos) shown.push_back(&item);
  return shown;
}

void FileBrowser::choose(const fs::path& path) {
  std::error_code error;
  if (request_.save && fs::exists(path, error) && !asks_) {
    asks_ = true;
    return;
  }
  open_ = false;
  ImGui::CloseCurrentPopup();
  if (request_.chosen) request_.chosen(path);
}

void FileBrowser::draw_places(const Theme& theme) {
  std::error_code error;
  const std::pair<const char*, fs::path> places[] = {{"Home", home()}, {"Pictures", home() / "Pictures"}, {"Downloads", home() / "Downloads"}, {"Here", fs::current_path(error)},
                                                     {"Examples", assets_folder() / "examples"}, {"Computer", "/"}};
  ImGui::BeginChild("places", {theme.px(140), -theme.px(44)});
  const Scope child(ImGui::EndChild);
  faint(theme, "Places");
  for (const auto& [label, path] : places)
    if (fs::exists(path, error) && ImGui::Selectable(label, folder_ == path)) enter(path);
}

void FileBrowser::draw_items(const Theme& theme) {
  ImGui::BeginChild("items", {0, -theme.px(44)});
  const Scope child(ImGui::EndChild);
  if (!problem_.empty()) wrapped(theme.palette().warn, problem_);
  const std::vector<const Item*> shown = shown_items();
  if (shown.empty() && problem_.empty()) faint(theme, request_.extensions.empty() ? "Nothing here." : "No pictures here.");
  const float cell = theme.px(128), thumbnail = theme.px(96);
  const int columns = std::max(1, static_cast<int>(ImGui::GetContentRegionAvail().x / cell));
  const int rows = (static_cast<int>(shown.size()) + columns - 1) / columns;
  const float height = thumbnail + theme.px(40);
  fs::path next;
  ImGuiListClipper clipper;
  clipper.Begin(rows, height);
  while (clipper.Step())
    for (int row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row) {
      const ImVec2 start = ImGui::GetCursorScreenPos();
      for (int column = 0; column < columns; ++column) {
        const auto index = static_cast<size_t>(row * columns + column);
        if (index >= shown.size()) break;
        const Item& item = *shown[index];
        ImGui::PushID(item.name.c_str());
        const ImVec2 corner = {start.x + static_cast<float>(column) * cell, start.y};
        ImGui::SetCursorScreenPos(corner);
        if (ImGui::Selectable("##item", picked_ == item.path, ImGuiSelectableFlags_AllowDoubleClick, {cell - theme.px(8), height - theme.px(8)})) {
          picked_ = item.path;
          if (!item.is_folder) name_ = item.name;
          if (ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) next = item.path;
        }
        if (ImGui::IsItemHovered()) {
          std::error_code error;
          const uintmax_t bytes = item.is_folder ? 0 : fs::file_size(item.path, error);
          tooltip(item.is_folder || error ? item.name : fmt::format("{}\n{}", item.name, size_text(bytes)));
        }
        ImDrawList& list = *ImGui::GetWindowDrawList();
        const ImVec2 middle = {corner.x + (cell - theme.px(8)) / 2, corner.y + thumbnail / 2 + theme.px(4)};
        const SharedPicture picture = item.is_folder ? nullptr : loader_.thumbnail(item.path);
        if (picture) {
          picture->on_screen().draw_within(list, {middle.x - thumbnail / 2, middle.y - thumbnail / 2}, thumbnail);
        } else {  // a folder, or a sheet
          const float w = theme.px(item.is_folder ? 30 : 22), h = theme.px(item.is_folder ? 22 : 28);
          list.AddRectFilled({middle.x - w, middle.y - h}, {middle.x + w, middle.y + h}, theme.palette().checker, theme.px(4));
          if (item.is_folder) list.AddRectFilled({middle.x - w, middle.y - h - theme.px(6)}, {middle.x - w / 4, middle.y}, theme.palette().checker, theme.px(4));
        }
        const std::string label = fitted(item.name, cell - theme.px(16));
        const float width = ImGui::CalcTextSize(label.c_str()).x;
        list.AddText({middle.x - width / 2, corner.y + thumbnail + theme.px(10)}, theme.palette().text, label.c_str());
        ImGui::PopID();
      }
      ImGui::SetCursorScreenPos({start.x, start.y + height});
    }
  clipper.End();
  if (!next.empty()) go_to(next);
}

void FileBrowser::draw(const Theme& theme) {
  if (!open_) return;
  const std::string id = request_.title + "###file browser";
  ImGui::OpenPopup("###file browser");
  const ImVec2 screen = ImGui::GetIO().DisplaySize;
  ImGui::SetNextWindowSize({std::min(screen.x * 0.9f, theme.px(1000)), std::min(screen.y * 0.9f, theme.px(680))}, ImGuiCond_Always);
  ImGui::SetNextWindowPos({screen.x / 2, screen.y / 2}, ImGuiCond_Always, {0.5f, 0.5f});
  if (!ImGui::BeginPopupModal(id.c_str(), nullptr, ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoResize)) return;
  const Scope popup(ImGui::EndPopup);
  const auto close = [&] {
    open_ = false;
    ImGui::CloseCurrentPopup();
  };
  bool confirmed = false, typed = false;  // by Enter: what is picked or named; a field that leads elsewhere
  if (ImGui::Button("Up")) enter(folder_.parent_path());
  ImGui::SameLine();
  ImGui::SetNextItemWidth(-theme.px(188));
  if (input_text("##folder", typed_folder_, nullptr, ImGuiInputTextFlags_EnterReturnsTrue)) {
    typed = true;
    go_to(typed_folder_);
  }
  mark("folder");
  ImGui::SameLine();
  ImGui::SetNextItemWidth(-FLT_MIN);
  if (std::exchange(types_, false)) ImGui::SetKeyboardFocusHere();
  if (input_text("##filter", filter_, "Filter, or a path", ImGuiInputTextFlags_EnterReturnsTrue)) {
    typed = !filter_.empty();
    const std::vector<const Item*> shown = shown_items();
    if (const auto path = typed_path()) go_to(*path);
    else if (typed && !shown.empty()) go_to(shown.front()->path);
    types_ = true;
  }
  mark("filter");
  if (!open_) return;
  ImGui::Dummy({0, theme.px(2)});
  draw_places(theme);
  ImGui::SameLine();
  draw_items(theme);
  ImGui::Dummy({0, theme.px(2)});
  if (request_.save) {
    ImGui::SetNextItemWidth(theme.px(380));
    if (ImGui::IsWindowAppearing()) ImGui::SetKeyboardFocusHere();
    const std::string before = name_;
    confirmed = input_text("##name", name_, "Name", ImGuiInputTextFlags_EnterReturnsTrue);
    if (name_ != before) asks_ = false;
    ImGui::SameLine();
  }
  if (asks_) {
    coloured(theme.palette().warn, name_ + " is there already.");
    ImGui::SameLine();
  }
  ImGui::SetCursorPosX(ImGui::GetContentRegionMax().x - theme.px(228));
  if (ImGui::Button("Cancel", {theme.px(108), 0}) || ImGui::IsKeyPressed(ImGui::GetKeyIndex(ImGuiKey_Escape))) close();
  ImGui::SameLine();
  std::error_code error;
  const fs::path target = request_.save ? (name_.empty() ? fs::path() : folder_ / name_) : picked_;
  const bool is_folder = !request_.save && fs::is_directory(target, error);
  ImGui::BeginDisabled(target.empty());
  if (!typed && !ImGui::IsAnyItemActive() && ImGui::IsKeyPressed(ImGui::GetKeyIndex(ImGuiKey_Enter), false)) confirmed = true;
  if (primary_button(asks_ ? "Replace" : request_.save ? "Save" : is_folder && !request_.folders ? "Open folder" : "Choose", {theme.px(108), 0}, theme) || (confirmed && !target.empty())) {
    if (is_folder && !request_.folders) enter(target);
    else choose(target);
  }
  ImGui::EndDisabled();
}

}  // namespace attelier::desktop
