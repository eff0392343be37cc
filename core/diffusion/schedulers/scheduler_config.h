// The options of one scheduler: scheduler_config.json with overrides, read key by key with types, ranges and allowed values checked.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace attelier {

/// Absent and null keys take the default of the class that asks. All errors are Error(kModel) with the class, the key, its value and what is allowed.
class SchedulerConfig {
 public:
  SchedulerConfig(std::string class_name, nlohmann::json values) : class_name_(std::move(class_name)), values_(std::move(values)) {}

  const std::string& class_name() const { return class_name_; }
  bool boolean(const std::string& key, bool default_value) const;
  int64_t integer(const std::string& key, int64_t default_value, int64_t minimum, int64_t maximum) const;
  double number(const std::string& key, double default_value, double minimum, double maximum) const;
  std::optional<double> optional_number(const std::string& key, double minimum, double maximum) const;
  std::string choice(const std::string& key, const std::string& default_value, const std::vector<std::string>& allowed) const;
  /// Empty when absent.
  std::vector<double> numbers(const std::string& key) const;
  /// Fails when `key` is set to anything but false or null.
  void reject(const std::string& key, const std::string& instead) const;

  /// Every key that was asked for: the options that the class knows.
  const std::set<std::string>& known_keys() const { return known_; }

 private:
  /// nullptr when absent or null.
  const nlohmann::json* find(const std::string& key) const;
  [[noreturn]] void wrong(const std::string& key, const std::string& allowed) const;

  std::string class_name_;
  nlohmann::json values_;
  mutable std::set<std::string> known_;
};

}  // namespace attelier
