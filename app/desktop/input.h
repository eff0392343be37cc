// What the user does, as events in their order. Dear ImGui 1.86 looks at keys and buttons once a frame: in slow frames it loses presses, draws strokes as
// polygons, and finds letters by their place on a US keyboard. Here every event waits its turn, and letters are what the layout says.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

namespace attelier::desktop {

enum Modifier : int { kShift = 1, kControl = 2, kAlt = 4, kSuper = 8 };  // GLFW's bits

struct InputEvent {
  enum class Kind { kKey, kButton, kMotion, kScroll, kCharacter, kDrop };
  enum class Action { kRelease, kPress, kRepeat };
  Kind kind = Kind::kMotion;
  Action action = Action::kPress;
  int code = 0;       // GLFW's key or button
  std::string key;    // what the key is called in this layout: "z", "Enter", "F5", "["
  int modifiers = 0;
  double x = 0, y = 0;  // pointer in window coordinates when it happened; kScroll: how far instead
  uint32_t character = 0;
  std::vector<std::filesystem::path> files;  // kDrop
};

/// A key with its modifiers, "Ctrl+Shift+Z".
struct Chord {
  int modifiers = 0;
  std::string key;
  bool operator==(const Chord&) const = default;
  bool empty() const { return key.empty(); }
};
/// "" if the text is not a chord.
Chord parse_chord(const std::string& text);
std::string to_string(const Chord& chord);
/// What a letter or symbol key is called: lower case for letters. `layout_name` is what the layout calls it, or null.
std::string key_name(int code, const char* layout_name);

/// Hands events on frame by frame, so that no control changes twice in one.
class InputQueue {
 public:
  void push(InputEvent event);
  /// The events of one frame, in order, up to the second change of one key or button, to the first key or motion after a button, to a button that is let go after a motion, and to what is typed while a key that came before may still move the focus. Repeats of a
  /// key that still wait are merged into one.
  std::vector<InputEvent> next_frame();
  bool empty() const { return events_.empty(); }

 private:
  static constexpr int kFramesToFocus = 2;
  std::deque<InputEvent> events_;
  int frames_to_focus_ = 0;  // in which nothing is typed
};

}  // namespace attelier::desktop
