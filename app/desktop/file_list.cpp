#include "app/desktop/file_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "app/desktop/landmarks.h"
#include "app/desktop/mask_painter.h"
#include "app/desktop/widgets.h"

namespace attelier::desktop {
namespace {

constexpr double kLightest = 0.05, kHeaviest = 5;  // of the slider; a job may say more

const ParameterDescription* find_parameter(const Method& method, const std::string& name) {
  const auto found = std::find_if(method.parameters.begin(), method.parameters.end(), [&](const ParameterDescription& d) { return d.name == name; });
  return found == method.parameters.end() ? nullptr : &*found;
}

/// The masks of which there is one for each file of this input.
const InputDescription* find_regions(const Method& method, const InputDescription& input) {
  const auto found = std::find_if(method.inputs.begin(), method.inputs.end(), [&](const InputDescription& one) { return one.one_per == input.name && !one.painted_over.empty(); });
  return found == method.inputs.end() ? nullptr : &*found;
}

/// One number for each file: those of the job where they fit, else ones.
std::vector<double> weights_of(const Json& value, size_t count) {
  std::vector<double> weights(count, 1);
  for (size_t i = 0; value.is_array() && value.size() == count && i < count; ++i)
    if (value[i].is_number()) weights[i] = value[i].get<double>();
  return weights;
}

}  // namespace

bool draw_file_square(const char* id, const std::filesystem::path& file, float side, const FormValues& values, const Theme& theme) {
  const ImVec2 corner = ImGui::GetCursorScreenPos();
  const bool pressed = ImGui::InvisibleButton(id, {side, side});
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(corner, {corner.x + side, corner.y + side}, ImGui::GetColorU32(ImGui::IsItemHovered() ? ImGuiCol_FrameBgHovered : ImGuiCol_FrameBg), theme.px(4));
  if (Texture* const texture = file.empty() ? nullptr : values.thumbnail(file)) texture->draw_within(list, corner, side);
  else if (file.empty()) list.AddText({corner.x + side / 2 - theme.px(4), corner.y + side / 2 - theme.px(9)}, theme.palette().faint, "+");
  return pressed;
}

void draw_file_list(const Method& method, const InputDescription& input, const FormValues& values, const Theme& theme) {
  std::vector<std::filesystem::path> files = values.input(input.name);
  const ParameterDescription* const weighs = find_parameter(method, input.weights);
  const InputDescription* const regions = find_regions(method, input);
  std::string label = input.name;
  label[0] = static_cast<char>(std::toupper(label[0]));
  const float side = theme.px(44), frame = ImGui::GetFrameHeight(), gap = theme.px(4);
  const bool several = files.size() > 1, can_paint = regions != nullptr && !values.input(regions->painted_over).empty();
  std::vector<double> weights = weights_of(weighs == nullptr ? Json() : values.parameter(weighs->name), files.size());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  bool any_painted = false;
  for (size_t i = 0; can_paint && i < files.size(); ++i) any_painted |= !values.painted(regions->name, i).empty();
  std::optional<std::vector<size_t>> order;
  std::optional<size_t> removed;
  const auto moved = [&](size_t from, size_t to) {
    order.emplace(files.size());
    std::iota(order->begin(), order->end(), size_t{0});
    order->erase(order->begin() + static_cast<std::ptrdiff_t>(from));
    order->insert(order->begin() + static_cast<std::ptrdiff_t>(to), from);
  };

  for (size_t i = 0; i < files.size(); ++i) {
    ImGui::PushID(static_cast<int>(i));
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    if (several) {
      ImGui::GetWindowDrawList()->AddRectFilled(corner, {corner.x + theme.px(3), corner.y + side}, region_colour(i), theme.px(2));
      ImGui::Indent(theme.px(7));
    }
    const std::string name = fmt::format("{} {}", input.name, i + 1);
    draw_file_square("picture", files[i], side, values, theme);
    mark(name);
    if (!ImGui::IsItemActive()) tooltip(fmt::format("{}{}", files[i].string(), several ? "\nDrag it onto another row to change the order; right-click for more." : "\nRight-click for more."));
    if (ImGui::BeginPopupContextItem("menu")) {
      if (several && i > 0 && ImGui::MenuItem("Move up")) moved(i, i - 1);
      if (i + 1 < files.size() && ImGui::MenuItem("Move down")) moved(i, i + 1);
      if (values.keep) {
        const bool wanted = ImGui::MenuItem("Keep in the library");
        mark("keep");
        if (wanted) values.keep(files[i]);
      }
      if (ImGui::MenuItem("Remove")) removed = i;
      ImGui::EndPopup();
    }
    if (several && ImGui::BeginDragDropSource()) {
      ImGui::SetDragDropPayload("file of a list", &i, sizeof i);
      draw_file_square("dragged", files[i], side, values, theme);
      ImGui::EndDragDropSource();
    }
    if (ImGui::BeginDragDropTarget()) {
      if (const ImGuiPayload* const payload = ImGui::AcceptDragDropPayload("file of a list")) moved(*static_cast<const size_t*>(payload->Data), i);
      ImGui::EndDragDropTarget();
    }
    ImGui::SameLine();
    ImGui::BeginGroup();
    const float left = ImGui::GetCursorPosX(), right = ImGui::GetContentRegionMax().x, sign = ImGui::GetTextLineHeight() + theme.px(2), buttons = several ? 3 * sign : sign;
    ImGui::TextUnformatted(fitted(files[i].stem().string(), right - left - buttons - theme.px(8)).c_str());
    ImGui::SameLine();
    ImGui::SetCursorPosX(right - buttons);
    if (several) {
      ImGui::BeginDisabled(i == 0);
      if (sign_button("up", Sign::kUp, sign, theme)) moved(i, i - 1);
      mark(name + " up");
      tooltip("Up");
      ImGui::EndDisabled();
      ImGui::SameLine(0, 0);
      ImGui::BeginDisabled(i + 1 == files.size());
      if (sign_button("down", Sign::kDown, sign, theme)) moved(i, i + 1);
      tooltip("Down");
      ImGui::EndDisabled();
      ImGui::SameLine(0, 0);
    }
    if (sign_button("remove", Sign::kCross, sign, theme)) removed = i;
    mark(name + " remove");
    tooltip("Remove");
    ImGui::PushFont(theme.fonts().small);
    const float paint = can_paint ? theme.px(several ? 104 : 150) : 0;
    if (several && weighs != nullptr) {
      ImGui::SetNextItemWidth(right - left - (can_paint ? paint + gap : 0));
      const std::string shown = fmt::format("{:.0f} %%", 100 * weights[i] / sum);
      if (bar_slider("##weight", weights[i], kLightest, kHeaviest, shown.c_str(), theme, {.logarithmic = true})) {
        for (double& weight : weights) weight = std::round(weight * 100) / 100;
        const bool equal = std::all_of(weights.begin(), weights.end(), [&](double weight) { return weight == weights.front(); });
        values.change(*weighs, equal ? Json() : Json(weights));
      }
      mark(name + " weight");
      tooltip(fmt::format("Weight {:g}: how much of this style is taken where several act. Ctrl+click to type it.", weights[i]));
      if (can_paint) ImGui::SameLine(0, gap);
    }
    if (can_paint) {
      const std::string painted = values.painted(regions->name, i);
      const bool on = values.is_painting(regions->name, i);
      if (on) ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyle().Colors[ImGuiCol_ButtonActive]);
      const std::string shown = !painted.empty() ? painted : any_painted ? "the rest" : several ? "Paint region" : "Paint where it acts";
      if (ImGui::Button((shown + "###paint").c_str(), {paint, 0})) values.paint(regions->name, i);
      mark(name + " paint");
      if (on) ImGui::PopStyleColor();
      tooltip("Paint over the photograph where this style acts (B).\nA style that is not painted acts where no other one is; without any painting all act everywhere.");
    }
    ImGui::PopFont();
    ImGui::EndGroup();
    if (several) ImGui::Unindent(theme.px(7));
    ImGui::PopID();
  }

  // Where the next one comes in.
  if (input.most == 0 || files.size() < input.most) {
    if (draw_file_square("browse", {}, files.empty() ? side : theme.px(28), values, theme)) values.browse(input.name, true);
    mark(input.name);
    tooltip(input.help + ". Click to choose a file, or drop one here.");
    ImGui::SameLine();
    ImGui::BeginGroup();
    if (files.empty()) {
      ImGui::TextUnformatted((label + (input.required ? " *" : "")).c_str());
      ImGui::PushFont(theme.fonts().small);
      faint(theme, "drop a picture or click");
      ImGui::PopFont();
    } else {
      ImGui::AlignTextToFramePadding();
      faint(theme, fmt::format("mix in another {}", input.name));
    }
    ImGui::EndGroup();
    if (values.open_library) {
      const char* const text = "Library…";
      ImGui::SameLine();
      ImGui::SetCursorPosX(ImGui::GetContentRegionMax().x - ImGui::CalcTextSize(text).x - 2 * ImGui::GetStyle().FramePadding.x);
      const ImVec2 corner = ImGui::GetCursorScreenPos();
      const bool wanted = ImGui::Button(text);
      mark(input.name + " library");
      if (wanted) values.open_library(input, {corner.x, corner.y + frame});
      tooltip("Styles that you keep: a click uses one. Their inversions are kept too, so that only the painting takes time.");
    }
  }
  if (removed) {
    files.erase(files.begin() + static_cast<std::ptrdiff_t>(*removed));
    std::vector<size_t> rest(files.size());
    for (size_t i = 0; i < rest.size(); ++i) rest[i] = i < *removed ? i : i + 1;
    values.reorder(input, rest);
  } else if (order) {
    values.reorder(input, *order);
  }
}

}  // namespace attelier::desktop
