#include "core/base/parameters.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "core/base/error.h"

namespace attelier {
namespace {

bool is_list(ParameterType type) {
  return type == ParameterType::kSize || type == ParameterType::kIntegers || type == ParameterType::kNumbers || type == ParameterType::kTexts ||
         type == ParameterType::kModels;
}

ParameterType element_type(ParameterType type) {
  switch (type) {
    case ParameterType::kSize:
    case ParameterType::kIntegers: return ParameterType::kInteger;
    case ParameterType::kNumbers: return ParameterType::kNumber;
    case ParameterType::kTexts: return ParameterType::kText;
    case ParameterType::kModels: return ParameterType::kText;
    default: return type;
  }
}

std::string type_name(ParameterType type) {
  switch (type) {
    case ParameterType::kBoolean: return "true or false";
    case ParameterType::kInteger: return "a whole number";
    case ParameterType::kNumber: return "a number";
    case ParameterType::kText: return "a text";
    case ParameterType::kPath: return "a path";
    case ParameterType::kModels: return "a list of names or paths";
    case ParameterType::kChoice: return "one of the choices";
    case ParameterType::kSize: return "two whole numbers, width and height";
    case ParameterType::kIntegers: return "a list of whole numbers";
    case ParameterType::kNumbers: return "a list of numbers";
    case ParameterType::kTexts: return "a list of texts";
  }
  return {};
}

std::string range_text(const ParameterDescription& description) {
  const std::string unit = description.unit.empty() ? "" : " " + description.unit;
  const std::string low = description.minimum ? fmt::format("{}", *description.minimum) : "";
  const std::string high = description.maximum ? fmt::format("{}", *description.maximum) : "";
  if (description.minimum && description.maximum) return fmt::format("{}{} to {}{}", description.minimum_is_exclusive ? "above " : "", low, high, unit);
  if (description.minimum) return fmt::format("{} {}{}", description.minimum_is_exclusive ? "above" : "at least", low, unit);
  if (description.maximum) return fmt::format("at most {}{}", high, unit);
  return type_name(description.type);
}

/// What is wrong with one value, "" if nothing.
std::string complaint(const ParameterDescription& description, ParameterType type, const Json& value) {
  const auto expected = [&] { return fmt::format("is {}; expected {}", value.dump(), type_name(type)); };
  if (is_list(type)) {
    if (!value.is_array() || (type == ParameterType::kSize && value.size() != 2)) return expected();
    for (const Json& element : value) {
      const std::string problem = complaint(description, element_type(type), element);
      if (!problem.empty()) return fmt::format("{} in {}", problem, value.dump());
    }
    return {};
  }
  switch (type) {
    case ParameterType::kBoolean: return value.is_boolean() ? "" : expected();
    case ParameterType::kText:
    case ParameterType::kPath: return value.is_string() ? "" : expected();
    case ParameterType::kChoice: {
      const bool known = value.is_string() && std::find(description.choices.begin(), description.choices.end(), value.get<std::string>()) != description.choices.end();
      return known ? "" : fmt::format("is {}; allowed are {}", value.dump(), fmt::join(description.choices, ", "));
    }
    case ParameterType::kInteger:
      if (!value.is_number_integer()) return expected();
      break;
    default:
      if (!value.is_number()) return expected();
  }
  const double number = value.get<double>();
  const bool too_small = description.minimum && (description.minimum_is_exclusive ? number <= *description.minimum : number < *description.minimum);
  if (!std::isfinite(number) || too_small || (description.maximum && number > *description.maximum))
    return fmt::format("is {}; allowed is {}", value.dump(), range_text(description));
  return {};
}

Json element_schema(const ParameterDescription& description, ParameterType type) {
  Json schema;
  switch (type) {
    case ParameterType::kBoolean: return {{"type", "boolean"}};
    case ParameterType::kText:
    case ParameterType::kPath: return {{"type", "string"}};
    case ParameterType::kChoice: return {{"enum", description.choices}};
    case ParameterType::kInteger: schema["type"] = "integer"; break;
    default: schema["type"] = "number";
  }
  if (description.minimum) schema[description.minimum_is_exclusive ? "exclusiveMinimum" : "minimum"] = *description.minimum;
  if (description.maximum) schema["maximum"] = *description.maximum;
  return schema;
}

Json parse_element(ParameterType type, const std::string& text) {
  size_t used = 0;
  if (type == ParameterType::kInteger) {
    const int64_t value = std::stoll(text, &used);
    if (used != text.size()) throw std::invalid_argument(text);
    return value;
  }
  if (type == ParameterType::kNumber) {
    const double value = std::stod(text, &used);
    if (used != text.size()) throw std::invalid_argument(text);
    return value;
  }
  return text;
}

}  // namespace

std::string allowed_text(const ParameterDescription& description) {
  return description.type == ParameterType::kChoice ? fmt::format("{}", fmt::join(description.choices, ", ")) : range_text(description);
}

Json resolve_parameters(const ParameterDescriptions& descriptions, const Json& given, const std::string& base, std::vector<Problem>& problems) {
  Json resolved = Json::object();
  if (!given.is_object()) {
    problems.push_back({base, fmt::format("is {}; expected an object", given.type_name())});
    return resolved;
  }
  std::vector<std::string> known;
  for (const ParameterDescription& description : descriptions) {
    known.push_back(description.name);
    const auto found = given.find(description.name);
    const bool absent = found == given.end() || (found->is_null() && description.default_value.is_null());
    if (absent) {
      resolved[description.name] = description.default_value;
      continue;
    }
    const std::string problem = complaint(description, description.type, *found);
    if (!problem.empty()) problems.push_back({base + "/" + description.name, problem});
    resolved[description.name] = *found;
  }
  for (const auto& [key, value] : given.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = nearest_name(key, known);
    problems.push_back({base + "/" + key, near.empty() ? fmt::format("is unknown; known are {}", fmt::join(known, ", "))
                                                       : fmt::format("is unknown; did you mean \"{}\"?", near)});
  }
  return resolved;
}

Json parameters_schema(const ParameterDescriptions& descriptions) {
  Json properties = Json::object();
  for (const ParameterDescription& description : descriptions) {
    Json schema = element_schema(description, element_type(description.type));
    if (is_list(description.type)) schema = {{"type", "array"}, {"items", schema}};
    if (description.type == ParameterType::kSize) schema["minItems"] = schema["maxItems"] = 2;
    if (description.default_value.is_null())
      schema = {{"anyOf", {schema, {{"type", "null"}}}}};
    else
      schema["default"] = description.default_value;
    schema["title"] = description.label;
    schema["description"] = description.help;
    properties[description.name] = schema;
  }
  return {{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
}

Json parse_parameter(const ParameterDescription& description, const std::string& text) {
  try {
    if (description.type == ParameterType::kBoolean) {
      if (text == "true" || text == "1" || text == "on" || text == "yes") return true;
      if (text == "false" || text == "0" || text == "off" || text == "no") return false;
      throw std::invalid_argument(text);
    }
    if (!is_list(description.type)) return parse_element(description.type, text);
    Json list = Json::array();
    std::istringstream stream(text);
    // A size is written 512x384 or 512,384.
    const char separator = description.type == ParameterType::kSize && text.find('x') != std::string::npos ? 'x' : ',';
    for (std::string element; std::getline(stream, element, separator);) list.push_back(parse_element(element_type(description.type), element));
    return list;
  } catch (const std::logic_error&) {
    std::string flag = description.name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    fail(ExitCode::kUsage, "--{} is \"{}\"; expected {}", flag, text, type_name(description.type));
  }
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  if (name.size() > 100) return best;  // no name is that long, and the search costs name times candidate
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= name.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t substituted = diagonal + (name[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace attelier
