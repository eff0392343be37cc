#include "app/session/prompt_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

namespace attelier {
namespace {

constexpr double kLeast = 0, kMost = 2;

bool is_of_word(char c) { return std::string_view(" \t\r\n,;.:()[]\"\\").find(c) == std::string_view::npos; }

/// "(inside:weight)" in a prompt: bytes [open, close].
struct Weighted {
  size_t open = 0, colon = 0, close = 0;
  double weight = 1;
};

/// The innermost one around [begin, end).
std::optional<Weighted> around(std::string_view prompt, size_t begin, size_t end) {
  std::vector<size_t> open;
  for (size_t i = 0; i < prompt.size(); ++i) {
    if (prompt[i] == '\\') {
      ++i;
    } else if (prompt[i] == '(') {
      open.push_back(i);
    } else if (prompt[i] == ')' && !open.empty()) {
      const size_t from = open.back();
      open.pop_back();
      if (from >= begin || i < end) continue;
      const size_t colon = prompt.rfind(':', i);
      if (colon == std::string_view::npos || colon < from) return std::nullopt;  // brackets without a number
      Weighted found{from, colon, i};
      const auto [last, error] = std::from_chars(prompt.data() + colon + 1, prompt.data() + i, found.weight);
      if (error == std::errc() && last == prompt.data() + i) return found;
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::string weight_text(double weight) {
  std::string text = fmt::format("{:.2f}", weight);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

PromptEdit change_weight(std::string_view prompt, size_t begin, size_t end, double step) {
  begin = std::min(begin, prompt.size());
  end = std::clamp(end, begin, prompt.size());
  if (begin == end) {
    while (begin > 0 && is_of_word(prompt[begin - 1])) --begin;
    while (end < prompt.size() && is_of_word(prompt[end])) ++end;
  }
  while (begin < end && prompt[begin] == ' ') ++begin;
  while (end > begin && prompt[end - 1] == ' ') --end;
  if (begin == end) return {std::string(prompt), begin, end};
  Weighted now{begin, end, end - 1};
  std::string_view inside = prompt.substr(begin, end - begin);
  if (const auto found = around(prompt, begin, end)) {
    now = *found;
    inside = prompt.substr(now.open + 1, now.colon - now.open - 1);
  }
  const double weight = std::clamp(std::round((now.weight + step) * 100) / 100, kLeast, kMost);
  const std::string before(prompt.substr(0, now.open)), after(prompt.substr(now.close + 1));
  if (weight == 1) return {before + std::string(inside) + after, before.size(), before.size() + inside.size()};
  return {before + "(" + std::string(inside) + ":" + weight_text(weight) + ")" + after, before.size() + 1, before.size() + 1 + inside.size()};
}

}  // namespace attelier
