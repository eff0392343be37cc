#include "core/weights/quote.h"

#include <fmt/format.h>

namespace attelier {
namespace {

constexpr size_t kLongestShown = 160;

bool continues_a_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

std::string in_quotes(std::string_view name) {
  size_t shown = std::min(name.size(), kLongestShown);
  while (shown > 0 && shown < name.size() && continues_a_character(name[shown])) --shown;
  std::string text = "\"";
  for (const char byte : name.substr(0, shown)) {
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    } else {
      text += byte;
    }
  }
  if (shown < name.size()) text += fmt::format("... ({} bytes)", name.size());
  return text + "\"";
}

}  // namespace attelier
