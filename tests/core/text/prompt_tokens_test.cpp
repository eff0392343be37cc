// Words and phrases of a prompt among the keys of cross-attention.
#include "core/text/prompt_tokens.h"

#include "core/text/vocabulary.h"
#include "tests/core/text/text_testing.h"

namespace attelier {
namespace {

class PromptTokensTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::string> texts = {"a red house by the sea", "a red tree", "the sea the sea"};
    learn_vocabulary(texts, 12, folder_.path());
    tokenizer_ = Tokenizer::from_folder(folder_.path(), {.length = 16});
  }
  std::vector<std::string> words(const PromptTokens& tokens) const {
    std::vector<std::string> result;
    for (const PromptWord& word : prompt_words(*tokenizer_, tokens)) result.push_back(word.text);
    return result;
  }

  TemporaryFolder folder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_F(PromptTokensTest, WordsCoverTheirTokensInOrder) {
  const PromptTokens tokens = tokenize_prompt(*tokenizer_, "A red sea, zq", false, false);
  EXPECT_EQ(words(tokens), (std::vector<std::string>{"a", "red", "sea", ",", "zq"}));
  int64_t next = 1;
  for (const PromptWord& word : prompt_words(*tokenizer_, tokens)) {
    EXPECT_EQ(word.first, next);
    next += word.count;
  }
  EXPECT_EQ(tokens.ids[0][static_cast<size_t>(next)], tokenizer_->end_token());
  EXPECT_EQ(prompt_words(*tokenizer_, tokens).back().count, 2) << "zq was not learnt: two tokens, one word";
}

TEST_F(PromptTokensTest, AnEmptyPromptHasNoWords) {
  EXPECT_TRUE(words(tokenize_prompt(*tokenizer_, "", false, false)).empty());
  EXPECT_TRUE(find_phrase(*tokenizer_, tokenize_prompt(*tokenizer_, "", false, false), "red").empty());
}

TEST_F(PromptTokensTest, PhrasesAreFoundEveryTimeAndAcrossLetterCase) {
  const PromptTokens tokens = tokenize_prompt(*tokenizer_, "the sea the red sea", false, false);
  const auto all = prompt_words(*tokenizer_, tokens);
  const auto places = [&](std::initializer_list<size_t> chosen) {
    std::vector<int64_t> keys;
    for (const size_t i : chosen)
      for (int64_t k = 0; k < all[i].count; ++k) keys.push_back(all[i].first + k);
    return keys;
  };
  EXPECT_EQ(find_phrase(*tokenizer_, tokens, "sea"), places({1, 4}));
  EXPECT_EQ(find_phrase(*tokenizer_, tokens, " Red  SEA "), places({3, 4}));
  EXPECT_TRUE(find_phrase(*tokenizer_, tokens, "house").empty());
  EXPECT_TRUE(find_phrase(*tokenizer_, tokens, "").empty());
}

TEST_F(PromptTokensTest, LongPromptsGoOnInTheNextPart) {
  std::string prompt;
  for (int i = 0; i < 14; ++i) prompt += "sea ";
  prompt += "red tree";
  const PromptTokens tokens = tokenize_prompt(*tokenizer_, prompt, false, true);
  ASSERT_GE(tokens.ids.size(), 2U);
  const auto all = prompt_words(*tokenizer_, tokens);
  EXPECT_EQ(all.back().text, "tree");
  EXPECT_GT(all.back().first, 16) << "behind the start token of the second part";
  EXPECT_EQ(find_phrase(*tokenizer_, tokens, "tree").front(), all.back().first);
  EXPECT_NE(tokenize_prompt(*tokenizer_, prompt, false, false).cut, "");
  EXPECT_EQ(tokenize_prompt(*tokenizer_, "red", false, false, 3).ids.size(), 3U);
}

TEST_F(PromptTokensTest, WeightsAreReadOutOfTheWords) {
  const PromptTokens tokens = tokenize_prompt(*tokenizer_, "a (red:1.5) tree", true, false);
  EXPECT_EQ(words(tokens), (std::vector<std::string>{"a", "red", "tree"}));
  const auto red = find_phrase(*tokenizer_, tokens, "red");
  ASSERT_FALSE(red.empty());
  EXPECT_FLOAT_EQ(tokens.weights[0][static_cast<size_t>(red[0])], 1.5f);
}

}  // namespace
}  // namespace attelier
