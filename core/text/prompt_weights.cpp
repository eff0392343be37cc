// Weights in prompts, the form that AUTOMATIC1111's web UI made common.
#include <algorithm>
#include <charconv>

#include "core/text/tokenizer.h"

namespace attelier {
namespace {

constexpr double kBracket = 1.1;
constexpr double kMost = 100;  // nested brackets multiply

enum class Mark { kText, kOpenRound, kOpenSquare, kCloseRound, kCloseSquare };

struct Item {
  Mark mark = Mark::kText;
  std::string text;
  double factor = 1;  // of an opening bracket
};

/// ": 1.3 )" at the start of `rest`: the number, and how many bytes it takes.
std::pair<double, size_t> read_weight(std::string_view rest) {
  const auto skip = [&](size_t i) {
    while (i < rest.size() && rest[i] == ' ') ++i;
    return i;
  };
  size_t i = skip(1);
  if (i < rest.size() && rest[i] == '+') ++i;
  double value = 1;
  const auto [end, error] = std::from_chars(rest.data() + i, rest.data() + rest.size(), value, std::chars_format::fixed);
  const size_t after = error == std::errc() ? skip(static_cast<size_t>(end - rest.data())) : rest.size();
  return after < rest.size() && rest[after] == ')' ? std::pair(value, after + 1) : std::pair(1.0, size_t{0});
}

/// Brackets and what stands between them; every opening bracket already has its factor.
std::vector<Item> scan(std::string_view prompt) {
  std::vector<Item> items;
  std::vector<size_t> round, square;  // opening brackets that are not closed yet
  const auto literal = [&](char c) {
    if (items.empty() || items.back().mark != Mark::kText) items.emplace_back();
    items.back().text += c;
  };
  const auto open = [&](Mark mark, std::vector<size_t>& stack, double factor) {
    stack.push_back(items.size());
    items.push_back({mark, {}, factor});
  };
  for (size_t i = 0; i < prompt.size(); ++i) {
    const char c = prompt[i];
    if (c == '\\' && i + 1 < prompt.size() && std::string_view("()[]\\").find(prompt[i + 1]) != std::string_view::npos) {
      literal(prompt[++i]);
    } else if (c == '(') {
      open(Mark::kOpenRound, round, kBracket);
    } else if (c == '[') {
      open(Mark::kOpenSquare, square, 1 / kBracket);
    } else if (c == ':' && !round.empty() && read_weight(prompt.substr(i)).second > 0) {
      const auto [factor, length] = read_weight(prompt.substr(i));
      items[round.back()].factor = factor;
      round.pop_back();
      items.push_back({Mark::kCloseRound, {}});
      i += length - 1;
    } else if (c == ')' && !round.empty()) {
      round.pop_back();
      items.push_back({Mark::kCloseRound, {}});
    } else if (c == ']' && !square.empty()) {
      square.pop_back();
      items.push_back({Mark::kCloseSquare, {}});
    } else {
      literal(c);
    }
  }
  return items;
}

}  // namespace

std::vector<WeightedText> parse_prompt_weights(std::string_view prompt) {
  std::vector<WeightedText> result;
  // The two kinds of brackets nest each in itself, and may overlap. What is never closed reaches to the end.
  std::vector<double> round = {1}, square = {1};
  for (Item& item : scan(prompt)) {
    switch (item.mark) {
      case Mark::kOpenRound: round.push_back(round.back() * item.factor); break;
      case Mark::kOpenSquare: square.push_back(square.back() * item.factor); break;
      case Mark::kCloseRound: round.pop_back(); break;
      case Mark::kCloseSquare: square.pop_back(); break;
      case Mark::kText: {
        const double weight = std::clamp(round.back() * square.back(), -kMost, kMost);
        if (!result.empty() && result.back().weight == weight)
          result.back().text += item.text;
        else
          result.push_back({std::move(item.text), weight});
      }
    }
  }
  if (result.empty()) result.push_back({"", 1});
  return result;
}

WeightedTokens tokenize_weighted(const Tokenizer& tokenizer, std::string_view prompt) {
  std::vector<int64_t> ids;
  std::vector<float> weights;
  for (const WeightedText& piece : parse_prompt_weights(prompt)) {
    const std::vector<int64_t> own = tokenizer.encode(piece.text);
    ids.insert(ids.end(), own.begin(), own.end());
    weights.insert(weights.end(), own.size(), static_cast<float>(piece.weight));
  }
  const std::vector<int64_t> blank = tokenizer.tokenize("").ids;  // start, end and padding
  const size_t room = blank.size() - 2;
  WeightedTokens result;
  for (size_t begin = 0; begin == 0 || begin < ids.size(); begin += room) {
    const size_t count = std::min(room, ids.size() - begin);
    std::vector<int64_t>& chunk = result.ids.emplace_back(blank);
    std::vector<float>& chunk_weights = result.weights.emplace_back(blank.size(), 1.0f);
    std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(begin), count, chunk.begin() + 1);
    std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(begin), count, chunk_weights.begin() + 1);
    chunk[count + 1] = tokenizer.end_token();
  }
  return result;
}

}  // namespace attelier
