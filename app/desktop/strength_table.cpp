#include "app/desktop/strength_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"

namespace attelier::desktop {
namespace {

/// A number for all decoder blocks, and the list that replaces it block by block.
struct Column {
  const ParameterDescription *all, *blocks;
  double lowest, highest;  // of the slider; a job may say more
};

/// Which blocks a row stands for. The decoder goes from the coarsest grid to the finest: StyleID's blocks 6 to 8 on a quarter of the latent's pixels, 9 to 11 on all.
struct Group {
  const char *name, *help;
  int64_t first, last;
};
constexpr std::array<Group, 3> kGroups = {{{"Coarse", "Large shapes and the light", 3, 7}, {"Middle", "Patterns and brush strokes", 8, 9}, {"Fine", "Texture and fine lines", 10, 11}}};

const ParameterDescription* find(const Method& method, const char* name) {
  const auto found = std::find_if(method.parameters.begin(), method.parameters.end(), [&](const ParameterDescription& d) { return d.name == name; });
  return found == method.parameters.end() ? nullptr : &*found;
}

std::optional<std::array<Column, 2>> columns_of(const Method& method) {
  const std::array<Column, 2> columns = {{{find(method, "gamma"), find(method, "block_gammas"), 0, 1}, {find(method, "temperature"), find(method, "block_temperatures"), 0.5, 3.5}}};
  for (const Column& column : columns)
    if (column.all == nullptr || column.blocks == nullptr) return std::nullopt;
  return columns;
}

/// The decoder blocks that the job will inject.
std::vector<int64_t> blocks_of(const FormValues& values) {
  if (const Json layers = values.parameter("layers"); layers.is_array()) return layers.get<std::vector<int64_t>>();
  if (values.parameter("variant") == "diffusers") return {7, 8, 9, 10, 11};
  return {6, 7, 8, 9, 10, 11};
}

/// One number for each block; whether they are the blocks' own.
std::pair<std::vector<double>, bool> numbers_of(const Column& column, const FormValues& values, size_t blocks) {
  const Json own = values.parameter(column.blocks->name), all = values.parameter(column.all->name);
  if (own.is_array() && own.size() == blocks) return {own.get<std::vector<double>>(), true};
  return {std::vector<double>(blocks, (all.is_number() ? all : column.all->default_value).get<double>()), false};
}

}  // namespace

bool is_in_strength_table(const Method& method, const std::string& parameter) {
  const auto columns = columns_of(method);
  return columns && std::any_of(columns->begin(), columns->end(), [&](const Column& column) { return column.all->name == parameter; });
}

void draw_strength_table(const Method& method, const FormValues& values, const Theme& theme) {
  const auto columns = columns_of(method);
  if (!columns) return;
  section("STRENGTH", theme);
  const std::vector<int64_t> blocks = blocks_of(values);
  const float left = ImGui::GetCursorPosX(), label = theme.px(104), gap = theme.px(8), width = std::floor((ImGui::GetContentRegionAvail().x - label - gap) / 2);
  const auto place = [&](size_t column) {
    ImGui::SameLine();
    ImGui::SetCursorPosX(left + label + static_cast<float>(column) * (width + gap));
  };
  ImGui::PushFont(theme.fonts().small);
  ImGui::Dummy({label - gap, 0});
  for (size_t c = 0; c < columns->size(); ++c) {
    place(c);
    faint(theme, (*columns)[c].all->label);
    tooltip((*columns)[c].all->help);
  }
  ImGui::PopFont();
  bool any_own = false;

  /// A row of sliders for the blocks from `first` to `last`; absent = for all.
  const auto row = [&](const char* name, const std::string& help, const Group* group) {
    ImGui::PushID(name);
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(name);
    tooltip(help);
    if (group != nullptr) {
      std::vector<int64_t> mine;
      for (const int64_t block : blocks)
        if (block >= group->first && block <= group->last) mine.push_back(block);
      const auto [low, high] = std::minmax_element(mine.begin(), mine.end());
      ImGui::SameLine(0, theme.px(6));
      faint(theme, *low == *high ? fmt::format("{}", *low) : fmt::format("{}–{}", *low, *high));
    }
    for (size_t c = 0; c < columns->size(); ++c) {
      const Column& column = (*columns)[c];
      auto [numbers, own] = numbers_of(column, values, blocks.size());
      const auto in_row = [&](size_t i) { return group == nullptr || (blocks[i] >= group->first && blocks[i] <= group->last); };
      double number = 0, lowest = 1e9, highest = -1e9;
      int64_t count = 0;
      for (size_t i = 0; i < blocks.size(); ++i) {
        if (!in_row(i)) continue;
        number += numbers[i];
        lowest = std::min(lowest, numbers[i]);
        highest = std::max(highest, numbers[i]);
        ++count;
      }
      number = count > 0 ? number / static_cast<double>(count) : 0;
      any_own |= own;
      place(c);
      ImGui::SetNextItemWidth(width);
      ImGui::PushID(static_cast<int>(c));
      const bool is_faint = group != nullptr && !own;
      if (bar_slider("##number", number, column.lowest, column.highest, lowest == highest ? "%.2f" : "differ", theme, {.quiet = is_faint})) {
        number = std::round(number * 100) / 100;
        if (group == nullptr) {
          if (own) values.change_together({{column.all, number}, {column.blocks, nullptr}});
          else values.change(*column.all, number);
        } else {
          for (size_t i = 0; i < blocks.size(); ++i)
            if (in_row(i)) numbers[i] = number;
          const Json all = values.parameter(column.all->name);
          const bool same = std::all_of(numbers.begin(), numbers.end(), [&](double one) { return all == Json(one); });
          values.change(*column.blocks, same ? Json() : Json(numbers));
        }
      }
      mark(fmt::format("{} {}", name, column.all->name));
      tooltip(fmt::format("{}\n{}: {}", help, column.all->label, column.all->help));
      ImGui::PopID();
    }
    ImGui::PopID();
  };
  row("All layers", "Of every layer that the style acts in", nullptr);
  for (const Group& group : kGroups)
    if (std::any_of(blocks.begin(), blocks.end(), [&](int64_t block) { return block >= group.first && block <= group.last; }))
      row(group.name, fmt::format("{}: decoder blocks {} to {}", group.help, group.first, group.last), &group);
  for (const Column& column : *columns)
    if (const std::string problem = values.problem(column.all->name); !problem.empty()) wrapped(theme.palette().bad, problem);
  if (!any_own) return;
  ImGui::PushFont(theme.fonts().small);
  const char* const reset = "The same for all layers";
  ImGui::SetCursorPosX(ImGui::GetContentRegionMax().x - ImGui::CalcTextSize(reset).x - 2 * ImGui::GetStyle().FramePadding.x);
  const bool pressed = ImGui::SmallButton(reset);
  mark("strength reset");
  if (pressed) values.change_together({{(*columns)[0].blocks, nullptr}, {(*columns)[1].blocks, nullptr}});
  ImGui::PopFont();
}

}  // namespace attelier::desktop
