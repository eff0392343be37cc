// Attention layers chosen by text.
#pragma once

#include <string_view>

#include "core/attention/site.h"

namespace attelier {

/// `pattern` is a module path, in which * stands for any text, or the site's index, as text; "MODEL:" before it narrows it to one model.
bool matches(std::string_view pattern, const AttentionSite& site);

}  // namespace attelier
