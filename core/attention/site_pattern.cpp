#include "core/attention/site_pattern.h"

#include <string>

namespace attelier {
namespace {

/// `*` stands for any text, also for none.
bool text_matches(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  text.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  for (size_t skipped = 0; skipped <= text.size(); ++skipped)
    if (text_matches(pattern, text.substr(skipped))) return true;
  return false;
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
