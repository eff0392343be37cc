#include "app/desktop/canvas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace attelier::desktop {
namespace {

constexpr double kSmallest = 1.0 / 64, kLargest = 64;
constexpr double kSharpFrom = 2;        // whole pixels from 200 %
constexpr float kValuesFrom = 50;       // screen pixels per pixel from which values are written into them

const uint8_t* pixel(const Image& image, int64_t x, int64_t y) { return image.pixels.data() + (y * image.width + x) * image.channels; }

}  // namespace

void Canvas::show(SharedPicture a, SharedPicture b) {
  const bool same_size = a && a_ && a->image.width == a_->image.width && a->image.height == a_->image.height;
  if (!same_size) wants_fit_ = true;
  a_ = std::move(a);
  b_ = std::move(b);
}

void Canvas::fit() { wants_fit_ = true; }
void Canvas::zoom_to(double scale) {
  scale_ = std::clamp(scale, kSmallest, kLargest);
  is_fitted_ = false;
}
void Canvas::zoom_by(double factor) { zoom_to(scale_ * factor); }

ImVec2 Canvas::origin(const View& view) const {
  const double x = 0.5 * (view.from.x + view.to.x) - centre_x_ * static_cast<double>(a_->image.width) * scale_;
  const double y = 0.5 * (view.from.y + view.to.y) - centre_y_ * static_cast<double>(a_->image.height) * scale_;
  // Pixels that are larger than the screen's stand on whole ones.
  return scale_ >= 1 ? ImVec2(static_cast<float>(std::round(x)), static_cast<float>(std::round(y))) : ImVec2(static_cast<float>(x), static_cast<float>(y));
}

void Canvas::handle_pointer(const View& view, bool takes_drag) {
  const ImGuiIO& io = ImGui::GetIO();
  const double width = static_cast<double>(a_->image.width), height = static_cast<double>(a_->image.height);
  if (io.MouseWheel != 0 && ImGui::IsItemHovered()) {
    const ImVec2 at = origin(view);
    const double x = (io.MousePos.x - at.x) / scale_, y = (io.MousePos.y - at.y) / scale_;  // stays under the pointer
    zoom_by(std::pow(2.0, 0.25 * static_cast<double>(io.MouseWheel)));
    centre_x_ = (x - (io.MousePos.x - 0.5 * (view.from.x + view.to.x)) / scale_) / width;
    centre_y_ = (y - (io.MousePos.y - 0.5 * (view.from.y + view.to.y)) / scale_) / height;
  }
  // In the frame of the press the movement is the one before it: a pen that is set down elsewhere, or a quick hand, drags nothing.
  const auto drags = [](ImGuiMouseButton button) { return ImGui::IsMouseDragging(button, 0) && !ImGui::IsMouseClicked(button); };
  const bool left = drags(ImGuiMouseButton_Left) && !takes_drag && !drags_wipe_;
  if (ImGui::IsItemActive() && (left || drags(ImGuiMouseButton_Middle))) {
    is_fitted_ &= io.MouseDelta.x == 0 && io.MouseDelta.y == 0;
    centre_x_ -= io.MouseDelta.x / scale_ / width;
    centre_y_ -= io.MouseDelta.y / scale_ / height;
  }
  centre_x_ = std::clamp(centre_x_, 0.0, 1.0);
  centre_y_ = std::clamp(centre_y_, 0.0, 1.0);
}

SharedPicture Canvas::seen(const SharedPicture& picture, DerivedPicture& coloured) {
  if (false_colours && picture) return coloured.get({picture, nullptr, 1, true});
  coloured.clear();
  return picture;
}

void Canvas::draw_picture(const SharedPicture& picture, const Picture& values, const View& view, ImVec2 at, const Theme& theme) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.PushClipRect(view.from, view.to, true);
  const ImVec2 end = {at.x + static_cast<float>(static_cast<double>(a_->image.width) * scale_), at.y + static_cast<float>(static_cast<double>(a_->image.height) * scale_)};
  if (picture->image.channels == 4) {  // a checkerboard under what is transparent
    const float cell = theme.px(8);
    for (float y = std::max(at.y, view.from.y); y < std::min(end.y, view.to.y); y += cell)
      for (float x = std::max(at.x, view.from.x); x < std::min(end.x, view.to.x); x += cell)
        if ((static_cast<int>((x - at.x) / cell) + static_cast<int>((y - at.y) / cell)) % 2 == 0)
          list.AddRectFilled({x, y}, {std::min(x + cell, end.x), std::min(y + cell, end.y)}, theme.palette().checker);
  }
  if (picture->is_large()) tiles_.draw(list, picture, at, end, scale_ >= kSharpFrom);
  else picture->on_screen().draw(list, at, end, scale_ >= kSharpFrom);
  list.AddRect({at.x - 1, at.y - 1}, {end.x + 1, end.y + 1}, theme.palette().line);
  draw_pixel_values(*picture, values, view, at, theme);
  list.PopClipRect();
}

void Canvas::draw_pixel_values(const Picture& ground, const Picture& values, const View& view, ImVec2 at, const Theme& theme) const {
  const auto size = static_cast<float>(scale_);
  if (size < theme.px(kValuesFrom)) return;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const Image& image = values.image;
  ImFont* const font = theme.fonts().mono;
  const auto first = [](float from, float start, float step) { return std::max<int64_t>(0, static_cast<int64_t>((from - start) / step)); };
  for (int64_t y = first(view.from.y, at.y, size); y < image.height && at.y + static_cast<float>(y) * size < view.to.y; ++y)
    for (int64_t x = first(view.from.x, at.x, size); x < image.width && at.x + static_cast<float>(x) * size < view.to.x; ++x) {
      const uint8_t* const value = pixel(image, x, y);
      const uint8_t* const under = pixel(ground.image, x, y);
      const int brightness = ground.image.channels >= 3 ? (2 * under[0] + 5 * under[1] + under[2]) / 8 : under[0];
      const ImU32 colour = brightness > 127 ? IM_COL32(0, 0, 0, 200) : IM_COL32(255, 255, 255, 200);
      const int channels = static_cast<int>(std::min<int64_t>(image.channels, 4));
      for (int c = 0; c < channels; ++c) {
        const std::string text = std::to_string(value[c]);
        const float line = font->FontSize * 1.1f, top = at.y + (static_cast<float>(y) + 0.5f) * size + (static_cast<float>(c) - static_cast<float>(channels) / 2) * line;
        const ImVec2 wide = font->CalcTextSizeA(font->FontSize, FLT_MAX, 0, text.c_str());
        list.AddText(font, font->FontSize, {at.x + (static_cast<float>(x) + 0.5f) * size - wide.x / 2, top}, colour, text.c_str());
      }
    }
}

void Canvas::draw(const Theme& theme, const std::function<bool(ImVec2, float, bool)>& overlay) {
  const ImVec2 from = ImGui::GetCursorScreenPos(), size = ImGui::GetContentRegionAvail();
  const View whole = {from, {from.x + size.x, from.y + size.y}};
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddRectFilled(whole.from, whole.to, theme.palette().canvas);
  reading_.reset();
  tiles_.begin_frame();
  if (compare_ != Compare::kDifference) difference_.clear();  // large pictures have large ones
  if (size.x < 8 || size.y < 8) return;
  ImGui::InvisibleButton("canvas", size, ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle | ImGuiButtonFlags_MouseButtonRight);
  ImGui::SetItemAllowOverlap();
  if (!a_ || a_->image.width == 0) return;
  const bool hovered = ImGui::IsItemHovered();
  const bool compares = b_ && b_->image.width > 0 && compare_ != Compare::kOff;
  const bool beside = compares && compare_ == Compare::kSideBySide;
  const float middle = std::round(0.5f * (whole.from.x + whole.to.x)), gap = theme.px(2);
  const View view = beside ? View{whole.from, {middle - gap, whole.to.y}} : whole;
  const ImVec2 room = {view.to.x - view.from.x, view.to.y - view.from.y};
  if (wants_fit_ || (is_fitted_ && (room.x != fitted_size_.x || room.y != fitted_size_.y))) {
    const double margin = theme.px(24), width = static_cast<double>(a_->image.width), height = static_cast<double>(a_->image.height);
    scale_ = std::clamp(std::min((view.to.x - view.from.x - margin) / width, (view.to.y - view.from.y - margin) / height), kSmallest, kLargest);
    if (scale_ > 1 && scale_ < 8) scale_ = std::floor(scale_ * 4) / 4;
    centre_x_ = centre_y_ = 0.5;
    wants_fit_ = false;
    is_fitted_ = true;
    fitted_size_ = room;
  }

  bool takes_drag = false;
  if (overlay) {
    list.PushClipRect(view.from, view.to, true);
    list.ChannelsSplit(2);
    list.ChannelsSetCurrent(1);
    takes_drag = overlay(origin(view), static_cast<float>(scale_), hovered);
    list.ChannelsSetCurrent(0);
  }
  handle_pointer(view, takes_drag);
  const ImVec2 at = origin(view);
  const bool flipped = compares && compare_ == Compare::kFlip && holds_reference;
  const bool differs = compares && compare_ == Compare::kDifference;
  if (differs) {
    const SharedPicture difference = difference_.get({a_, b_, difference_gain, false_colours});
    draw_picture(difference, *difference, view, at, theme);
  } else {
    draw_picture(flipped ? seen(b_, coloured_b_) : seen(a_, coloured_a_), flipped ? *b_ : *a_, view, at, theme);
  }
  if ((differs && difference_.has_failed()) || (false_colours && coloured_a_.has_failed()))
    list.AddText({view.from.x + theme.px(12), view.from.y + theme.px(10)}, theme.palette().warn, "There is not enough memory for this view of pictures of this size: this is the picture itself.");
  if (overlay) {
    list.ChannelsMerge();
    list.PopClipRect();
  }
  if (beside) {
    const View right = {{middle + gap, whole.from.y}, whole.to};
    draw_picture(seen(b_, coloured_b_), *b_, right, origin(right), theme);
    list.AddRectFilled({middle - gap, whole.from.y}, {middle + gap, whole.to.y}, theme.palette().panel);
  }
  if (compares && compare_ == Compare::kWipe) {
    const float line = std::round(whole.from.x + wipe_ * size.x);
    draw_picture(seen(b_, coloured_b_), *b_, {{line, whole.from.y}, whole.to}, at, theme);
    list.AddLine({line, whole.from.y}, {line, whole.to.y}, theme.palette().accent, theme.px(2));
    const float reach = theme.px(6), pointer = ImGui::GetIO().MousePos.x;
    if (hovered && std::abs(pointer - line) < reach) {
      ImGui::SetMouseCursor(ImGuiMouseCursor_ResizeEW);
      if (ImGui::IsMouseClicked(ImGuiMouseButton_Left)) drags_wipe_ = true;
    }
    if (!ImGui::IsMouseDown(ImGuiMouseButton_Left)) drags_wipe_ = false;
    if (drags_wipe_) wipe_ = std::clamp((pointer - whole.from.x) / size.x, 0.0f, 1.0f);
  } else {
    drags_wipe_ = false;
  }
  const ImVec2 pointer = ImGui::GetIO().MousePos;
  const double x = std::floor((pointer.x - at.x) / scale_), y = std::floor((pointer.y - at.y) / scale_);
  if (hovered && x >= 0 && y >= 0 && x < static_cast<double>(a_->image.width) && y < static_cast<double>(a_->image.height))
    reading_ = PixelReading{static_cast<int64_t>(x), static_cast<int64_t>(y)};
}

}  // namespace attelier::desktop
