#include "app/desktop/mask_painter.h"

#include <fmt/format.h>
#include <GLFW/glfw3.h>
#include <imgui.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "app/desktop/landmarks.h"
#include "app/desktop/widgets.h"
#include "core/diffusion/diffusion_model.h"
#include "core/models/vae.h"
#include "core/weights/model_store.h"

namespace attelier::desktop {
namespace {

constexpr double kSizeStep = 1.15, kHardnessStep = 0.1;
constexpr double kLeastDrag = 1;  // pixels that a shape must have
constexpr int64_t kLargeFrom = int64_t{1} << 21;  // pixels: growing a mask takes a frame by then

struct ToolText {
  MaskTool tool;
  const char *name, *id, *chord, *help;
};
constexpr std::array<ToolText, 7> kTools = {{
    {MaskTool::kBrush, "Brush", "mask.brush", "B", "Drag to paint. Shift+click goes on in a straight line. The right button erases."},
    {MaskTool::kEraser, "Eraser", "mask.eraser", "E", "Drag to erase. Shift+click goes on in a straight line. The right button paints."},
    {MaskTool::kRectangle, "Rectangle", "mask.rectangle", "U", "Drag from corner to corner. The right button erases."},
    {MaskTool::kLasso, "Lasso", "mask.lasso", "L", "Draw around an area. The right button erases."},
    {MaskTool::kGradient, "Gradient", "mask.gradient", "G", "Drag from white to where it fades out. The right button takes away."},
    {MaskTool::kFill, "Fill", "mask.fill", "K", "Click into an area that the brush has closed. The right button empties it."},
    {MaskTool::kThing, "Thing", "mask.thing", "T", "Click a thing of the picture, where a map says which pixels are whose: NAME_instance.png beside it, or imported. The right button takes it away."},
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
    case MaskTool::kThing:  // a house, whole, among what is not chosen
      list.AddRectFilled({from.x + half * 0.35f, middle.y}, {to.x - half * 0.35f, to.y}, colour);
      list.AddTriangleFilled({middle.x, from.y}, {to.x - half * 0.1f, middle.y}, {from.x + half * 0.1f, middle.y}, colour);
      list.AddLine({from.x, to.y}, to, colour, line);
      break;
  }
}

ImU32 with_alpha(ImU32 colour, unsigned alpha) { return (colour & ~IM_COL32_A_MASK) | (alpha << IM_COL32_A_SHIFT); }

}  // namespace

ImU32 region_colour(size_t index) {
  constexpr std::array<ImU32, 3> kColours = {IM_COL32(255, 140, 66, 255), IM_COL32(56, 189, 200, 255), IM_COL32(176, 122, 255, 255)};
  return kColours[index % kColours.size()];
}

const InputDescription* MaskPainter::painted_input() const {
  const auto& inputs = editor_.method().inputs;
  const auto found = std::find_if(inputs.begin(), inputs.end(), [](const InputDescription& one) { return !one.painted_over.empty(); });
  return found == inputs.end() ? nullptr : &*found;
}

const Mask& MaskPainter::mask() const {
  static const Mask none;
  const InputDescription* const input = painted_input();
  if (input == nullptr) return none;
  const std::vector<Mask>& masks = editor_.masks(input->name);
  return index_ < masks.size() ? masks[index_] : none;
}

bool MaskPainter::has_regions() const {
  const InputDescription* const input = painted_input();
  return input != nullptr && !input->one_per.empty();
}

std::vector<std::filesystem::path> MaskPainter::region_files() const { return has_regions() ? editor_.input(painted_input()->one_per) : std::vector<std::filesystem::path>(); }

void MaskPainter::switch_to(size_t index) {
  drop();
  index_ = index;
  last_end_.reset();
}

void MaskPainter::add_actions(Actions& actions) {
  const auto add = [&](const std::string& id, const std::string& label, const char* menu, const char* chord, std::function<void()> run, std::function<bool()> enabled) {
    actions.add({id, label, menu, parse_chord(chord), std::move(run), std::move(enabled)});
  };
  const auto can = [this] { return painted_input() != nullptr; };
  const auto on = [this] { return on_; };
  for (const ToolText& tool : kTools)
    add(tool.id, tool.tool == MaskTool::kBrush ? "Paint the mask" : fmt::format("Mask: {}", tool.name), "Mask", tool.chord, [this, which = tool.tool] { start(which); },
        tool.tool == MaskTool::kBrush ? std::function<bool()>(can) : on);
  add("mask.next_region", "Mask: the next style", "Mask", "N", [this] { switch_to((index_ + 1) % region_files().size()); }, [this] { return on_ && region_files().size() > 1; });
  add("mask.swap", "Swap brush and eraser", "Mask", "X", [this] { tool_ = tool_ == MaskTool::kEraser ? MaskTool::kBrush : MaskTool::kEraser; }, on);
  add("mask.smaller", "Smaller brush", "Mask", "[", [this] { brush_.radius = std::clamp(brush_.radius / kSizeStep, kSmallestBrush, kLargestBrush); }, on);
  add("mask.larger", "Larger brush", "Mask", "]", [this] { brush_.radius = std::clamp(brush_.radius * kSizeStep, kSmallestBrush, kLargestBrush); }, on);
  add("mask.softer", "Softer brush", "Mask", "Shift+[", [this] { brush_.hardness = std::max(0.0, brush_.hardness - kHardnessStep); }, on);
  add("mask.harder", "Harder brush", "Mask", "Shift+]", [this] { brush_.hardness = std::min(1.0, brush_.hardness + kHardnessStep); }, on);
  add("mask.invert", "Invert the mask", "Mask", "Ctrl+I", [this] { change("Invert mask", [](Mask& mask) { invert(mask); }); }, on);
  add("mask.clear", "Clear the mask", "Mask", "Delete", [this] { change("Clear mask", [](Mask& mask) { mask = Mask(mask.width(), mask.height()); }); }, on);
  add("mask.grow", "Grow the mask", "Mask", "", [this] { change("Grow mask", [amount = amount_](Mask& mask) { grow(mask, amount); }); }, on);
  add("mask.shrink", "Shrink the mask", "Mask", "", [this] { change("Shrink mask", [amount = amount_](Mask& mask) { grow(mask, -amount); }); }, on);
  add("mask.feather", "Feather the mask", "Mask", "", [this] { change("Feather mask", [amount = amount_](Mask& mask) { feather(mask, amount); }); }, on);
  add("mask.alone", "Mask alone", "Mask", "Q", [this] { view_ = view_ == MaskView::kAlone ? MaskView::kOverlay : MaskView::kAlone; }, on);
  add("mask.method", "Mask as the method sees it", "Mask", "Shift+Q", [this] { view_ = view_ == MaskView::kMethod ? MaskView::kOverlay : MaskView::kMethod; }, on);
  add("mask.import", "Import a mask…", "Mask", "", [this] { import_mask(); }, on);
  add("mask.export", "Export the mask…", "Mask", "", [this] { export_mask(); }, on);
  add("mask.done", "Done with the mask", "Mask", "Escape", [this] { leave(); }, on);
}

void MaskPainter::start(MaskTool tool, std::optional<size_t> index) {
  const InputDescription* const input = painted_input();
  if (input == nullptr) return;
  if (editor_.input(input->painted_over).empty()) return toasts_.info(fmt::format("Choose the {} first: drop a picture on it.", input->painted_over));
  const std::vector<Mask>& masks = editor_.masks(input->name);
  if (masks.empty()) return toasts_.info(fmt::format("Choose a {} first: drop a picture on it.", input->one_per));
  switch_to(std::min(index.value_or(index_), masks.size() - 1));
  on_ = true;
  tool_ = tool;
  const auto files = editor_.input(input->name);
  if (!mask().is_blank() || index_ >= files.size()) return;
  try {  // a mask from a file is painted on
    editor_.paint("Mask from a file", input->name, index_, Mask(load_image(files[index_])));
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
  take_work();
  if (!on_) return picture_;
  const InputDescription* const input = painted_input();
  const auto files = input == nullptr ? std::vector<std::filesystem::path>() : editor_.input(input->painted_over);
  const size_t masks = input == nullptr ? 0 : editor_.masks(input->name).size();
  if (files.empty() || masks == 0) {
    leave();
    return picture_;
  }
  if (index_ >= masks) switch_to(masks - 1);
  if (SharedPicture now = loader_.picture(files.front()); now != picture_) {
    drop();
    picture_ = std::move(now);
  }
  return picture_;
}

std::string MaskPainter::summary(size_t index) {
  const InputDescription* const input = painted_input();
  if (input == nullptr || index >= editor_.masks(input->name).size()) return "";
  const Mask& mask = editor_.masks(input->name)[index];
  while (sums_.size() <= index) sums_.emplace_back();
  auto& [summed, share] = sums_[index];
  if (mask.width() != summed.width() || mask.height() != summed.height() || mask.different_tiles(summed) > 0) {
    summed = mask;
    int64_t white = 0;
    for (int64_t row = 0; row < mask.rows(); ++row)
      for (int64_t column = 0; column < mask.columns(); ++column)
        if (const Mask::Tile* tile = mask.tile(column, row)) white += std::count_if(tile->begin(), tile->end(), [](uint8_t value) { return value >= 128; });
    share = mask.width() == 0 ? 0 : static_cast<double>(white) / static_cast<double>(mask.width() * mask.height());
  }
  if (share == 0) return mask.is_blank() ? "" : "painted, less than half";
  return fmt::format("painted, {:.{}f} %", 100 * share, share < 0.1 ? 1 : 0);
}

Mask MaskPainter::fitting() const { return picture_ ? resized(mask(), picture_->image.width, picture_->image.height) : mask(); }

void MaskPainter::change(const std::string& label, std::function<void(Mask&)> work) {
  if (!picture_ || button_ >= 0 || work_) return;
  const int64_t width = picture_->image.width, height = picture_->image.height;
  const auto changed = [before = mask(), work = std::move(work), width, height] {
    Mask after = resized(before, width, height);
    work(after);
    return after;
  };
  work_ = Work{label, painted_input()->name, index_, mask(), std::async(width * height < kLargeFrom ? std::launch::deferred : std::launch::async, changed)};
  if (width * height < kLargeFrom) work_->after.wait();
  take_work();
}

void MaskPainter::take_work() {
  std::erase_if(exports_, [this](auto& one) {
    if (one.second.wait_for(std::chrono::seconds(0)) == std::future_status::timeout) return false;
    try {
      one.second.get();
      toasts_.info("Saved " + one.first.string());
    } catch (const Error& error) {
      toasts_.error(error.what());
    }
    return true;
  });
  if (!work_ || work_->after.wait_for(std::chrono::seconds(0)) == std::future_status::timeout) return;
  Work work = std::move(*work_);
  work_.reset();
  try {
    Mask after = work.after.get();
    const std::vector<Mask>& masks = editor_.masks(work.input);
    const bool same = work.index < masks.size() && masks[work.index].width() == work.before.width() && masks[work.index].different_tiles(work.before) == 0;
    if (!same) return toasts_.info(fmt::format("{}: left alone, the mask has changed meanwhile.", work.label));
    if (after.width() != work.before.width() || after.height() != work.before.height() || after.different_tiles(work.before) > 0) editor_.paint(work.label, work.input, work.index, std::move(after));
  } catch (const Error& error) {
    toasts_.error(error.what());
  }
}

void MaskPainter::begin(MaskPoint point, bool erases, bool goes_on) {
  base_ = mask();
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
    if (stroke_->mask().different_tiles(mask()) > 0) editor_.paint(what + " stroke", painted_input()->name, index_, stroke_->mask());
    stroke_.reset();
    return;
  }
  shape_.push_back(point);
  switch (tool_) {
    case MaskTool::kRectangle:
      if (has_size) change(what + " rectangle", [from = shape_.front(), point, ink = ink_](Mask& mask) { fill_rectangle(mask, from, point, ink); });
      break;
    case MaskTool::kLasso:
      if (shape_.size() > 2) change(what + " lasso", [line = shape_, ink = ink_](Mask& mask) { fill_lasso(mask, line, ink); });
      break;
    case MaskTool::kGradient:
      if (has_size) change(what + " gradient", [from = shape_.front(), point, ink = ink_](Mask& mask) { fill_gradient(mask, from, point, ink); });
      break;
    case MaskTool::kFill:
      change(what + " area", [point, ink = ink_](Mask& mask) { fill_area(mask, point, ink); });
      break;
    case MaskTool::kThing:
      if (has_things()) change(what + " thing", [things = things_, point, ink = ink_](Mask& mask) { fill_thing(mask, *things, point, ink); });
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
  if (event.action == InputEvent::Action::kPress && button_ < 0 && hovered && paints && !work_ && !ImGui::IsKeyDown(GLFW_KEY_SPACE)) {
    button_ = event.code;
    begin(point, event.code == GLFW_MOUSE_BUTTON_RIGHT, event.modifiers & kShift);
  } else if (event.action == InputEvent::Action::kRelease && event.code == button_) {
    end(point);
  }
}

bool MaskPainter::draw_over(const Theme& theme, ImVec2 at, float scale, bool hovered, const std::vector<InputEvent>& events) {
  if (!picture_) return false;
  if (button_ >= 0 && mask().different_tiles(base_) > 0) drop();  // undone meanwhile
  const auto point_of = [&](double x, double y) { return MaskPoint{(x - at.x) / scale, (y - at.y) / scale}; };
  for (const InputEvent& event : events) take(event, point_of(event.x, event.y), hovered);

  ImDrawList& list = *ImGui::GetWindowDrawList();
  const auto width = static_cast<float>(picture_->image.width), height = static_cast<float>(picture_->image.height);
  const ImVec2 end = {at.x + width * scale, at.y + height * scale};
  if (view_ == MaskView::kAlone) list.AddRectFilled(at, end, IM_COL32_BLACK);
  if (view_ == MaskView::kMethod && !stroke_) {
    show_as_method();
    list.AddRectFilled(at, end, IM_COL32(0, 0, 0, 110));
    cells_.draw(list, at, end, true, with_alpha(theme.palette().accent, 0x99));
  } else {
    draw_masks(theme, at, end, scale >= 2);
  }

  const ImVec2 pointer = ImGui::GetIO().MousePos;
  draw_cursor(theme, at, scale, point_of(pointer.x, pointer.y));
  if (hovered && draws_strokes() && !ImGui::IsKeyDown(GLFW_KEY_SPACE)) ImGui::SetMouseCursor(ImGuiMouseCursor_None);
  return button_ >= 0 || !ImGui::IsKeyDown(GLFW_KEY_SPACE);
}

void MaskPainter::draw_masks(const Theme& theme, ImVec2 from, ImVec2 to, bool sharp) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const std::vector<Mask>& masks = editor_.masks(painted_input()->name);
  while (textures_.size() < masks.size()) textures_.emplace_back();
  all_drawn_ = true;
  const auto draw = [&](size_t index, ImU32 colour) {
    all_drawn_ &= textures_[index].update(index == index_ && stroke_ ? stroke_->mask() : masks[index]);
    textures_[index].draw(list, from, to, sharp, colour);
  };
  const auto colour = [&](size_t index) { return has_regions() ? region_colour(index) : theme.palette().accent; };
  if (view_ == MaskView::kAlone) return draw(index_, IM_COL32_WHITE);
  for (size_t i = 0; i < masks.size(); ++i)
    if (i != index_) draw(i, with_alpha(colour(i), 0x48));
  draw(index_, with_alpha(colour(index_), 0x99));
  if (has_regions()) darken_what_is_cut(list, from, to);
}

void MaskPainter::darken_what_is_cut(ImDrawList& list, ImVec2 from, ImVec2 to) const {
  const Json size = editor_.parameter("size");
  const bool given = size.is_array() && size.size() == 2;
  const float aspect = given ? size[0].get<float>() / size[1].get<float>() : 1, width = to.x - from.x, height = to.y - from.y;
  const float across = std::max(0.0f, (width - height * aspect) / 2), down = std::max(0.0f, (height - width / aspect) / 2);
  constexpr ImU32 kShade = IM_COL32(0, 0, 0, 150);
  if (across >= 1) {
    list.AddRectFilled(from, {from.x + across, to.y}, kShade);
    list.AddRectFilled({to.x - across, from.y}, to, kShade);
  }
  if (down >= 1) {
    list.AddRectFilled(from, {to.x, from.y + down}, kShade);
    list.AddRectFilled({from.x, to.y - down}, to, kShade);
  }
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
  const Mask& mask = this->mask();
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
      if (auto things = load_instance_map(file)) {
        if (things->count == 0) return toasts_.info(fmt::format("{} shows no thing at all.", file.filename().string()));
        toasts_.info(fmt::format("{} tells {} things apart. Click the ones you want.", file.filename().string(), things->count));
        things_ = std::make_shared<const InstanceMap>(std::move(*things));
        things_of_ = painted_file();
        drop();
        tool_ = MaskTool::kThing;
        return;
      }
      change("Import mask", [file](Mask& target) { target = resized(Mask(load_image(file)), target.width(), target.height()); });
      if (!work_ && mask().is_blank()) toasts_.info(fmt::format("{} is all black: nothing is painted now.", file.filename().string()));
    } catch (const Error& error) {
      toasts_.error(error.what());
    }
  }});
}

std::filesystem::path MaskPainter::painted_file() const {
  const InputDescription* const input = painted_input();
  const auto files = input == nullptr ? std::vector<std::filesystem::path>() : editor_.input(input->painted_over);
  return files.empty() ? std::filesystem::path() : files.front();
}

bool MaskPainter::has_things() {
  if (things_ && things_of_ == painted_file()) return true;
  things_.reset();
  things_of_ = painted_file();
  try {
    if (const auto beside = instance_map_beside(things_of_); !beside.empty())
      if (auto read = load_instance_map(beside)) things_ = std::make_shared<const InstanceMap>(std::move(*read));
  } catch (const Error& error) {
    toasts_.error(error.what());
    return false;
  }
  if (!things_) toasts_.info(fmt::format("No map tells which things are in {}. Import one: a gray picture with a number for each thing.", things_of_.filename().string()));
  return things_ != nullptr;
}

void MaskPainter::export_mask() {
  browser_.open({.title = "Export the mask", .extensions = {".png"}, .save = true, .name = "mask.png", .chosen = [this](const std::filesystem::path& file) {
    exports_.emplace_back(file, std::async(std::launch::async, [mask = fitting(), file] { save_image(file, mask.to_image()); }));
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

void MaskPainter::draw_regions(const Theme& theme) {
  const std::vector<std::filesystem::path> files = region_files();
  bool any_painted = false;
  for (size_t i = 0; i < files.size(); ++i) any_painted |= !summary(i).empty();
  const float high = theme.px(44), side = theme.px(32), pad = theme.px(6), width = ImGui::GetContentRegionAvail().x;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  for (size_t i = 0; i < files.size(); ++i) {
    const ImVec2 corner = ImGui::GetCursorScreenPos(), end = {corner.x + width, corner.y + high};
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::InvisibleButton("region", {width, high})) switch_to(i);
    mark(fmt::format("region {}", i + 1));
    tooltip(files.size() > 1 ? "Paint where this style acts (N: the next one)" : "");
    ImGui::PopID();
    const bool chosen = i == index_;
    if (chosen || ImGui::IsItemHovered()) list.AddRectFilled(corner, end, ImGui::GetColorU32(chosen ? ImGuiCol_ButtonActive : ImGuiCol_ButtonHovered), theme.px(4));
    list.AddRectFilled({corner.x, corner.y + pad}, {corner.x + theme.px(3), end.y - pad}, region_colour(i), theme.px(2));
    const ImVec2 at = {corner.x + theme.px(10), corner.y + pad};
    if (const SharedPicture thumbnail = loader_.thumbnail(files[i])) thumbnail->on_screen().draw_within(list, at, side);
    const float left = at.x + side + theme.px(8), room = end.x - left - pad, line = ImGui::GetTextLineHeight();
    const std::string painted = summary(i);
    list.AddText({left, corner.y + theme.px(4)}, theme.palette().text, fitted(files[i].stem().string(), room).c_str());
    list.AddText(theme.fonts().small, theme.fonts().small->FontSize, {left, corner.y + theme.px(4) + line}, theme.palette().faint, !painted.empty() ? painted.c_str() : any_painted ? "acts in the rest" : "not painted");
  }
}

void MaskPainter::draw_panel(const Theme& theme) {
  const float done = theme.px(34);
  ImGui::BeginChild("tools", {0, -done - ImGui::GetStyle().ItemSpacing.y});
  {
    const Scope child(ImGui::EndChild);
    draw_controls(theme);
  }
  if (ImGui::Button("Done", {-FLT_MIN, done})) leave();
  tooltip("Esc. What is painted stays and is used by the next run.");
}

void MaskPainter::draw_controls(const Theme& theme) {
  const float width = ImGui::GetContentRegionAvail().x, label = theme.px(80), gap = ImGui::GetStyle().ItemSpacing.x;
  const auto slider = [&](const char* name, const char* help, double shown, double lowest, double highest, const char* format, BarLook look = {}) {
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(name);
    tooltip(help);
    ImGui::SameLine(label);
    ImGui::SetNextItemWidth(-FLT_MIN);
    bar_slider((std::string("##") + name).c_str(), shown, lowest, highest, format, theme, look);
    return shown;
  };
  if (has_regions()) {
    section("WHERE EACH STYLE ACTS", theme);
    draw_regions(theme);
  }
  section("MASK", theme);
  draw_tools(theme);
  ImGui::TextUnformatted(text_of(tool_).name);
  ImGui::PushFont(theme.fonts().small);
  wrapped(theme.palette().faint, text_of(tool_).help);
  ImGui::PopFont();
  if (draws_strokes()) {
    brush_.radius = slider("Size", "Radius in pixels of the picture: [ and ]", brush_.radius, 1, kLargestBrush, "%.0f px", {.logarithmic = true});
    brush_.hardness = slider("Hardness", "How much of the radius is covered whole: Shift+[ and Shift+]", 100 * brush_.hardness, 0, 100, "%.0f %%") / 100;
    brush_.flow = slider("Flow", "What one stroke lays down. Strokes over each other add up.", 100 * brush_.flow, 1, 100, "%.0f %%") / 100;
  }

  section("WHOLE MASK", theme);
  if (work_) faint(theme, work_->label + " …");
  ImGui::BeginDisabled(work_.has_value());
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
  bar_slider("##amount", amount_, 1, 256, "%.0f px", theme, {.logarithmic = true});
  if (button("Grow", 3, "Wider all around")) change("Grow mask", [amount = amount_](Mask& mask) { grow(mask, amount); });
  ImGui::SameLine();
  if (button("Shrink", 3, "Narrower all around")) change("Shrink mask", [amount = amount_](Mask& mask) { grow(mask, -amount); });
  ImGui::SameLine();
  if (button("Feather", 3, "A softer edge. Where the method cuts the mask at half, only Crop to mask uses it.")) change("Feather mask", [amount = amount_](Mask& mask) { feather(mask, amount); });
  if (button("Import…", 2, has_regions() ? "Any picture, resized to this one; the style acts where it is white" : "Any picture, resized to this one; white is repainted")) import_mask();
  ImGui::SameLine();
  if (button("Export…", 2, has_regions() ? "As a PNG: white where the style acts" : "As a PNG: white is repainted")) export_mask();
  ImGui::EndDisabled();

  section("SHOW", theme);
  if (has_regions() && view_ == MaskView::kMethod) view_ = MaskView::kOverlay;
  for (const auto& [view, name] : kViews) {
    if (has_regions() && view == MaskView::kMethod) continue;  // it takes the regions as they are
    if (ImGui::RadioButton(name, view_ == view)) view_ = view;
    tooltip(view == MaskView::kAlone ? "Q" : view == MaskView::kMethod ? "Cut at half, in the cells of the model's latents (Shift+Q)" : "");
  }
  ImGui::Dummy({0, theme.px(2)});
  ImGui::PushFont(theme.fonts().small);
  const std::string painted = summary(index_);
  const std::string state = painted.empty() ? "Nothing is painted yet." : std::string(1, static_cast<char>(std::toupper(painted[0]))) + painted.substr(1) + ".";
  wrapped(theme.palette().faint, has_regions() ? "A style that is not painted acts where no other is; where none acts, the photograph stays. Without any painting all styles act everywhere."
                                               : fmt::format("White is repainted, the rest is kept. {}", state));
  if (view_ == MaskView::kMethod && picture_) wrapped(theme.palette().faint, fmt::format("The method sees {}.", seen_with_.substr(0, seen_with_.find(" largest"))));
  ImGui::PopFont();
}

}  // namespace attelier::desktop
