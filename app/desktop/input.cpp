#include "app/desktop/input.h"

#include <GLFW/glfw3.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace attelier::desktop {
namespace {

constexpr std::array<std::pair<int, const char*>, 43> kNamedKeys = {{
    {GLFW_KEY_ENTER, "Enter"}, {GLFW_KEY_KP_ENTER, "Enter"}, {GLFW_KEY_ESCAPE, "Escape"}, {GLFW_KEY_TAB, "Tab"}, {GLFW_KEY_SPACE, "Space"},
    {GLFW_KEY_BACKSPACE, "Backspace"}, {GLFW_KEY_DELETE, "Delete"}, {GLFW_KEY_INSERT, "Insert"}, {GLFW_KEY_HOME, "Home"}, {GLFW_KEY_END, "End"},
    {GLFW_KEY_PAGE_UP, "PageUp"}, {GLFW_KEY_PAGE_DOWN, "PageDown"}, {GLFW_KEY_LEFT, "Left"}, {GLFW_KEY_RIGHT, "Right"}, {GLFW_KEY_UP, "Up"}, {GLFW_KEY_DOWN, "Down"},
    {GLFW_KEY_F1, "F1"}, {GLFW_KEY_F2, "F2"}, {GLFW_KEY_F3, "F3"}, {GLFW_KEY_F4, "F4"}, {GLFW_KEY_F5, "F5"}, {GLFW_KEY_F6, "F6"}, {GLFW_KEY_F7, "F7"},
    {GLFW_KEY_F8, "F8"}, {GLFW_KEY_F9, "F9"}, {GLFW_KEY_F10, "F10"}, {GLFW_KEY_F11, "F11"}, {GLFW_KEY_F12, "F12"}, {GLFW_KEY_LEFT_SHIFT, "Shift"},
    {GLFW_KEY_RIGHT_SHIFT, "Shift"}, {GLFW_KEY_LEFT_CONTROL, "Ctrl"}, {GLFW_KEY_RIGHT_CONTROL, "Ctrl"}, {GLFW_KEY_LEFT_ALT, "Alt"}, {GLFW_KEY_RIGHT_ALT, "Alt"},
    {GLFW_KEY_KP_0, "0"}, {GLFW_KEY_KP_1, "1"}, {GLFW_KEY_KP_2, "2"}, {GLFW_KEY_KP_3, "3"}, {GLFW_KEY_KP_4, "4"}, {GLFW_KEY_KP_5, "5"}, {GLFW_KEY_KP_6, "6"},
    {GLFW_KEY_KP_ADD, "+"}, {GLFW_KEY_KP_SUBTRACT, "-"},
}};

constexpr std::array<std::pair<Modifier, const char*>, 4> kModifierNames = {{{kControl, "Ctrl"}, {kAlt, "Alt"}, {kShift, "Shift"}, {kSuper, "Super"}}};

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace

std::string key_name(int code, const char* layout_name) {
  for (const auto& [key, name] : kNamedKeys)
    if (key == code) return name;
  if (layout_name != nullptr && layout_name[0] != 0) return lower(layout_name);
  if (code >= GLFW_KEY_SPACE && code <= GLFW_KEY_GRAVE_ACCENT) return lower(std::string(1, static_cast<char>(code)));
  return "";
}

Chord parse_chord(const std::string& text) {
  Chord chord;
  std::string rest = text;
  for (bool found = true; found;) {
    found = false;
    for (const auto& [bit, name] : kModifierNames) {
      const std::string prefix = std::string(name) + "+";
      if (!rest.starts_with(prefix) || rest.size() == prefix.size()) continue;
      chord.modifiers |= bit;
      rest = rest.substr(prefix.size());
      found = true;
    }
  }
  if (rest.empty()) return {};
  const bool is_named = std::any_of(kNamedKeys.begin(), kNamedKeys.end(), [&](const auto& one) { return rest == one.second; });
  chord.key = is_named ? rest : lower(rest);
  return chord;
}

std::string to_string(const Chord& chord) {
  std::string text;
  for (const auto& [bit, name] : kModifierNames)
    if (chord.modifiers & bit) text += std::string(name) + "+";
  std::string key = chord.key;
  if (key.size() == 1 && key[0] >= 'a' && key[0] <= 'z') key[0] = static_cast<char>(key[0] - 'a' + 'A');
  return text + key;
}

void InputQueue::push(InputEvent event) {
  if (event.kind == InputEvent::Kind::kKey && event.action == InputEvent::Action::kRepeat)
    for (auto waiting = events_.rbegin(); waiting != events_.rend(); ++waiting)
      if (waiting->kind == InputEvent::Kind::kKey && waiting->code == event.code) {
        if (waiting->action == InputEvent::Action::kRepeat) return;
        break;
      }
  events_.push_back(std::move(event));
}

std::vector<InputEvent> InputQueue::next_frame() {
  std::vector<InputEvent> frame;
  std::set<std::pair<InputEvent::Kind, int>> touched;
  bool has_key = false;  // other than modifiers
  bool has_motion = false;
  bool moves_focus = false;
  while (!events_.empty()) {
    const InputEvent& next = events_.front();
    const bool is_control = next.kind == InputEvent::Kind::kKey || next.kind == InputEvent::Kind::kButton;
    // A pointer that moves on after a click would take the click with it; a key that follows one would run its action before the frame has seen the click.
    if ((next.kind == InputEvent::Kind::kMotion || next.kind == InputEvent::Kind::kKey) && std::any_of(touched.begin(), touched.end(), [](const auto& one) { return one.first == InputEvent::Kind::kButton; })) break;
    // What is dragged follows the pointer while the button is held: the last piece of the way needs a frame before the button is let go.
    if (next.kind == InputEvent::Kind::kButton && next.action == InputEvent::Action::kRelease && has_motion) break;
    // Dear ImGui knows one state of the modifiers a frame: one that is let go right after its letter would leave a bare letter.
    const bool is_modifier = next.kind == InputEvent::Kind::kKey && (next.key == "Shift" || next.key == "Ctrl" || next.key == "Alt");
    if (is_modifier && has_key) break;
    // A field that a key opens takes letters two frames later (SetKeyboardFocusHere): what is typed on meanwhile waits.
    const bool is_press = next.kind == InputEvent::Kind::kKey && next.action == InputEvent::Action::kPress && !is_modifier, is_chord = (next.modifiers & (kControl | kAlt)) != 0;
    if ((moves_focus || frames_to_focus_ > 0) && ((is_press && !is_chord) || next.kind == InputEvent::Kind::kCharacter)) break;
    moves_focus |= is_press && (is_chord || next.key == "Enter" || next.key == "Tab");
    if (is_control && !touched.insert({next.kind, next.code}).second) break;
    has_motion |= next.kind == InputEvent::Kind::kMotion;
    has_key |= next.kind == InputEvent::Kind::kKey && !is_modifier;
    frame.push_back(std::move(events_.front()));
    events_.pop_front();
  }
  frames_to_focus_ = moves_focus ? kFramesToFocus : std::max(0, frames_to_focus_ - 1);
  return frame;
}

}  // namespace attelier::desktop
