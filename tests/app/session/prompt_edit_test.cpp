#include "app/session/prompt_edit.h"

#include <gtest/gtest.h>

#include <random>

#include "core/text/tokenizer.h"

namespace attelier {
namespace {

/// `text` with its selection between bars; a single bar is a caret.
PromptEdit edit(std::string text, double step) {
  const size_t begin = text.find('|');
  text.erase(begin, 1);
  const size_t end = text.find('|');
  if (end != std::string::npos) text.erase(end, 1);
  return change_weight(text, begin, end == std::string::npos ? begin : end, step);
}
std::string shown(const PromptEdit& edit) {
  return edit.text.substr(0, edit.begin) + "|" + edit.text.substr(edit.begin, edit.end - edit.begin) + "|" + edit.text.substr(edit.end);
}

TEST(PromptWeight, TheWordAtTheCaretGetsBracketsAndLosesThemAgain) {
  EXPECT_EQ(shown(edit("a re|d house", 0.1)), "a (|red|:1.1) house");
  EXPECT_EQ(shown(edit("a |red house", 0.1)), "a (|red|:1.1) house");
  EXPECT_EQ(shown(edit("a red| house", -0.1)), "a (|red|:0.9) house");
  EXPECT_EQ(shown(edit("a (re|d:1.1) house", 0.1)), "a (|red|:1.2) house");
  EXPECT_EQ(shown(edit("a (|red|:1.1) house", -0.1)), "a |red| house");
  EXPECT_EQ(shown(edit("sky,|sea", 0.1)), "sky,(|sea|:1.1)");
}

TEST(PromptWeight, ASelectionOfSeveralWordsIsOneThing) {
  EXPECT_EQ(shown(edit("a |red house| by the sea", 0.1)), "a (|red house|:1.1) by the sea");
  EXPECT_EQ(shown(edit("a |red house |by the sea", 0.1)), "a (|red house|:1.1) by the sea");
  EXPECT_EQ(shown(edit("a (red ho|use:1.5) by the sea", 0.1)), "a (|red house|:1.6) by the sea");
  EXPECT_EQ(shown(edit("(red house:1.|5) by the sea", 0.1)), "(|red house|:1.6) by the sea");
  EXPECT_EQ(shown(edit("(a |red|, wide house:1.3)", 0.1)), "(|a red, wide house|:1.4)");
}

TEST(PromptWeight, BracketsWithoutNumberStayAndEscapedOnesAreText) {
  EXPECT_EQ(shown(edit("a (re|d) house", 0.1)), "a ((|red|:1.1)) house");
  EXPECT_EQ(shown(edit("a \\(re|d\\) house", 0.1)), "a \\((|red|:1.1)\\) house");
}

TEST(PromptWeight, WeightsHaveBoundsAndNothingIsNoWord) {
  EXPECT_EQ(shown(edit("(re|d:2)", 0.1)), "(|red|:2)");
  EXPECT_EQ(shown(edit("(re|d:0.05)", -0.1)), "(|red|:0)");
  EXPECT_EQ(shown(edit("a,| b", 0.1)), "a,|| b");
  EXPECT_EQ(shown(edit("|", 0.1)), "||");
}

TEST(PromptWeight, UpAndDownAgainIsTheSameTextAndTheParserSeesTheWeight) {
  std::mt19937 random(5);
  const std::string prompt = "a red house, (two:1.3) trees [and] a lake by the sea";
  for (int i = 0; i < 500; ++i) {
    const size_t caret = random() % (prompt.size() + 1);
    const PromptEdit up = change_weight(prompt, caret, caret, 0.1);
    if (up.text == prompt) continue;
    double heaviest = 0;
    for (const WeightedText& piece : parse_prompt_weights(up.text)) heaviest = std::max(heaviest, piece.weight);
    EXPECT_GE(heaviest, 1.29) << up.text;
    EXPECT_EQ(change_weight(up.text, up.begin, up.end, -0.1).text, prompt) << up.text;
  }
  for (int i = 0; i < 5000; ++i) {  // any text, any selection: never out of bounds
    std::string text;
    for (size_t n = random() % 12; n > 0; --n) text += "ab :().1\\[]"[random() % 11];
    const PromptEdit any = change_weight(text, random() % 14, random() % 14, random() % 2 ? 0.1 : -0.1);
    EXPECT_LE(any.begin, any.end);
    EXPECT_LE(any.end, any.text.size());
  }
}

}  // namespace
}  // namespace attelier
