// JSON that strangers wrote: parsed within limits, and its problems reported with their lines.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/parameters.h"

namespace attelier {

/// Jobs and settings beyond this many bytes are refused.
inline constexpr uint64_t kLargestJson = uint64_t{16} << 20;

/// Parses a text of at most 64 levels in which no object names a key twice. Throws Error(kBadInput) that starts with `name`.
Json parse_json_text(std::string_view text, const std::string& name);

/// A key as a part of a JSON pointer: ~ is ~0 and / is ~1; control characters are escaped and long keys cut, so that it may be shown.
std::string escaped_key(std::string_view key);

/// The line (from 1) at which each of `pointers` stands in `text`, which must be valid JSON.
std::map<std::string, int64_t> json_lines(std::string_view text, const std::set<std::string>& pointers);

/// Throws Error(code) listing all problems: "NAME has 2 problems:\n  line 3: /params/steps is 0; ...". Nothing if there are none. Without a text
/// there are no lines.
void report_problems(const std::vector<Problem>& problems, std::string_view text, const std::string& name, ExitCode code);

/// JSON as text; bytes that are not UTF-8 (of file names) become U+FFFD instead of an error.
std::string dump(const Json& json, int indent = -1);

}  // namespace attelier
