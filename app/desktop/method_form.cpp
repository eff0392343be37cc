#include "app/desktop/method_form.h"

#include <fmt/format.h>
#include <imgui.h>
#include <imgui_internal.h>
#include <imgui_stdlib.h>

#include <algorithm>
#include <cinttypes>

#include "app/desktop/editor.h"
#include "app/desktop/file_list.h"
#include "app/desktop/landmarks.h"
#include "app/desktop/strength_table.h"
#include "app/desktop/widgets.h"

namespace attelier::desktop {
namespace {

using enum ParameterType;

constexpr double kLabelShare = 0.36;  // of the form's width
constexpr double kSlidersUpTo = 100;  // wider ranges are typed or dragged

std::string plain_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.is_null() ? "" : value.dump();
  std::string text;
  for (const Json& one : value) text += (text.empty() ? "" : ", ") + plain_text(one);
  return text;
}

bool is_prompt(const ParameterDescription& d) { return d.type == kText && d.name.find("prompt") != std::string::npos; }

}  // namespace

void MethodForm::draw(const Method& method, const FormValues& values, const FormGroup& common, const Theme& theme) {
  prompt_editor_.begin_frame();
  const auto weights = std::find_if(method.parameters.begin(), method.parameters.end(), [](const ParameterDescription& d) { return d.name == "prompt_weights"; });
  prompt_weights_ = weights == method.parameters.end() ? nullptr : &*weights;
  draw_inputs(method, values, theme);
  for (const ParameterDescription& d : method.parameters)
    if (!d.advanced && is_prompt(d)) draw_parameter(d, values, theme);
  draw_strength_table(method, values, theme);
  section("SETTINGS", theme);
  const auto has_own_place = [&](const ParameterDescription& d) {
    return is_in_strength_table(method, d.name) || std::any_of(method.inputs.begin(), method.inputs.end(), [&](const InputDescription& input) { return input.weights == d.name; });
  };
  for (const ParameterDescription& d : method.parameters)
    if (!d.advanced && !is_prompt(d) && !has_own_place(d)) draw_parameter(d, values, theme);
  ParameterDescriptions advanced;
  std::copy_if(method.parameters.begin(), method.parameters.end(), std::back_inserter(advanced), [](const ParameterDescription& d) { return d.advanced; });
  ImGui::Dummy({0, theme.px(4)});
  if (draw_heading("Advanced", advanced, values))
    for (const ParameterDescription& d : advanced) draw_parameter(d, values, theme);
  ImGui::PushID("common");
  section_ = "common ";
  if (draw_heading(common.title, common.parameters, common.values))
    for (const ParameterDescription& d : common.parameters) draw_parameter(d, common.values, theme);
  section_ = "parameter ";
  ImGui::PopID();
}

bool MethodForm::draw_heading(const std::string& title, const ParameterDescriptions& parameters, const FormValues& values) {
  const auto count = std::count_if(parameters.begin(), parameters.end(), [&](const ParameterDescription& d) {
    const Json value = values.parameter(d.name);
    return !value.is_null() && value != d.default_value;
  });
  ImGui::PushStyleColor(ImGuiCol_Header, IM_COL32(0, 0, 0, 0));
  const bool open = ImGui::CollapsingHeader(fmt::format("{}{}###{}", title, count == 0 ? "" : fmt::format(", {} changed", count), title).c_str());
  ImGui::PopStyleColor();
  mark(title);
  return open;
}

std::string MethodForm::input_at(double x, double y) const {
  for (const auto& [name, area] : areas_)
    if (x >= area.from.x && x < area.to.x && y >= area.from.y && y < area.to.y) return name;
  return "";
}

void MethodForm::draw_inputs(const Method& method, const FormValues& values, const Theme& theme) {
  areas_.clear();
  if (method.inputs.empty()) return;
  section("PICTURES", theme);
  for (const InputDescription& input : method.inputs) {
    if (!input.one_per.empty() && !input.painted_over.empty()) continue;  // painted in the rows of the files that it has one for
    const ImVec2 from = ImGui::GetCursorScreenPos();
    ImGui::PushID(input.name.c_str());
    if (input.several) draw_file_list(method, input, values, theme);
    else draw_file(input, values, theme);
    if (const std::string problem = values.problem(input.name); !problem.empty()) wrapped(theme.palette().bad, problem);
    ImGui::PopID();
    areas_[input.name] = {from, {from.x + ImGui::GetContentRegionAvail().x, ImGui::GetCursorScreenPos().y}};
  }
}

void MethodForm::draw_file(const InputDescription& input, const FormValues& values, const Theme& theme) {
  const std::vector<std::filesystem::path> files = values.input(input.name);
  std::string label = input.name;
  label[0] = static_cast<char>(std::toupper(label[0]));
  const float side = theme.px(44);
  if (draw_file_square("browse", files.empty() ? std::filesystem::path() : files.front(), side, values, theme)) values.browse(input.name, true);
  mark(input.name);
  tooltip(input.help + " Click to choose a file, or drop one here.");
  ImGui::SameLine();
  ImGui::BeginGroup();
  ImGui::TextUnformatted((label + (input.required ? " *" : "")).c_str());
  ImGui::PushFont(theme.fonts().small);
  const float width = ImGui::GetContentRegionAvail().x - theme.px(60);
  const bool can_paint = !input.painted_over.empty() && values.paint && !values.input(input.painted_over).empty();
  const std::string painted = can_paint ? values.painted(input.name, 0) : "";
  if (!painted.empty()) faint(theme, painted);
  else faint(theme, files.empty() ? (input.required ? "drop a picture or click" : "none") : fitted(files.front().filename().string(), width));
  if (can_paint) {
    ImGui::SameLine();
    ImGui::SetCursorPosX(ImGui::GetContentRegionMax().x - theme.px(files.empty() && painted.empty() ? 52 : 104));
    if (ImGui::SmallButton("Paint")) values.paint(input.name, 0);
    tooltip("Paint what is to be made anew (B)");
  }
  if (!files.empty() || !painted.empty()) {
    ImGui::SameLine();
    ImGui::SetCursorPosX(ImGui::GetContentRegionMax().x - theme.px(52));
    if (ImGui::SmallButton("Clear")) values.change_input(input, {});
  }
  ImGui::PopFont();
  ImGui::EndGroup();
}

void MethodForm::draw_parameter(const ParameterDescription& d, const FormValues& values, const Theme& theme) {
  ImGui::PushID(d.name.c_str());
  const Json given = values.parameter(d.name);
  Json value = given.is_null() ? d.default_value : given;
  const bool is_changed = !given.is_null() && given != d.default_value;
  const float left = ImGui::GetCursorPosX(), width = ImGui::GetContentRegionAvail().x;
  const std::string help = fmt::format("{}\n{} · {}", d.help, d.name, allowed_text(d));
  bool edited = false;
  const auto label = [&] {
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(d.label.c_str());
    tooltip(help);
    if (is_changed) {
      ImGui::SameLine(0, theme.px(5));
      coloured(theme.palette().accent, "•");
      tooltip("Changed; double-click to go back to " + (d.default_value.is_null() ? std::string("automatic") : plain_text(d.default_value)));
      if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) values.change(d, nullptr);
    }
  };
  if (is_prompt(d)) {
    label();
    edited = draw_prompt(d, value, values, theme);
  } else {
    label();
    ImGui::SameLine();
    ImGui::SetCursorPosX(left + width * static_cast<float>(kLabelShare));
    ImGui::SetNextItemWidth(width * static_cast<float>(1 - kLabelShare));
    edited = draw_control(d, value, values, theme);
    mark(section_ + d.name);
  }
  if (ImGui::BeginPopupContextItem("menu")) {
    if (ImGui::MenuItem("Reset", nullptr, false, is_changed)) values.change(d, nullptr);
    if (ImGui::MenuItem("Copy value")) ImGui::SetClipboardText(plain_text(value).c_str());
    ImGui::EndPopup();
  }
  if (edited) values.change(d, value);
  if (const std::string problem = values.problem(d.name); !problem.empty()) wrapped(theme.palette().bad, problem);
  ImGui::PopID();
}

bool MethodForm::draw_prompt(const ParameterDescription& d, Json& value, const FormValues& values, const Theme& theme) {
  if (d.name == "prompt" && std::exchange(focuses_prompt_, false)) prompt_editor_.focus();
  std::string text = plain_text(value);
  std::optional<bool> reads_weights;
  if (prompt_weights_ != nullptr) reads_weights = values.parameter(prompt_weights_->name) == Json(true);
  const bool read_before = reads_weights.value_or(false);
  const bool edited = prompt_editor_.draw(text, d.name == "prompt" ? 3 : 2, reads_weights, values.token_text, theme);
  if (edited) value = text.empty() && d.default_value.is_null() ? Json(nullptr) : Json(text);
  if (reads_weights.value_or(false) && !read_before) values.change(*prompt_weights_, true);
  return edited;
}

bool MethodForm::draw_control(const ParameterDescription& d, Json& value, const FormValues& values, const Theme& theme) {
  const float width = ImGui::CalcItemWidth(), button = ImGui::GetFrameHeight();
  // Optional values: a tick that gives a value of its own, or nothing.
  const bool is_optional = d.default_value.is_null() && (d.type == kInteger || d.type == kNumber || d.type == kSize || d.type == kBoolean);
  bool edited = false;
  if (is_optional) {
    bool is_given = !value.is_null();
    if (ImGui::Checkbox("##given", &is_given)) {
      edited = true;
      const double start = std::max(d.minimum.value_or(0), std::min(d.maximum.value_or(1), 1.0));
      if (!is_given) value = nullptr;
      else if (d.type == kSize) value = {512, 512};
      else if (d.type == kBoolean) value = true;
      else if (d.type == kInteger) value = static_cast<int64_t>(start);
      else value = start;
    }
    tooltip(is_given ? "Untick for automatic" : "Automatic; tick to choose");
    ImGui::SameLine();
    if (value.is_null()) {
      ImGui::AlignTextToFramePadding();
      faint(theme, "automatic");
      return edited;
    }
    ImGui::SetNextItemWidth(width - button - ImGui::GetStyle().ItemSpacing.x);
  }
  switch (d.type) {
    case kBoolean: {
      bool on = value.is_boolean() && value.get<bool>();
      if (ImGui::Checkbox("##on", &on)) {
        value = on;
        edited = true;
      }
      break;
    }
    case kChoice:
      if (ImGui::BeginCombo("##choice", plain_text(value).c_str())) {
        for (const std::string& choice : d.choices) {
          if (ImGui::Selectable(choice.c_str(), value == choice)) {
            value = choice;
            edited = true;
          }
          mark(fmt::format("{}{} {}", section_, d.name, choice));
        }
        ImGui::EndCombo();
      }
      break;
    case kInteger: {
      auto number = value.is_number() ? value.get<int64_t>() : 0;
      const bool is_seed = d.name == "seed", is_short = d.minimum && d.maximum && *d.maximum - *d.minimum <= 1000;
      const auto lowest = static_cast<int64_t>(d.minimum.value_or(-1e15)), highest = static_cast<int64_t>(d.maximum.value_or(1e15));
      const float new_width = ImGui::CalcTextSize("New").x + 2 * ImGui::GetStyle().FramePadding.x;
      if (is_seed) ImGui::SetNextItemWidth(ImGui::CalcItemWidth() - new_width - ImGui::GetStyle().ItemInnerSpacing.x);
      if (is_short) edited |= ImGui::DragScalar("##number", ImGuiDataType_S64, &number, 0.2f, &lowest, &highest, d.unit.empty() ? "%lld" : ("%lld " + d.unit).c_str(), ImGuiSliderFlags_AlwaysClamp);
      else edited |= ImGui::InputScalar("##number", ImGuiDataType_S64, &number);
      if (is_seed) {
        ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
        if (ImGui::Button("New")) {
          number = new_seed();
          edited = true;
        }
        tooltip("A new seed (R)");
      }
      if (edited) value = std::clamp(number, lowest, highest);
      break;
    }
    case kNumber: {
      double number = value.is_number() ? value.get<double>() : 0;
      const double lowest = d.minimum.value_or(-1e15), highest = d.maximum.value_or(1e15);
      if (d.minimum && d.maximum && highest - lowest <= kSlidersUpTo) edited |= bar_slider("##number", number, lowest, highest, "%.2f", theme);
      else edited |= ImGui::DragScalar("##number", ImGuiDataType_Double, &number, 0.05f, &lowest, &highest, "%.2f", ImGuiSliderFlags_AlwaysClamp);
      if (edited && !value.is_null()) value = number;
      break;
    }
    case kSize: {
      int64_t sides[2] = {value.is_array() && value.size() == 2 ? value[0].get<int64_t>() : 512, value.is_array() && value.size() == 2 ? value[1].get<int64_t>() : 512};
      const int64_t lowest = static_cast<int64_t>(d.minimum.value_or(8)), highest = static_cast<int64_t>(d.maximum.value_or(65536));
      if (ImGui::DragScalarN("##size", ImGuiDataType_S64, sides, 2, 2.0f, &lowest, &highest, "%lld px", ImGuiSliderFlags_AlwaysClamp)) {
        for (int64_t& side : sides) side = std::clamp((side + 4) / 8 * 8, lowest, highest);
        value = {sides[0], sides[1]};
        edited = true;
      }
      break;
    }
    case kText:
    case kPath:
    case kModels:
    case kIntegers:
    case kNumbers:
    case kTexts: {
      const bool is_file = d.type == kPath || d.type == kModels;
      auto [entry, is_new] = typed_.try_emplace(d.name, plain_text(value));
      std::string& text = entry->second;
      const ImGuiID id = ImGui::GetID("##text");
      if (ImGui::GetActiveID() != id) text = plain_text(value);
      if (is_file) ImGui::SetNextItemWidth(ImGui::CalcItemWidth() - button - ImGui::GetStyle().ItemInnerSpacing.x);
      input_text("##text", text, d.default_value.is_null() ? "none" : nullptr);
      mark(section_ + d.name + " text");
      if (ImGui::IsItemDeactivatedAfterEdit()) {
        try {
          value = text.empty() ? d.default_value : d.type == kText ? Json(text) : parse_parameter(d, text);
          edited = true;
        } catch (const Error&) {  // the text stays until it can be read; the job's check names the problem
        }
      }
      if (is_file) {
        ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
        const bool pressed = ImGui::Button("…", {button, button});
        tooltip(d.type == kModels ? "Choose models" : "Choose a file");
        mark(section_ + d.name + " choose");
        if (d.type == kModels) {
          if (pressed) ImGui::OpenPopup("models");
          edited |= draw_models(d, value, values);
        } else if (pressed) {
          values.browse(d.name, false);
        }
      }
      break;
    }
  }
  return edited;
}

bool MethodForm::draw_models(const ParameterDescription& d, Json& value, const FormValues& values) {
  if (!ImGui::BeginPopup("models")) return false;
  const Scope popup(ImGui::EndPopup);
  if (ImGui::IsWindowAppearing()) values.look_for_models();
  bool edited = false;
  const std::vector<std::string> names = values.known_models(d.choices);
  for (const std::string& name : names) {
    const auto chosen = value.is_array() ? std::find(value.begin(), value.end(), name) : value.end();
    const bool is_chosen = value.is_array() && chosen != value.end(), pressed = ImGui::MenuItem(name.c_str(), nullptr, is_chosen);
    mark("known model " + name);
    if (!pressed) continue;
    edited = true;
    if (is_chosen) value.erase(chosen);
    else if (value.is_array() && d.default_value.is_null()) value.push_back(name);
    else value = Json::array({name});
    if (value.empty()) value = d.default_value;
  }
  if (!names.empty()) ImGui::Separator();
  const bool chooses = ImGui::MenuItem("Choose a file…");
  mark("choose a file");
  if (chooses) values.browse(d.name, false);
  return edited;
}

}  // namespace attelier::desktop
