#include "core/text/prompt_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace attelier {
namespace {

/// The prompt's own ids, without start, end and padding, and where each stands among the keys.
struct OwnTokens {
  std::vector<int64_t> ids, places;
};

OwnTokens own_tokens(const Tokenizer& tokenizer, const PromptTokens& tokens) {
  OwnTokens own;
  int64_t first = 0;
  for (const std::vector<int64_t>& part : tokens.ids) {
    for (size_t i = 1; i < part.size() && part[i] != tokenizer.end_token(); ++i) {
      own.ids.push_back(part[i]);
      own.places.push_back(first + static_cast<int64_t>(i));
    }
    first += static_cast<int64_t>(part.size());
  }
  return own;
}

/// Decoded before another token, one that ends a word is followed by a space.
bool ends_word(const Tokenizer& tokenizer, int64_t id) {
  const int64_t once[] = {id}, twice[] = {id, id};
  return tokenizer.decode(twice).size() > 2 * tokenizer.decode(once).size();
}

}  // namespace

PromptTokens tokenize_prompt(const Tokenizer& tokenizer, const std::string& prompt, bool weights, bool long_prompt, int64_t least_parts) {
  PromptTokens result;
  if (weights) {
    WeightedTokens weighted = tokenize_weighted(tokenizer, prompt);
    result.ids = std::move(weighted.ids);
    result.weights = std::move(weighted.weights);
    if (!long_prompt && result.ids.size() > 1) {
      result.cut = fmt::format("everything after the first {} tokens", result.ids[0].size() - 2);
      result.ids.resize(1);
      result.weights.resize(1);
    }
  } else if (long_prompt) {
    for (Tokens& tokens : tokenizer.tokenize_long(prompt)) result.ids.push_back(std::move(tokens.ids));
  } else {
    Tokens tokens = tokenizer.tokenize(prompt);
    result.cut = std::move(tokens.cut);
    result.ids.push_back(std::move(tokens.ids));
  }
  while (static_cast<int64_t>(result.ids.size()) < least_parts) result.ids.push_back(tokenizer.tokenize("").ids);
  return result;
}

std::vector<PromptWord> prompt_words(const Tokenizer& tokenizer, const PromptTokens& tokens) {
  const OwnTokens own = own_tokens(tokenizer, tokens);
  std::vector<PromptWord> words;
  bool begins = true;
  for (size_t i = 0; i < own.ids.size(); ++i) {
    // A word never goes on behind the end of a part.
    if (begins || own.places[i] != own.places[i - 1] + 1) words.push_back({"", own.places[i], 0});
    ++words.back().count;
    words.back().text += tokenizer.decode(std::span(own.ids).subspan(i, 1));
    begins = ends_word(tokenizer, own.ids[i]);
  }
  return words;
}

std::vector<int64_t> find_phrase(const Tokenizer& tokenizer, const PromptTokens& tokens, std::string_view phrase) {
  const OwnTokens own = own_tokens(tokenizer, tokens);
  const std::vector<int64_t> wanted = tokenizer.encode(phrase);
  std::vector<int64_t> places;
  if (wanted.empty()) return places;
  for (auto found = own.ids.begin(); (found = std::search(found, own.ids.end(), wanted.begin(), wanted.end())) != own.ids.end(); found += static_cast<std::ptrdiff_t>(wanted.size()))
    for (size_t i = 0; i < wanted.size(); ++i) places.push_back(own.places[static_cast<size_t>(found - own.ids.begin()) + i]);
  return places;
}

}  // namespace attelier
