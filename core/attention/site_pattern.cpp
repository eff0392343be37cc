#include "core/attention/site_pattern.h"

#include <string>

namespace attelier {
namespace {

/// `*` stands for any text, also for none. In the product of the lengths: only the last star met is ever tried anew.
bool text_matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, tried = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      tried = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++tried;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace

bool matches(std::string_view pattern, const AttentionSite& site) {
  if (const size_t colon = pattern.find(':'); colon != std::string_view::npos) {
    if (!text_matches(pattern.substr(0, colon), site.model)) return false;
    pattern.remove_prefix(colon + 1);
  }
  return text_matches(pattern, site.path) || pattern == std::to_string(site.index);
}

}  // namespace attelier
