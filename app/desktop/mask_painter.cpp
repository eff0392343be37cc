#include "app/desktop/mask_painter.h"

#include <fmt/format.h>
#include <GLFW/glfw3.h>
#include <imgui.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "app/desktop/widgets.h"
#include "core/diffusion/diffusion_model.h"
#include "core/models/vae.h"
#include "core/weights/model_store.h"

namespace attelier::desktop {
namespace {

constexpr double kSizeStep = 1.15, kHardnessStep = 0.1;
constexpr double kLeastDrag = 1;  // pixels that a shape must have

struct ToolText {
  MaskTool tool;
  const char *name, *id, *chord, *help;
};
constexpr std::array<ToolText, 6> kTools = {{
    {MaskTool::kBrush, "Brush", "mask.brush", "B", "Drag to paint. Shift+click goes on in a straight line. The right button erases."},
    {MaskTool::kEraser, "Eraser", "mask.eraser", "E", "Drag to erase. Shift+click goes on in a straight line. The right button paints."},
    {MaskTool::kRectangle, "Rectangle", "mask.rectangle", "U", "Drag from corner to corner. The right button erases."},
    {MaskTool::kLasso, "Lasso", "mask.lasso", "L", "Draw around an area. The right button erases."},
    {MaskTool::kGradient, "Gradient", "mask.gradient", "G", "Drag from white to where it fades out. The right button takes away."},
    {MaskTool::kFill, "Fill", "mask.fill", "K", "Click into an area that the brush has closed. The right button empties it."},
}};
const ToolText& text_of(MaskTool tool) { return kTools[static_cast<size_t>(tool)]; }

constexpr std::array<std::pair<MaskView, const char*>, 3> kViews = {{{MaskView::kOverlay, "Over the picture"}, {MaskView::kAlone, "Mask alone"}, {MaskView::kMethod, "As the method sees it"}}};

/// A small drawing of what a tool does.
void draw_icon(ImDrawList& list, MaskTool tool, ImVec2 middle, float half, ImU32 colour, float line) {
  const ImVec2 from = {middle.x - half, middle.y - half}, to = {middle.x + half, middle.y + half};
  const ImU32 faded = (colour & ~IM_COL32_A_MASK) | (0x40u << IM_COL32_A_SHIFT), none = colour & ~IM_COL32_A_MASK;
  switch (tool) {
    case MaskTool::kBrush:
      list.AddCircleFilled(middle, half, faded, 24);
      list.AddCircleFilled(middle, half * 0.6f, colour, 24);
      break;
    case MaskTool::kEraser:
      list.AddCircle(middle, half * 0.85f, colour, 24, line);
      break;
    case MaskTool::kRectangle:
      list.AddRectFilled({from.x, from.y + half * 0.25f}, {to.x, to.y - half * 0.25f}, faded);
      list.AddRect({from.x, from.y + half * 0.25f}, {to.x, to.y - half * 0.25f}, colour, 0, 0, line);
      break;
    case MaskTool::kLasso:
      for (int i = 0; i < 20; ++i) {
        const float angle = static_cast<float>(i) * 2 * std::numbers::pi_v<float> / 20, radius = half * (0.85f + 0.18f * std::sin(3 * angle));
        list.PathLineTo({middle.x + radius * std::cos(angle), middle.y + radius * 0.8f * std::sin(angle)});
      }
      list.PathStroke(colour, ImDrawFlags_Closed, line);
      break;
    case MaskTool::kGradient:
      list.AddRectFilledMultiColor({from.x, from.y + half * 0.25f}, {to.x, to.y - half * 0.25f}, colour, none, none, colour);
      break;
    case MaskTool::kFill:
      list.AddCircle(middle, half * 0.95f, colour, 24, line);
      list.AddCircleFilled(middle, half * 0.62f, colour, 24);
      break;
  }
}

bool has_input(const Method& method, const char* name) {
  return std::any_of(method.inputs.begin(), method.inputs.end(), [&](const InputDescription& one) { return one.name == name; });
}

}  // namespace

bool MaskPainter::has_mask() const { return has_input(editor_.method(), "mask") && has_input(editor_.method(), "image"); }

void MaskPainter::add_actions(Actions& actions) {
  const auto add = [&](const std::string& id, const std::string& label, const char* menu, const char* chord, std::function<void()> run, std::function<bool()> enabled) {
    actions.add({id, label, menu, parse_chord(chord), std::move(run), std::move(enabled)});
  };
  const auto can = [this] { return has_mask(); };
  const auto on = [this] { return on_; };
  for (const ToolText& tool : kTools)
    add(tool.id, tool.tool == MaskTool::kBrush ? "Paint the mask" : fmt::format("Mask: {}", tool.name), "Mask", tool.chord, [this, which = tool.tool] { start(which); },
        tool.tool == MaskTool::kBrush ? std::function<bool()>(can) : on);
  add("mask.swap", "Swap brush and eraser", "Mask", "X", [this] { tool_ = tool_ == MaskTool::kEraser ? MaskTool::kBrush : MaskTool::kEraser; }, on);
  add("mask.smaller", "Smaller brush", "Mask", "[", [this] { brush_.radius = std::clamp(brush_.radius / kSizeStep, kSmallestBrush, kLargestBrush); }, on);
  add("mask.larger", "Larger brush", "Mask", "]", [this] { brush_.radius = std::clamp(brush_.radius * kSizeStep, kSmallestBrush, kLargestBrush); }, on);
  add("mask.softer", "Softer brush", "Mask", "Shift+[", [this] { brush_.hardness = std::max(0.0, brush_.hardness - kHardnessStep); }, on);
  add("mask.harder", "Harder brush", "Mask", "Shift+]", [this] { brush_.hardness = std::min(1.0, brush_.hardness + kHardnessStep); }, on);
  add("mask.invert", "Invert the mask", "Mask", "Ctrl+I", [this] { change("Invert mask", [](Mask& mask) { invert(mask); }); }, on);
  add("mask.clear", "Clear the mask", "Mask", "Delete", [this] { change("Clear mask", [](Mask& mask) { mask = Mask(mask.width(), mask.height()); }); }, on);
  add("mask.grow", "Grow the mask", "Mask", "", [this] { change("Grow mask", [this](Mask& mask) { grow(mask, amount_); }); }, on);
  add("mask.shrink", "Shrink the mask", "Mask", "", [this] { change("Shrink mask", [this](Mask& mask) { grow(mask, -amount_); }); }, on);
  add("mask.feather", "Feather the mask", "Mask", "", [this] { change("Feather mask", [this](Mask& mask) { feather(mask, amount_); }); }, on);
  add("mask.alone", "Mask alone", "Mask", "Q", [this] { view_ = view_ == MaskView::kAlone ? MaskView::kOverlay : MaskView::kAlone; }, on);
  add("mask.method", "Mask as the method sees it", "Mask", "Shift+Q", [this] { view_ = view_ == MaskView::kMethod ? MaskView::kOverlay : MaskView::kMethod; }, on);
  add("mask.import", "Import a mask…", "Mask", "", [this] { import_mask(); }, on);
  add("mask.export", "Export the mask…", "Mask", "", [this] { export_mask(); }, on);
  add("mask.done", "Done with the mask", "Mask", "Escape", [this] { leave(); }, on);
}

void MaskPainter::start(MaskTool tool) {
  if (editor_.input("image").empty()) return toasts_.info("Choose the picture that is repainted first: drop one on Image.");
  drop();
  on_ = true;
  tool_ = tool;
  if (!editor_.mask().is_blank() || editor_.input("mask").empty()) return;
  try {  // a mask from a file is painted on
    editor_.paint("Mask from a file", Mask(load_image(editor_.input("mask").front())));
  } catch (const Error& error) {
    toasts_.error(error.what());
  }
}

void MaskPainter::leave() {
  drop();
  on_ = false;
  picture_.reset();
}

SharedPicture MaskPainter::picture() {
  const auto files = editor_.input("image");
  if (on_ && (!has_mask() || files.empty())) leave();
  if (on_)
    if (SharedPicture now = loader_.picture(files.front()); now != picture_) {
      drop();
      picture_ = std::move(now);
    }
  return picture_;
}

std::string MaskPainter::summary() {
  const Mask& mask = editor_.mask();
  if (mask.width() != summed_.width() || mask.height() != summed_.height() || mask.different_tiles(summed_) > 0) {
    summed_ = mask;
    int64_t white = 0;
    for (int64_t row = 0; row < mask.rows(); ++row)
      for (int64_t column = 0; column < mask.columns(); ++column)
        if (const Mask::Tile* tile = mask.tile(column, row)) white += std::count_if(tile->begin(), tile->end(), [](uint8_t value) { return value >= 128; });
    share_ = mask.width() == 0 ? 0 : static_cast<double>(white) / static_cast<double>(mask.width() * mask.height());
  }
  if (share_ == 0) return mask.is_blank() ? "" : "painted, less than half";
  return fmt::format("painted, {:.{}f} %", 100 * share_, share_ < 0.1 ? 1 : 0);
}

Mask MaskPainter::fitting() const { return picture_ ? resized(editor_.mask(), picture_->image.width, picture_->image.height) : editor_.mask(); }

void MaskPainter::change(const std::string& label, const std::function<void(Mask&)>& work) {
  if (!picture_ || button_ >= 0) return;
  Mask mask = fitting();
  work(mask);
  if (mask.different_tiles(editor_.mask()) > 0) editor_.paint(label, std::move(mask));
}

void MaskPainter::begin(MaskPoint point, bool erases, bool goes_on) {
  base_ = editor_.mask();
  ink_ = erases != (tool_ == MaskTool::kEraser) ? MaskInk::kErase : MaskInk::kPaint;
  shape_ = {point};
  if (!draws_strokes()) return;
  Brush brush = brush_;
  brush.ink = ink_;
  stroke_.emplace(fitting(), brush);
  if (goes_on && last_end_) stroke_->to(*last_end_);
  stroke_->to(point);
}

void MaskPainter::end(MaskPoint point) {
  const bool has_size = std::hypot(point.x - shape_.front().x, point.y - shape_.front().y) >= kLeastDrag;
  const std::string what = ink_ == MaskInk::kPaint ? "Paint" : "Erase";
  button_ = -1;
  if (stroke_) {
    stroke_->to(point);
    stroke_->finish();
    last_end_ = point;
    editor_.paint(what + " stroke", stroke_->mask());
    stroke_.reset();
    return;
  }
  shape_.push_back(point);
  switch (tool_) {
    case MaskTool::kRectangle:
      if (has_size) change(what + " rectangle", [&](Mask& mask) { fill_rectangle(mask, shape_.front(), point, ink_); });
      break;
    case MaskTool::kLasso:
      if (shape_.size() > 2) change(what + " lasso", [&](Mask& mask) { fill_lasso(mask, shape_, ink_); });
      break;
    case MaskTool::kGradient:
      if (has_size) change(what + " gradient", [&](Mask& mask) { fill_gradient(mask, shape_.front(), point, ink_); });
      break;
    case MaskTool::kFill:
      change(what + " area", [&](Mask& mask) { fill_area(mask, point, ink_); });
      break;
    default:
      break;
  }
  shape_.clear();
}

void MaskPainter::drop() {
  stroke_.reset();
  shape_.clear();
  button_ = -1;
}

void MaskPainter::take(const InputEvent& event, MaskPoint point, bool hovered) {
  using Kind = InputEvent::Kind;
  if (event.kind == Kind::kMotion && button_ >= 0) {
    if (stroke_) stroke_->to(point);
    else if (tool_ == MaskTool::kLasso) shape_.push_back(point);
    return;
  }
  if (event.kind != Kind::kButton) return;
  const bool paints = event.code == GLFW_MOUSE_BUTTON_LEFT || event.code == GLFW_MOUSE_BUTTON_RIGHT;
  if (event.action == InputEvent::Action::kPress && button_ < 0 && hovered && paints && !ImGui::IsKeyDown(GLFW_KEY_SPACE)) {
    button_ = event.code;
    begin(point, event.code == GLFW_MOUSE_BUTTON_RIGHT, event.modifiers & kShift);
  } else if (event.action == InputEvent::Action::kRelease && event.code == button_) {
    end(point);
  }
}

bool MaskPainter::draw_over(const Theme& theme, ImVec2 at, float scale, bool hovered, const std::vector<InputEvent>& events) {
  if (!picture_) return false;
  if (button_ >= 0 && editor_.mask().different_tiles(base_) > 0) drop();  // undone meanwhile
  const auto point_of = [&](double x, double y) { return MaskPoint{(x - at.x) / scale, (y - at.y) / scale}; };
  for (const InputEvent& event : events) take(event, point_of(event.x, event.y), hovered);

  ImDrawList& list = *ImGui::GetWindowDrawList();
  const auto width = static_cast<float>(picture_->image.width), height = static_cast<float>(picture_->image.height);
  const ImVec2 end = {at.x + width * scale, at.y + height * scale};
  const ImU32 tint = (theme.palette().accent & ~IM_COL32_A_MASK) | (0x99u << IM_COL32_A_SHIFT);
  texture_.update(stroke_ ? stroke_->mask() : editor_.mask());
  if (view_ == MaskView::kAlone) list.AddRectFilled(at, end, IM_COL32_BLACK);
  if (view_ == MaskView::kMethod && !stroke_) {
    show_as_method();
    list.AddRectFilled(at, end, IM_COL32(0, 0, 0, 110));
    cells_.draw(list, at, end, true, tint);
  } else {
    texture_.draw(list, at, end, scale >= 2, view_ == MaskView::kAlone ? IM_COL32_WHITE : tint);
  }

  const ImVec2 pointer = ImGui::GetIO().MousePos;
  draw_cursor(theme, at, scale, point_of(pointer.x, pointer.y));
  if (hovered && draws_strokes() && !ImGui::IsKeyDown(GLFW_KEY_SPACE)) ImGui::SetMouseCursor(ImGuiMouseCursor_None);
  return button_ >= 0 || !ImGui::IsKeyDown(GLFW_KEY_SPACE);
}

void MaskPainter::draw_cursor(const Theme& theme, ImVec2 at, float scale, MaskPoint pointer) const {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float line = theme.px(1);
  const auto on_screen = [&](MaskPoint point) { return ImVec2(at.x + static_cast<float>(point.x) * scale, at.y + static_cast<float>(point.y) * scale); };
  // Light on dark, so that it is seen on every picture.
  const auto both = [&](auto&& draw) {
    draw(IM_COL32(0, 0, 0, 150), line * 3);
    draw(IM_COL32(255, 255, 255, 230), line);
  };
  const ImVec2 here = on_screen(pointer);
  if (draws_strokes()) {
    const float radius = std::max(1.5f, static_cast<float>(brush_.radius) * scale);
    both([&](ImU32 colour, float thick) { list.AddCircle(here, radius, colour, 0, thick); });
    if (brush_.hardness < 0.95) list.AddCircle(here, radius * static_cast<float>(brush_.hardness), IM_COL32(255, 255, 255, 90), 0, line);
    const bool erases = (tool_ == MaskTool::kEraser) != (button_ == GLFW_MOUSE_BUTTON_RIGHT);
    if (erases) both([&](ImU32 colour, float thick) { list.AddLine({here.x - theme.px(4), here.y}, {here.x + theme.px(4), here.y}, colour, thick); });
    if (ImGui::GetIO().KeyShift && button_ < 0 && last_end_) both([&](ImU32 colour, float thick) { list.AddLine(on_screen(*last_end_), here, colour, thick); });
    return;
  }
  if (button_ < 0 || shape_.empty()) return;
  const ImVec2 first = on_screen(shape_.front());
  if (tool_ == MaskTool::kRectangle) both([&](ImU32 colour, float thick) { list.AddRect(first, here, colour, 0, 0, thick); });
  if (tool_ == MaskTool::kGradient) {
    both([&](ImU32 colour, float thick) { list.AddLine(first, here, colour, thick); });
    list.AddCircleFilled(first, theme.px(4), IM_COL32_WHITE);
    list.AddCircle(here, theme.px(4), IM_COL32_WHITE, 0, line);
  }
  if (tool_ == MaskTool::kLasso) {
    std::vector<ImVec2> way;
    for (const MaskPoint& point : shape_) way.push_back(on_screen(point));
    both([&](ImU32 colour, float thick) { list.AddPolyline(way.data(), static_cast<int>(way.size()), colour, ImDrawFlags_Closed, thick); });
  }
}

void MaskPainter::show_as_method() {
  const std::string model = editor_.model();
  if (grid_of_ != model && !coming_grid_.valid()) {
    grid_of_ = model;
    coming_grid_ = std::async(std::launch::async, [model]() -> ModelGrid {
      try {
        DiffusionModel opened(resolve_model(model), at::kCPU, at::kFloat);
        return {opened.native_size(), VaeConfig::from_json(opened.files().config("vae")).factor()};
      } catch (const std::exception&) {
        return {};  // the form says what is wrong with the model
      }
    });
  }
  if (coming_grid_.valid() && coming_grid_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) grid_ = coming_grid_.get();
  // The size that the job will have: as given, or the model's with the picture's shape.
  const Json size = editor_.parameter("size");
  int64_t width = 0, height = 0;
  if (size.is_array() && size.size() == 2) {
    width = size[0].get<int64_t>() / grid_.cell * grid_.cell;
    height = size[1].get<int64_t>() / grid_.cell * grid_.cell;
  } else {
    const double aspect = std::clamp(static_cast<double>(picture_->image.width) / static_cast<double>(picture_->image.height), 0.125, 8.0), side = static_cast<double>(grid_.side);
    const auto whole = [&](double pixels) { return std::max<int64_t>(1, std::lround(pixels / static_cast<double>(grid_.cell))) * grid_.cell; };
    width = whole(side * std::sqrt(aspect));
    height = whole(side / std::sqrt(aspect));
  }
  const bool largest = editor_.parameter("mask_to_latent") == "largest";
  const std::string with = fmt::format("{} x {} cells of {} px", width / grid_.cell, height / grid_.cell, grid_.cell);
  const Mask& mask = editor_.mask();
  const std::string key = with + (largest ? " largest" : "");
  if (key == seen_with_ && mask.width() == seen_.width() && mask.height() == seen_.height() && mask.different_tiles(seen_) == 0) return;
  seen_ = mask;
  seen_with_ = key;
  if (width < 1 || height < 1) return;
  cells_.update(Mask(as_latent(mask, width, height, grid_.cell, largest)));
}

void MaskPainter::import_mask() {
  browser_.open({.title = "Import a mask", .extensions = picture_extensions(), .name = {}, .chosen = [this](const std::filesystem::path& file) {
    try {
      const Mask read(load_image(file));
      change("Import mask", [&](Mask& mask) { mask = resized(read, mask.width(), mask.height()); });
    } catch (const Error& error) {
      toasts_.error(error.what());
    }
  }});
}

void MaskPainter::export_mask() {
  browser_.open({.title = "Export the mask", .extensions = {".png"}, .save = true, .name = "mask.png", .chosen = [this](const std::filesystem::path& file) {
    try {
      save_image(file, fitting().to_image());
      toasts_.info("Saved " + file.string());
    } catch (const Error& error) {
      toasts_.error(error.what());
    }
  }});
}

void MaskPainter::draw_tools(const Theme& theme) {
  const float gap = theme.px(4), side = std::floor((ImGui::GetContentRegionAvail().x - gap * (kTools.size() - 1)) / kTools.size()), high = theme.px(36);
  ImDrawList& list = *ImGui::GetWindowDrawList();
  for (const ToolText& tool : kTools) {
    const bool chosen = tool.tool == tool_;
    const ImVec2 corner = ImGui::GetCursorScreenPos();
    ImGui::PushID(tool.id);
    if (ImGui::InvisibleButton("tool", {side, high})) {
      drop();
      tool_ = tool.tool;
    }
    tooltip(fmt::format("{} ({})\n{}", tool.name, tool.chord, tool.help));
    const ImU32 ground = ImGui::GetColorU32(chosen ? ImGuiCol_ButtonActive : ImGui::IsItemHovered() ? ImGuiCol_ButtonHovered : ImGuiCol_Button);
    list.AddRectFilled(corner, {corner.x + side, corner.y + high}, ground, theme.px(4));
    if (chosen) list.AddRect(corner, {corner.x + side, corner.y + high}, theme.palette().accent, theme.px(4), 0, theme.px(1.5));
    draw_icon(list, tool.tool, {corner.x + side / 2, corner.y + high / 2}, theme.px(9), chosen ? theme.palette().text : theme.palette().faint, theme.px(1.5));
    ImGui::PopID();
    if (&tool != &kTools.back()) ImGui::SameLine(0, gap);
  }
}

void MaskPainter::draw_panel(const Theme& theme) {
  const float width = ImGui::GetContentRegionAvail().x, label = theme.px(80), gap = ImGui::GetStyle().ItemSpacing.x;
  const auto slider = [&](const char* name, const char* help, double shown, double lowest, double highest, const char* format, ImGuiSliderFlags flags) {
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(name);
    tooltip(help);
    ImGui::SameLine(label);
    ImGui::SetNextItemWidth(-FLT_MIN);
    ImGui::SliderScalar((std::string("##") + name).c_str(), ImGuiDataType_Double, &shown, &lowest, &highest, format, flags | ImGuiSliderFlags_AlwaysClamp);
    return shown;
  };
  section("MASK", theme);
  draw_tools(theme);
  ImGui::TextUnformatted(text_of(tool_).name);
  ImGui::PushFont(theme.fonts().small);
  wrapped(theme.palette().faint, text_of(tool_).help);
  ImGui::PopFont();
  if (draws_strokes()) {
    brush_.radius = slider("Size", "Radius in pixels of the picture: [ and ]", brush_.radius, 1, kLargestBrush, "%.0f px", ImGuiSliderFlags_Logarithmic);
    brush_.hardness = slider("Hardness", "How much of the radius is covered whole: Shift+[ and Shift+]", 100 * brush_.hardness, 0, 100, "%.0f %%", 0) / 100;
    brush_.flow = slider("Flow", "What one stroke lays down. Strokes over each other add up.", 100 * brush_.flow, 1, 100, "%.0f %%", 0) / 100;
  }

  section("WHOLE MASK", theme);
  const auto button = [&](const char* name, int of, const char* help) {
    const bool pressed = ImGui::Button(name, {std::floor((width - gap * static_cast<float>(of - 1)) / static_cast<float>(of)), 0});
    tooltip(help);
    return pressed;
  };
  if (button("Invert", 3, "Ctrl+I")) change("Invert mask", [](Mask& mask) { invert(mask); });
  ImGui::SameLine();
  if (button("All", 3, "Paint the whole picture")) change("Paint all", [](Mask& mask) { fill_rectangle(mask, {0, 0}, {1e9, 1e9}, MaskInk::kPaint); });
  ImGui::SameLine();
  if (button("Clear", 3, "Delete")) change("Clear mask", [](Mask& mask) { mask = Mask(mask.width(), mask.height()); });
  ImGui::AlignTextToFramePadding();
  ImGui::TextUnformatted("Amount");
  ImGui::SameLine(label);
  ImGui::SetNextItemWidth(-FLT_MIN);
  ImGui::SliderInt("##amount", &amount_, 1, 256, "%d px", ImGuiSliderFlags_AlwaysClamp | ImGuiSliderFlags_Logarithmic);
  if (button("Grow", 3, "Wider all around")) change("Grow mask", [this](Mask& mask) { grow(mask, amount_); });
  ImGui::SameLine();
  if (button("Shrink", 3, "Narrower all around")) change("Shrink mask", [this](Mask& mask) { grow(mask, -amount_); });
  ImGui::SameLine();
  if (button("Feather", 3, "A softer edge. Where the method cuts the mask at half, only Crop to mask uses it.")) change("Feather mask", [this](Mask& mask) { feather(mask, amount_); });
  if (button("Import…", 2, "Any picture, resized to this one; white is repainted")) import_mask();
  ImGui::SameLine();
  if (button("Export…", 2, "As a PNG: white is repainted")) export_mask();

  section("SHOW", theme);
  for (const auto& [view, name] : kViews) {
    if (ImGui::RadioButton(name, view_ == view)) view_ = view;
    tooltip(view == MaskView::kAlone ? "Q" : view == MaskView::kMethod ? "Cut at half, in the cells of the model's latents (Shift+Q)" : "");
  }
  ImGui::Dummy({0, theme.px(2)});
  ImGui::PushFont(theme.fonts().small);
  const std::string painted = summary();
  wrapped(theme.palette().faint, fmt::format("White is repainted, the rest is kept. {}", painted.empty() ? "Nothing is painted yet." : std::string(1, static_cast<char>(std::toupper(painted[0]))) + painted.substr(1) + "."));
  if (view_ == MaskView::kMethod && picture_) wrapped(theme.palette().faint, fmt::format("The method sees {}.", seen_with_.substr(0, seen_with_.find(" largest"))));
  ImGui::PopFont();
  ImGui::Dummy({0, theme.px(4)});
  if (ImGui::Button("Done", {-FLT_MIN, theme.px(32)})) leave();
  tooltip("Esc. The mask stays and is used by the next run.");
}

}  // namespace attelier::desktop
