// Small controls that Dear ImGui 1.86 lacks.
#pragma once

#include <imgui.h>

#include <exception>
#include <functional>
#include <string>

#include "app/desktop/theme.h"

namespace attelier::desktop {

/// Ends what its constructor began. When an exception passes, the frame as a whole is closed instead (Window::frame), with the fonts and ids that are still pushed.
class Scope {
 public:
  Scope(void (*end)(), bool open = true) : end_(end), open_(open) {}
  ~Scope() {
    if (std::uncaught_exceptions() == exceptions_) end_();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  explicit operator bool() const { return open_; }

 private:
  void (*end_)();
  bool open_;
  int exceptions_ = std::uncaught_exceptions();
};

/// A window without frame at a fixed place.
Scope panel(const char* name, ImVec2 position, ImVec2 size, ImGuiWindowFlags flags = 0);
/// A heading with a line after it.
void section(const char* label, const Theme& theme);
/// After the last item: a text that appears when the pointer rests on it.
void tooltip(const std::string& text);
/// A button that stands out: the one thing to do next.
bool primary_button(const char* label, ImVec2 size, const Theme& theme);
struct BarLook {
  bool logarithmic = false;
  bool quiet = false;  // the number comes from elsewhere until it is moved
};
/// A slider that is filled up to its number, so that the text stays readable. Widths, ids and formats as ImGui's sliders. The number is rounded to what the format shows and stays within its ends.
bool bar_slider(const char* id, double& number, double lowest, double highest, const char* format, const Theme& theme, BarLook look = {});
bool bar_slider(const char* id, int& number, int lowest, int highest, const char* format, const Theme& theme, BarLook look = {});  // formats of a double, as "%.0f px"
/// A small square button with a sign drawn on it.
enum class Sign { kUp, kDown, kCross };
bool sign_button(const char* id, Sign sign, float side, const Theme& theme);
/// Text in a colour.
void coloured(ImU32 colour, const std::string& text);
void faint(const Theme& theme, const std::string& text);
void wrapped(ImU32 colour, const std::string& text);
/// A bar between two panels that is dragged: changes `size` within its bounds. `towards` +1: dragging right or down enlarges.
void splitter(const char* id, bool vertical, ImVec2 position, ImVec2 length, float& size, float minimum, float maximum, float towards);
/// A tab of the open tab bar; `front` brings it to the front.
void tab(const std::string& label, const std::function<void()>& draw, bool front = false);
/// A five-pointed star.
void star(ImDrawList& list, ImVec2 centre, float radius, ImU32 colour);
/// Five stars of which `rating` shine; a click on one rates, a click on the last that shines takes the rating back.
bool rating_stars(const char* id, int& rating, const Theme& theme);
/// A text field of std::string.
bool input_text(const char* id, std::string& text, const char* hint = nullptr, ImGuiInputTextFlags flags = 0);
/// `text` shortened in its middle to `width` pixels.
std::string fitted(const std::string& text, float width);

}  // namespace attelier::desktop
