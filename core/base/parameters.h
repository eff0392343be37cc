// Contract 3: a pipeline describes its parameters once. Flags, help, job file, JSON Schema, PNG metadata, man page and desktop form come from it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace attelier {

using Json = nlohmann::json;

enum class ParameterType {
  kBoolean, kInteger, kNumber, kText, kChoice,
  kSize,    // [width, height] in pixels
  kIntegers, kNumbers, kTexts,
  kPath,    // FILE, or FILE:NAME of a tensor in it
  kModels,  // names or paths
};

/// One parameter of a pipeline: `--start-step` on the command line is `start_step` in a job.
struct ParameterDescription {
  std::string name;      // snake_case, the key in the job's "params"
  std::string label;     // for forms
  std::string help;      // one sentence
  ParameterType type = ParameterType::kNumber;
  Json default_value;    // null = optional, absent unless given
  std::optional<double> minimum = std::nullopt;
  std::optional<double> maximum = std::nullopt;
  bool minimum_is_exclusive = false;
  std::string unit = {};  // "px", "steps", ...
  std::vector<std::string> choices = {};  // of kChoice the values; of kModels the beginnings of families that suit (ModelFiles::family)
  bool advanced = false;
};

using ParameterDescriptions = std::vector<ParameterDescription>;

/// One problem in a job: a JSON pointer such as /params/steps and what is wrong there.
struct Problem {
  std::string pointer;
  std::string message;
};

/// `given` with every default filled in. Unknown keys (with the nearest known name), wrong types and values out of range are appended to
/// `problems`, all of them, under `base` (e.g. "/params").
Json resolve_parameters(const ParameterDescriptions& descriptions, const Json& given, const std::string& base, std::vector<Problem>& problems);

/// The JSON Schema (draft 2020-12) of an object with these parameters.
Json parameters_schema(const ParameterDescriptions& descriptions);

/// What a value may be, in words: "0 to 1", "at least 1 steps", "a, b, c", "a path".
std::string allowed_text(const ParameterDescription& description);

/// Reads the text of a flag ("0.5", "true", "512,512", "6,7,8") as the parameter's JSON value. Throws Error(kUsage).
Json parse_parameter(const ParameterDescription& description, const std::string& text);

/// The known name nearest to `name` by edit distance, or "" when none is near.
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);

}  // namespace attelier
