// Flags made from parameter descriptions.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "app/session/settings.h"
#include "pipelines/method.h"

namespace attelier {

/// `start_step` -> "--start-step".
std::string flag_name(const std::string& name);

/// The flags of one verb, and after parsing the layer of settings that they make.
class SettingFlags {
 public:
  /// A parameter of a method. `prompt` may also stand without its flag.
  void add_parameter(CLI::App& verb, const ParameterDescription& description);
  void add_input(CLI::App& verb, const InputDescription& description);
  /// The settings that all methods share, of these groups ("", "output", "run"). `model`: the default one, where it is not that of most methods.
  void add_common(CLI::App& verb, const std::vector<std::string>& groups, const std::string& model = "");

  /// --preset NAME.
  void add_preset(CLI::App& verb);
  /// The name that was given, "" if none.
  std::string preset() const { return preset_ != nullptr && preset_->count() > 0 ? preset_->results().back() : ""; }

  /// What was given on the command line. Throws Error(kUsage).
  SettingsLayer layer() const;
  /// Whether --seed random was given.
  bool random_seed() const;

 private:
  struct Flag {
    std::string group, name;
    ParameterDescription description;
    CLI::Option* option;
    bool is_input = false, several = false;
  };
  void add(CLI::App& verb, const std::string& group, const std::string& name, const ParameterDescription& description);

  std::vector<Flag> flags_;
  CLI::Option* preset_ = nullptr;
};

}  // namespace attelier
