// A training configuration: described once, checked as a whole before any work, with every default filled in.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/parameters.h"

namespace attelier {

/// What a configuration may say. `groups` are objects under a key of their own ("optimizer"); `networks` are keys with a model's config.json inside,
/// which must be there unless they are optional (then null).
struct ConfigShape {
  struct Group {
    std::string name;
    ParameterDescriptions parameters;
  };
  ParameterDescriptions parameters;
  std::vector<Group> groups;
  std::vector<std::string> networks;
  std::vector<std::string> optional_networks = {};
};

/// The complaints about one configuration. Only the first about a place is kept.
class ConfigProblems {
 public:
  template <typename... Args>
  void add(const std::string& pointer, fmt::format_string<Args...> format, Args&&... args) {
    append({pointer, fmt::format(format, std::forward<Args>(args)...)});
  }
  void append(const Problem& problem);
  bool has(const std::string& pointer) const;
  bool empty() const { return problems_.empty(); }
  /// Throws Error(kBadInput) with all of them, each with its line in the file, if there are any.
  void report(const std::filesystem::path& file) const;

 private:
  std::vector<Problem> problems_;
};

/// What every run has, whatever it trains: steps, optimiser, output and so on.
const ConfigShape& common_shape();
/// The pictures that it learns from: group "data".
const ConfigShape::Group& data_group();

ConfigShape merged(const ConfigShape& a, const ConfigShape& b);

/// `given` with every default filled in (null where a parameter is optional and absent). A value that is wrong is reported and replaced by its default,
/// so that later checks can look at the rest.
Json resolve_config(const ConfigShape& shape, const Json& given, ConfigProblems& problems);

/// The file of a configuration as JSON. Throws Error(kBadInput) when it cannot be read or is not a JSON object.
Json read_config(const std::filesystem::path& file);

}  // namespace attelier
