#include "core/diffusion/schedulers/scheduler_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace attelier {
namespace {

/// JSON has no infinities; Python writes them as words.
std::optional<double> as_number(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  if (text == "-Infinity" || text == "-inf") return -std::numeric_limits<double>::infinity();
  if (text == "Infinity" || text == "inf") return std::numeric_limits<double>::infinity();
  return std::nullopt;
}

}  // namespace

const nlohmann::json* SchedulerConfig::find(const std::string& key) const {
  known_.insert(key);
  const auto found = values_.find(key);
  return found == values_.end() || found->is_null() ? nullptr : &*found;
}

void SchedulerConfig::wrong(const std::string& key, const std::string& allowed) const {
  std::string value = values_.at(key).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (value.size() > 80) value = value.substr(0, 77) + "...";
  fail(ExitCode::kModel, "scheduler config: {} of {} is {}; allowed is {}", key, class_name_, value, allowed);
}

bool SchedulerConfig::boolean(const std::string& key, bool default_value) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return default_value;
  if (!value->is_boolean()) wrong(key, "true or false");
  return value->get<bool>();
}

int64_t SchedulerConfig::integer(const std::string& key, int64_t default_value, int64_t minimum, int64_t maximum) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return default_value;
  const bool in_range = value->is_number_unsigned() ? value->get<uint64_t>() <= static_cast<uint64_t>(std::max<int64_t>(maximum, 0))
                                                    : value->is_number_integer() && value->get<int64_t>() <= maximum;
  if (!in_range || value->get<int64_t>() < minimum) wrong(key, fmt::format("an integer from {} to {}", minimum, maximum));
  return value->get<int64_t>();
}

std::optional<double> SchedulerConfig::optional_number(const std::string& key, double minimum, double maximum) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<double> number = as_number(*value);
  if (!number || !(*number >= minimum && *number <= maximum)) wrong(key, fmt::format("a number from {} to {}", minimum, maximum));
  return number;
}

double SchedulerConfig::number(const std::string& key, double default_value, double minimum, double maximum) const {
  return optional_number(key, minimum, maximum).value_or(default_value);
}

std::string SchedulerConfig::choice(const std::string& key, const std::string& default_value, const std::vector<std::string>& allowed) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return default_value;
  if (!value->is_string() || std::find(allowed.begin(), allowed.end(), value->get_ref<const std::string&>()) == allowed.end())
    wrong(key, fmt::format("one of {}", fmt::join(allowed, ", ")));
  return value->get<std::string>();
}

std::vector<double> SchedulerConfig::numbers(const std::string& key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return {};
  const auto is_number = [](const nlohmann::json& item) { return item.is_number(); };
  if (!value->is_array() || !std::all_of(value->begin(), value->end(), is_number)) wrong(key, "a list of numbers");
  return value->get<std::vector<double>>();
}

void SchedulerConfig::reject(const std::string& key, const std::string& instead) const {
  const nlohmann::json* value = find(key);
  if (value != nullptr && *value != false) wrong(key, "false; " + instead);
}

}  // namespace attelier
