#include "core/text/tokenizer.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/text/byte_pairs.h"
#include "core/text/merge_list.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uint64_t kMaximumFile = uint64_t{64} << 20;

// A string that is one token wherever it stands.
struct AddedToken {
  std::string text;
  int64_t id = 0;
  bool normalised = false;  // matched in the normalised text, else in the text as written
};

// Two ids in one key.
uint64_t key_of(int64_t first, int64_t second) { return static_cast<uint64_t>(first) << 32 | static_cast<uint64_t>(second); }

Json read_json(const fs::path& path) {
  try {
    return Json::parse(read_file(path, kMaximumFile));
  } catch (const Json::exception& error) {
    fail(ExitCode::kModel, "{}: is not valid JSON ({}); fetch the tokenizer's folder again", path.string(), error.what());
  } catch (const Error& error) {
    fail(ExitCode::kModel, "{}; a tokenizer's folder holds vocab.json and merges.txt", error.what());
  }
}

// "pad_token": "x" or {"content": "x", "normalized": true}.
std::optional<AddedToken> special_token(const Json& map, const char* name) {
  if (!map.is_object() || !map.contains(name)) return std::nullopt;
  const Json& value = map[name];
  if (value.is_string()) return AddedToken{value.get<std::string>(), 0, false};
  if (!value.is_object() || !value.contains("content") || !value["content"].is_string()) return std::nullopt;
  const auto flag = value.find("normalized");
  return AddedToken{value["content"].get<std::string>(), 0, flag != value.end() && flag->is_boolean() && flag->get<bool>()};
}

}  // namespace

struct Tokenizer::State {
  TokenizerOptions options;
  std::vector<std::string> tokens;  // by id, as symbols; "" where no token has the id
  std::unordered_map<std::string, int64_t> ids;
  struct Merge {
    int64_t rank = 0, result = 0;
  };
  std::unordered_map<uint64_t, Merge> merges;
  std::vector<AddedToken> added;
  std::array<int64_t, 256> inner = {}, last = {};  // ids of the byte symbols without and with </w>; the unknown token where there is none
  std::unordered_map<std::string, uint8_t> byte_of;
  int64_t start = 0, end = 0, unknown = 0;

  std::optional<int64_t> find(const std::string& token) const {
    const auto found = ids.find(token);
    return found == ids.end() ? std::nullopt : std::optional(found->second);
  }

  void add_token(const std::string& token, int64_t id) {
    ids.emplace(token, id);
    if (id >= static_cast<int64_t>(tokens.size())) tokens.resize(static_cast<size_t>(id) + 1);
    tokens[static_cast<size_t>(id)] = token;
  }

  // The last mention of a string decides, as in transformers.
  void add_special(AddedToken token) {
    const auto id = find(token.text);
    if (!id || token.text.empty()) return;
    token.id = *id;
    for (AddedToken& known : added) {
      if (known.text == token.text) {
        known = std::move(token);
        return;
      }
    }
    added.push_back(std::move(token));
  }

  void finish(const std::vector<MergePair>& pairs, const std::string& name);
  void encode_piece(std::string_view piece, std::vector<int64_t>& result) const;
  void encode_plain(std::string_view text, std::vector<int64_t>& result) const;
  template <typename Next>
  void split_at_added(std::string_view text, bool normalised, std::vector<int64_t>& result, const Next& next) const;
};

void Tokenizer::State::finish(const std::vector<MergePair>& pairs, const std::string& name) {
  const auto need = [&](std::string_view token) {
    const auto id = find(std::string(token));
    if (!id) fail(ExitCode::kModel, "{}: the vocabulary has no token \"{}\"; it is not one of CLIP's format", name, token);
    return *id;
  };
  start = need(text::kStartToken);
  end = need(text::kEndToken);
  unknown = end;
  for (size_t byte = 0; byte < 256; ++byte) {
    const std::string& symbol = text::byte_symbols()[byte];
    inner[byte] = find(symbol).value_or(unknown);
    last[byte] = find(symbol + std::string(text::kEndOfWord)).value_or(unknown);
    byte_of.emplace(symbol, static_cast<uint8_t>(byte));
  }
  merges.reserve(pairs.size());
  for (size_t rank = 0; rank < pairs.size(); ++rank) {
    const auto& [first, second] = pairs[rank];
    merges.try_emplace(key_of(need(first), need(second)), Merge{static_cast<int64_t>(rank), need(first + second)});
  }
  // The longest first, so that no special string hides in a longer one.
  std::stable_sort(added.begin(), added.end(), [](const AddedToken& a, const AddedToken& b) { return a.text.size() > b.text.size(); });
  if (options.pad_token < 0) options.pad_token = end;
  if (options.length < 3) fail(ExitCode::kModel, "{}: the length of {} tokens leaves no room for text; 3 or more are allowed", name, options.length);
}

// Merges the ranked neighbours, lowest rank first, leftmost of equals. A heap of candidates over a linked list: n log n for a piece of any length.
void Tokenizer::State::encode_piece(std::string_view piece, std::vector<int64_t>& result) const {
  struct Symbol {
    int64_t id;
    int64_t before, after;  // -1 at the ends
  };
  struct Candidate {
    int64_t rank, position, first, second, merged;
    bool operator>(const Candidate& other) const { return std::pair(rank, position) > std::pair(other.rank, other.position); }
  };
  const auto size = static_cast<int64_t>(piece.size());
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (int64_t i = 0; i < size; ++i) {
    const auto byte = static_cast<uint8_t>(piece[static_cast<size_t>(i)]);
    symbols.push_back({i + 1 == size ? last[byte] : inner[byte], i - 1, i + 1 == size ? -1 : i + 1});
  }
  std::vector<Candidate> heap;
  const auto consider = [&](int64_t position) {
    if (position < 0 || symbols[static_cast<size_t>(position)].after < 0) return;
    const Symbol& symbol = symbols[static_cast<size_t>(position)];
    const int64_t second = symbols[static_cast<size_t>(symbol.after)].id;
    const auto found = merges.find(key_of(symbol.id, second));
    if (found == merges.end()) return;
    heap.push_back({found->second.rank, position, symbol.id, second, found->second.result});
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  for (int64_t i = 0; i + 1 < size; ++i) consider(i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const Candidate candidate = heap.back();
    heap.pop_back();
    Symbol& symbol = symbols[static_cast<size_t>(candidate.position)];
    // Stale: one of the two has been merged in the meantime (a symbol that was swallowed has the id -1).
    if (symbol.id != candidate.first || symbol.after < 0 || symbols[static_cast<size_t>(symbol.after)].id != candidate.second) continue;
    Symbol& swallowed = symbols[static_cast<size_t>(symbol.after)];
    symbol.id = candidate.merged;
    symbol.after = swallowed.after;
    swallowed.id = -1;
    if (symbol.after >= 0) symbols[static_cast<size_t>(symbol.after)].before = candidate.position;
    consider(symbol.before);
    consider(candidate.position);
  }
  for (int64_t i = 0; i >= 0 && size > 0; i = symbols[static_cast<size_t>(i)].after) result.push_back(symbols[static_cast<size_t>(i)].id);
}

void Tokenizer::State::encode_plain(std::string_view text, std::vector<int64_t>& result) const {
  for (const std::string_view piece : text::pieces(text)) encode_piece(piece, result);
}

// Gives the text between added tokens to `next`, and the tokens' ids to `result`, in order.
template <typename Next>
void Tokenizer::State::split_at_added(std::string_view text, bool normalised, std::vector<int64_t>& result, const Next& next) const {
  std::vector<size_t> found(added.size(), 0);  // where each token stands next: looked for again only once it has been passed
  size_t begin = 0;
  for (size_t i = 0; i < added.size(); ++i) found[i] = added[i].normalised == normalised ? text.find(added[i].text) : std::string_view::npos;
  while (begin < text.size()) {
    size_t first = std::string_view::npos;
    const AddedToken* token = nullptr;
    for (size_t i = 0; i < added.size(); ++i) {
      if (found[i] != std::string_view::npos && found[i] < begin) found[i] = text.find(added[i].text, begin);
      if (found[i] < first) {
        first = found[i];
        token = &added[i];
      }
    }
    next(text.substr(begin, token == nullptr ? std::string_view::npos : first - begin));
    if (token == nullptr) return;
    result.push_back(token->id);
    begin = first + token->text.size();
  }
}

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::from_folder(const fs::path& folder, TokenizerOptions options) {
  auto state = std::make_unique<State>();
  state->options = options;
  const Json vocabulary = read_json(folder / "vocab.json");
  if (!vocabulary.is_object()) fail(ExitCode::kModel, "{}: is not an object of token: id", (folder / "vocab.json").string());
  constexpr int64_t kMaximumId = 10'000'000;
  for (const auto& [token, id] : vocabulary.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kMaximumId) {
      fail(ExitCode::kModel, "{}: the id of \"{}\" is {}; ids from 0 to {} are allowed", (folder / "vocab.json").string(), token, id.dump(),
           kMaximumId);
    }
    state->add_token(token, id.get<int64_t>());
  }
  for (const std::string_view token : {text::kStartToken, text::kEndToken}) state->add_special({std::string(token), 0, false});
  std::optional<AddedToken> pad;
  for (const char* name : {"special_tokens_map.json", "tokenizer_config.json"}) {
    if (!fs::exists(folder / name)) continue;
    const Json map = read_json(folder / name);
    for (const char* kind : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
      if (auto token = special_token(map, kind)) {
        if (std::string_view(kind) == "pad_token" && !pad) pad = token;
        state->add_special(std::move(*token));
      }
    }
  }
  if (pad && state->options.pad_token < 0) {
    const auto id = state->find(pad->text);
    if (!id) fail(ExitCode::kModel, "{}: the padding token \"{}\" is not in vocab.json", folder.string(), pad->text);
    state->options.pad_token = *id;
  }
  state->finish(read_merges(folder / "merges.txt"), folder.string());
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(state)));
}

std::shared_ptr<const Tokenizer> Tokenizer::from_clip_merges(const fs::path& file, TokenizerOptions options) {
  constexpr size_t kMerges = 49152 - 256 - 2;  // of the 262,144 lines, as OpenAI's tokenizer takes them
  std::vector<MergePair> pairs = read_merges(file);
  if (pairs.size() < kMerges) {
    fail(ExitCode::kModel, "{}: has {} merges, CLIP's vocabulary has {}; fetch bpe_simple_vocab_16e6.txt.gz again", file.string(), pairs.size(),
         kMerges);
  }
  pairs.resize(kMerges);
  auto state = std::make_unique<State>();
  state->options = options;
  int64_t id = 0;
  for (const std::string_view ending : {std::string_view(), text::kEndOfWord}) {
    for (const uint8_t byte : text::bytes_by_id()) state->add_token(text::byte_symbols()[byte] + std::string(ending), id++);
  }
  for (const auto& [first, second] : pairs) state->add_token(first + second, id++);
  for (const std::string_view token : {text::kStartToken, text::kEndToken}) {
    state->add_token(std::string(token), id++);
    state->add_special({std::string(token), 0, false});
  }
  state->finish(pairs, file.string());
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(state)));
}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int64_t> result;
  const std::string whole = text::valid_utf8(text);
  state_->split_at_added(whole, false, result, [&](std::string_view part) {
    const std::string normal = text::normalised(part, state_->options.cjk_split);
    state_->split_at_added(normal, true, result, [&](std::string_view plain) { state_->encode_plain(plain, result); });
  });
  return result;
}

Tokens Tokenizer::tokenize(std::string_view text) const {
  const std::vector<int64_t> ids = encode(text);
  const size_t room = std::min(ids.size(), static_cast<size_t>(state_->options.length - 2));
  Tokens tokens;
  tokens.ids.push_back(state_->start);
  tokens.ids.insert(tokens.ids.end(), ids.begin(), ids.begin() + static_cast<int64_t>(room));
  tokens.ids.push_back(state_->end);
  tokens.ids.resize(static_cast<size_t>(state_->options.length), state_->options.pad_token);
  tokens.cut = decode(std::span(ids).subspan(room));
  return tokens;
}

std::vector<Tokens> Tokenizer::tokenize_long(std::string_view text) const {
  const std::vector<int64_t> ids = encode(text);
  const auto room = static_cast<size_t>(state_->options.length - 2);
  std::vector<Tokens> chunks;
  for (size_t begin = 0; begin == 0 || begin < ids.size(); begin += room) {
    const auto part = std::span(ids).subspan(begin, std::min(room, ids.size() - begin));
    Tokens tokens;
    tokens.ids.push_back(state_->start);
    tokens.ids.insert(tokens.ids.end(), part.begin(), part.end());
    tokens.ids.push_back(state_->end);
    tokens.ids.resize(static_cast<size_t>(state_->options.length), state_->options.pad_token);
    chunks.push_back(std::move(tokens));
  }
  return chunks;
}

// Byte symbols become bytes, </w> a space; other tokens (special strings) stand for themselves.
std::string Tokenizer::decode(std::span<const int64_t> ids) const {
  std::string bytes;
  for (const int64_t id : ids) {
    if (id < 0 || id >= vocabulary_size()) continue;
    std::string_view token = state_->tokens[static_cast<size_t>(id)];
    const bool special = std::any_of(state_->added.begin(), state_->added.end(), [&](const AddedToken& a) { return a.id == id; });
    const bool word_end = !special && token.ends_with(text::kEndOfWord);
    if (word_end) token.remove_suffix(text::kEndOfWord.size());
    while (!special && !token.empty()) {
      const size_t size = static_cast<uint8_t>(token[0]) < 0x80 ? 1 : 2;  // every byte symbol is below U+0144
      const auto byte = state_->byte_of.find(std::string(token.substr(0, size)));
      if (byte == state_->byte_of.end()) break;
      bytes += static_cast<char>(byte->second);
      token.remove_prefix(std::min(size, token.size()));
    }
    bytes += token;  // what is not made of byte symbols
    if (word_end) bytes += ' ';
  }
  while (!bytes.empty() && bytes.back() == ' ') bytes.pop_back();
  return text::valid_utf8(bytes);
}

int64_t Tokenizer::start_token() const { return state_->start; }
int64_t Tokenizer::end_token() const { return state_->end; }
int64_t Tokenizer::vocabulary_size() const { return static_cast<int64_t>(state_->tokens.size()); }
const TokenizerOptions& Tokenizer::options() const { return state_->options; }

}  // namespace attelier
