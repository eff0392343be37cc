#include "core/text/vocabulary.h"

#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/text/byte_pairs.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Pair = std::pair<std::string, std::string>;

struct Word {
  std::vector<std::string> symbols;
  int64_t count = 0;
};

// The distinct pieces of all texts as symbols, the last with </w>, in a fixed order.
std::vector<Word> count_words(std::span<const std::string> texts) {
  std::map<std::string, int64_t> counts;
  for (const std::string& text : texts) {
    const std::string whole = text::normalised(text);
    for (const std::string_view piece : text::pieces(whole)) ++counts[std::string(piece)];
  }
  std::vector<Word> words;
  for (const auto& [piece, count] : counts) {
    Word word;
    word.count = count;
    for (const char c : piece) word.symbols.push_back(text::byte_symbols()[static_cast<uint8_t>(c)]);
    word.symbols.back() += text::kEndOfWord;
    words.push_back(std::move(word));
  }
  return words;
}

// Occurrences of every adjacent pair, kept up to date while words change (Sennrich et al. 2016, arXiv:1508.07909, algorithm 1).
class PairCounts {
 public:
  explicit PairCounts(const std::vector<Word>& words) {
    for (size_t i = 0; i < words.size(); ++i) change(words[i], i, 1);
  }

  void change(const Word& word, size_t index, int64_t sign) {
    for (size_t k = 0; k + 1 < word.symbols.size(); ++k) {
      Entry& entry = entries_[{word.symbols[k], word.symbols[k + 1]}];
      entry.count += sign * word.count;
      if (sign > 0) entry.words.insert(index);
    }
  }

  // The most frequent pair that occurs at least twice and is allowed; of equals the first by text.
  const Pair* best(const std::set<Pair>& refused) const {
    const Pair* best = nullptr;
    int64_t most = 1;
    for (const auto& [pair, entry] : entries_) {
      if (entry.count > most && !refused.contains(pair)) {
        most = entry.count;
        best = &pair;
      }
    }
    return best;
  }

  // Words that hold, or once held, the pair; the pair itself is dropped.
  std::set<size_t> take(const Pair& pair) {
    auto node = entries_.extract(pair);
    return std::move(node.mapped().words);
  }
  void drop(const Pair& pair) { entries_.erase(pair); }

 private:
  struct Entry {
    int64_t count = 0;
    std::set<size_t> words;
  };
  std::map<Pair, Entry> entries_;  // ordered: ties go to the first by text
};

void merge(Word& word, const Pair& pair) {
  std::vector<std::string> result;
  for (size_t k = 0; k < word.symbols.size(); ++k) {
    if (k + 1 < word.symbols.size() && word.symbols[k] == pair.first && word.symbols[k + 1] == pair.second) {
      result.push_back(pair.first + pair.second);
      ++k;
    } else {
      result.push_back(word.symbols[k]);
    }
  }
  word.symbols = std::move(result);
}

std::vector<Pair> learn(std::vector<Word> words, int64_t merges, std::unordered_set<std::string> tokens) {
  PairCounts counts(words);
  std::vector<Pair> learned;
  std::set<Pair> refused;  // another pair already gives the same token: ids stay dense without it
  while (static_cast<int64_t>(learned.size()) < merges) {
    const Pair* best = counts.best(refused);
    if (best == nullptr) break;
    const Pair pair = *best;
    if (!tokens.insert(pair.first + pair.second).second) {
      refused.insert(pair);
      continue;
    }
    learned.push_back(pair);
    for (const size_t index : counts.take(pair)) {
      counts.change(words[index], index, -1);
      merge(words[index], pair);
      counts.change(words[index], index, 1);
    }
    counts.drop(pair);
  }
  return learned;
}

}  // namespace

void learn_vocabulary(std::span<const std::string> texts, int64_t merges, const fs::path& folder) {
  if (merges < 0) fail(ExitCode::kBadInput, "the number of merges is {}; 0 or more is allowed", merges);
  std::vector<std::string> tokens;
  for (const std::string_view ending : {std::string_view(), text::kEndOfWord}) {
    for (const uint8_t byte : text::bytes_by_id()) tokens.push_back(text::byte_symbols()[byte] + std::string(ending));
  }
  std::string lines = "#version: 0.2\n";
  for (const auto& [first, second] : learn(count_words(texts), merges, {tokens.begin(), tokens.end()})) {
    lines += first + " " + second + "\n";
    tokens.push_back(first + second);
  }
  const std::string start(text::kStartToken), end(text::kEndToken);
  tokens.push_back(start);
  tokens.push_back(end);
  std::string ids;  // written by hand to keep the order of the ids
  for (size_t i = 0; i < tokens.size(); ++i) ids += fmt::format("{}{}: {}", i == 0 ? "{" : ", ", nlohmann::json(tokens[i]).dump(), i);
  ids += "}";
  const nlohmann::ordered_json special = {{"bos_token", start}, {"eos_token", end}, {"unk_token", end}, {"pad_token", end}};
  nlohmann::ordered_json config = special;
  config.update(
      {{"tokenizer_class", "CLIPTokenizer"}, {"model_max_length", 77}, {"do_lower_case", true}, {"add_prefix_space", false}, {"errors", "replace"}});

  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ExitCode::kBadInput, "{}: the folder cannot be created: {}", folder.string(), error.message());
  write_file_atomically(folder / "vocab.json", ids);
  write_file_atomically(folder / "merges.txt", lines);
  write_file_atomically(folder / "special_tokens_map.json", special.dump(2) + "\n");
  write_file_atomically(folder / "tokenizer_config.json", config.dump(2) + "\n");
}

}  // namespace attelier
