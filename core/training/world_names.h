// What configurations call places, styles and kinds of the 3D world.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/scenes/world/kinds.h"
#include "core/training/config.h"

namespace attelier {

template <typename Enum>
std::string word_of(Enum value) {
  if constexpr (std::is_same_v<Enum, world::Kind>) return std::string(world::name_of(value).singular);
  else return std::string(world::name_of(value));
}

/// The value of `Enum` with this name ("-" or "_" for spaces), or nothing.
template <typename Enum>
std::optional<Enum> named(std::string name) {
  const auto plain = [](std::string word) {
    std::replace_if(word.begin(), word.end(), [](char c) { return c == '-' || c == '_'; }, ' ');
    return word;
  };
  for (int i = 0; i < static_cast<int>(Enum::kCount); ++i)
    if (plain(word_of(static_cast<Enum>(i))) == plain(name)) return static_cast<Enum>(i);
  return std::nullopt;
}

/// The values of a list of names; empty for null.
template <typename Enum>
std::vector<Enum> all_named(const Json& names) {
  std::vector<Enum> values;
  if (names.is_array())
    for (const Json& name : names)
      if (const auto value = named<Enum>(name.get<std::string>())) values.push_back(*value);
  return values;
}

/// A problem at `pointer` for names that are not among `allowed`, and for an empty list. Null is right.
template <typename Enum>
void check_names(const Json& names, const std::string& pointer, const std::vector<Enum>& allowed, ConfigProblems& problems) {
  if (names.is_null()) return;
  std::vector<std::string> known;
  for (const Enum value : allowed) known.push_back(word_of(value));
  if (names.empty()) problems.add(pointer, "is empty; leave it out for all of {}", fmt::join(known, ", "));
  for (const Json& name : names) {
    const auto value = named<Enum>(name.get<std::string>());
    if (!value || std::find(allowed.begin(), allowed.end(), *value) == allowed.end()) problems.add(pointer, "names {}; there are {}", name.dump(), fmt::join(known, ", "));
  }
}

/// All values of an Enum.
template <typename Enum>
std::vector<Enum> all_of() {
  std::vector<Enum> values;
  for (int i = 0; i < static_cast<int>(Enum::kCount); ++i) values.push_back(static_cast<Enum>(i));
  return values;
}

}  // namespace attelier
