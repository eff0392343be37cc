#include "core/attention/site.h"

#include <array>
#include <charconv>

namespace attelier {

std::string_view name(AttentionKind kind) {
  constexpr std::array<std::string_view, 5> kNames = {"self", "cross", "temporal", "text", "vision"};
  return kNames[static_cast<size_t>(kind)];
}

int64_t decoder_block(std::string_view path) {
  int64_t level = 0, place = 0;
  // Takes `word` and the number after it off the front of the path.
  const auto take = [&path](std::string_view word, int64_t& number) {
    if (!path.starts_with(word)) return false;
    path.remove_prefix(word.size());
    const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), number);
    if (error != std::errc() || number < 0) return false;
    path.remove_prefix(static_cast<size_t>(end - path.data()));
    return path.empty() || path.front() == '.';
  };
  if (!take("up_blocks.", level) || !take(".attentions.", place)) return -1;
  return 3 * level + place;
}

}  // namespace attelier
