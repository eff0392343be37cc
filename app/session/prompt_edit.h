// Work on the text of a prompt that keyboards do: the weight of a word.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace attelier {

/// A prompt after an edit, and what is selected in it (bytes).
struct PromptEdit {
  std::string text;
  size_t begin = 0, end = 0;
};

/// What is selected (bytes [begin, end)), or the word at the caret where nothing is, gets `step` more weight: "a red house" -> "a (red:1.1) house"; within
/// brackets that carry a weight already, or in their number, that one changes: (red:1.1) -> (red:1.2). Weight 1 needs no brackets. Weights stay between 0 and 2. Without a word
/// nothing changes.
PromptEdit change_weight(std::string_view prompt, size_t begin, size_t end, double step);

}  // namespace attelier
