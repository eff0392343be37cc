// Names from hostile files, made safe for messages.
#pragma once

#include <string>
#include <string_view>

namespace attelier {

/// `"name"` with control characters escaped and long names shortened, so that a crafted name can neither fake nor flood a message or a terminal.
std::string in_quotes(std::string_view name);

}  // namespace attelier
