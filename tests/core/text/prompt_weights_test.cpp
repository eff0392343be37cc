#include <cmath>

#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"
#include "tests/core/text/text_testing.h"

namespace attelier {
namespace {

std::vector<std::pair<std::string, double>> parsed(std::string_view prompt) {
  std::vector<std::pair<std::string, double>> result;
  for (const WeightedText& piece : parse_prompt_weights(prompt)) result.emplace_back(piece.text, std::round(piece.weight * 1e6) / 1e6);
  return result;
}
using Pieces = std::vector<std::pair<std::string, double>>;

TEST(PromptWeights, Brackets) {
  EXPECT_EQ(parsed("a house"), (Pieces{{"a house", 1}}));
  EXPECT_EQ(parsed("a (red) house"), (Pieces{{"a ", 1}, {"red", 1.1}, {" house", 1}}));
  EXPECT_EQ(parsed("a [red] house"), (Pieces{{"a ", 1}, {"red", 0.909091}, {" house", 1}}));
  EXPECT_EQ(parsed("((red))"), (Pieces{{"red", 1.21}}));
  EXPECT_EQ(parsed("(red:1.5) (a:0) (b: -0.5 )"), (Pieces{{"red", 1.5}, {" ", 1}, {"a", 0}, {" ", 1}, {"b", -0.5}}));
  EXPECT_EQ(parsed("(a (b:2) c)"), (Pieces{{"a ", 1.1}, {"b", 2.2}, {" c", 1.1}}));
}

TEST(PromptWeights, LiteralsAndWhatIsNotAWeight) {
  EXPECT_EQ(parsed("a \\(red\\) house"), (Pieces{{"a (red) house", 1}}));
  EXPECT_EQ(parsed("time 12:30) ]"), (Pieces{{"time 12:30) ]", 1}}));
  EXPECT_EQ(parsed("(a:1.2.3)"), (Pieces{{"a:1.2.3", 1.1}}));
  EXPECT_EQ(parsed("a (red house"), (Pieces{{"a ", 1}, {"red house", 1.1}}));
  EXPECT_EQ(parsed(""), (Pieces{{"", 1}}));
  EXPECT_EQ(parsed("(((("), (Pieces{{"", 1}}));
  EXPECT_EQ(parsed("\\"), (Pieces{{"\\", 1}}));
}

TEST(PromptWeights, HostilePromptsEndSoonAndStayFinite) {
  std::string nested, huge;
  for (int i = 0; i < 50000; ++i) nested += "(a";
  for (int i = 0; i < 400; ++i) huge += "(";
  huge += "x";
  for (int i = 0; i < 400; ++i) huge += ":99)";
  EXPECT_GT(parsed(nested).size(), 10u);
  for (const auto& [text, weight] : parsed(nested)) EXPECT_LE(weight, 100);
  EXPECT_EQ(parsed(huge), (Pieces{{"x", 100}}));
}

TEST(PromptWeights, TokensCarryTheirPiecesWeight) {
  const TemporaryFolder folder;
  const std::vector<std::string> texts = {"a red house", "a red tree", "a house"};
  learn_vocabulary(texts, 30, folder.path());
  const auto tokenizer = Tokenizer::from_folder(folder.path(), {.length = 8});
  const WeightedTokens one = tokenize_weighted(*tokenizer, "a (red:1.5) house");
  ASSERT_EQ(one.ids.size(), 1u);
  EXPECT_EQ(one.ids[0], tokenizer->tokenize("a red house").ids);
  EXPECT_EQ(one.weights[0], (std::vector<float>{1, 1, 1.5f, 1, 1, 1, 1, 1}));
  const WeightedTokens several = tokenize_weighted(*tokenizer, "a red house a red house (a:2) red house");
  ASSERT_EQ(several.ids.size(), 2u);
  EXPECT_EQ(several.ids[1], tokenizer->tokenize("a red house").ids);
  EXPECT_EQ(several.weights[1][1], 2);
  EXPECT_EQ(tokenize_weighted(*tokenizer, "").ids.size(), 1u);
}

}  // namespace
}  // namespace attelier
