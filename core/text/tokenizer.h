// CLIP's byte-pair tokenizer (transformers' fast tokenizer behaviour).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attelier {

struct TokenizerOptions {
  int64_t length = 77;     // model_max_length
  int64_t pad_token = -1;  // -1 = from the folder: special_tokens_map.json / tokenizer_config.json, else the end token
  bool cjk_split = false;  // spaces around ideographs, as old pipelines without ftfy
};

/// Prompt text cut to the model's length.
struct Tokens {
  std::vector<int64_t> ids;  // exactly `length`, with start, end and padding
  std::string cut;           // the text that did not fit, decoded; empty if all did
};

class Tokenizer {
 public:
  /// A folder with vocab.json and merges.txt (and tokenizer_config.json, special_tokens_map.json). Throws Error(kModel).
  static std::shared_ptr<const Tokenizer> from_folder(const std::filesystem::path& folder, TokenizerOptions options = {});
  /// OpenAI's bpe_simple_vocab_16e6.txt(.gz), as the PyPI wheel open_clip_torch carries it and the bootstrap installs it.
  static std::shared_ptr<const Tokenizer> from_clip_merges(const std::filesystem::path& file, TokenizerOptions options = {});

  ~Tokenizer();
  /// Ids without start, end and padding, of any length. Invalid UTF-8 is replaced, never a crash.
  std::vector<int64_t> encode(std::string_view text) const;
  /// start + ids[:length-2] + end + padding.
  Tokens tokenize(std::string_view text) const;
  /// One Tokens per chunk of length-2 ids, for prompts beyond the model's length; at least one.
  std::vector<Tokens> tokenize_long(std::string_view text) const;
  std::string decode(std::span<const int64_t> ids) const;
  int64_t start_token() const;
  int64_t end_token() const;
  int64_t vocabulary_size() const;
  const TokenizerOptions& options() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A piece of prompt with its weight, from the (word:1.2) form: "(a)" = 1.1, "[a]" = 1/1.1, "(a:1.3)" = 1.3, "\(" is a literal.
struct WeightedText {
  std::string text;
  double weight = 1;
};
std::vector<WeightedText> parse_prompt_weights(std::string_view prompt);

/// Ids of whole chunks with one weight per id (1 for start, end and padding).
struct WeightedTokens {
  std::vector<std::vector<int64_t>> ids;
  std::vector<std::vector<float>> weights;
};
WeightedTokens tokenize_weighted(const Tokenizer& tokenizer, std::string_view prompt);

}  // namespace attelier
