// The field of a prompt: its text, what its brackets mean, and how much of the text encoder's room it takes.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "app/desktop/theme.h"

namespace attelier::desktop {

class PromptEditor {
 public:
  /// True when `text` was edited. `lines` are shown at least. `reads_weights`: whether brackets are weights, nothing where the method cannot read them; what
  /// the user does may set it. `token_text` says how long a text is, "" = not known.
  bool draw(std::string& text, int lines, std::optional<bool>& reads_weights, const std::function<std::string(const std::string& text)>& token_text, const Theme& theme);
  /// The field that is drawn next takes the keyboard.
  void focus() { focuses_ = true; }
  /// What is selected in the field that has the keyboard, or the word at its caret, gets `step` more weight.
  void change_weight(double step) { weight_step_ = step; }
  /// A field of this kind has the keyboard.
  bool is_active() const { return active_; }
  /// Before the fields of a frame.
  void begin_frame() { active_ = false; }

 private:
  static void draw_weights(const std::string& text, std::optional<bool>& reads_weights, const Theme& theme);

  bool focuses_ = false, active_ = false;
  double weight_step_ = 0;  // that is still to be made
};

}  // namespace attelier::desktop
