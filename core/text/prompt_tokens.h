// A prompt as the text encoder and cross-attention see it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"

namespace attelier {

struct PromptTokens {
  std::vector<std::vector<int64_t>> ids;     // one row per part, each of the model's length with start, end and padding
  std::vector<std::vector<float>> weights;   // of each id; empty where weights are not read
  std::string cut;                           // what did not fit, "" if all did
};

/// `weights`: reads (word:1.2). `long_prompt`: as many parts as the prompt needs, else one. `least_parts`: filled with empty ones.
PromptTokens tokenize_prompt(const Tokenizer& tokenizer, const std::string& prompt, bool weights, bool long_prompt, int64_t least_parts = 1);

/// A word of the prompt and the tokens that stand for it: keys `first` to `first + count` of cross-attention.
struct PromptWord {
  std::string text;
  int64_t first = 0, count = 1;
};
std::vector<PromptWord> prompt_words(const Tokenizer& tokenizer, const PromptTokens& tokens);

/// Where the phrase's own tokens stand in the prompt, every time they do, among the keys of cross-attention. Empty where the prompt does not hold it.
std::vector<int64_t> find_phrase(const Tokenizer& tokenizer, const PromptTokens& tokens, std::string_view phrase);

}  // namespace attelier
