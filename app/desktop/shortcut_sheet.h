// F1: every action with its shortcut, which a click changes.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "app/desktop/actions.h"
#include "app/desktop/theme.h"

namespace attelier::desktop {

class ShortcutSheet {
 public:
  void toggle() { open_ = !open_, stop(); }
  bool is_open() const { return open_; }
  /// True while a shortcut is to be pressed: keys go to press() instead of anywhere else.
  bool is_listening() const { return open_ && !listening_for_.empty(); }
  /// A key with its modifiers. Escape stops listening; a chord that another action has is asked about.
  void press(Actions& actions, const Chord& chord);
  /// `changed` is called after every change.
  void draw(Actions& actions, const Theme& theme, const std::function<void()>& changed);

 private:
  void stop();
  void draw_action(Actions& actions, const Action& action, const Theme& theme);
  void draw_foot(Actions& actions, const Theme& theme);
  void bind(Actions& actions, std::string id, Chord chord);  // by value: it forgets what it listened for

  bool open_ = false, changed_ = false;
  std::string listening_for_;   // an action's id
  std::optional<Chord> wanted_; // it was pressed, but another action has it
  std::string note_;
};

}  // namespace attelier::desktop
