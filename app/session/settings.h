// Where a run's settings come from: built in < system < user < job < environment < flags.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/base/parameters.h"

namespace attelier {

/// A setting that all methods share. `--exists` on the command line, ATTELIER_EXISTS in the environment, /output/exists in jobs and config.json.
struct CommonSetting {
  std::string flag;                  // snake_case
  std::string group;                 // "output", "run", or "" for the top of the job
  ParameterDescription description;  // its name is the key in the job
  std::string pointer() const { return (group.empty() ? "/" : "/" + group + "/") + description.name; }
};
const std::vector<CommonSetting>& common_settings();
/// The descriptions of one group.
ParameterDescriptions common_group(const std::string& group);

/// One source of settings: a part of a job, and who says so ("/etc/xdg/attelier/config.json", "the environment", ...). `origins` names single values
/// more closely, by JSON pointer ("/params/steps": "--steps").
struct SettingsLayer {
  std::string origin;
  Json job = Json::object();
  std::map<std::string, std::string> origins;

  void set(const std::string& group, const std::string& key, Json value, const std::string& origin_of_value);
};

/// The files that are read, first the system's, then the user's; they need not exist.
std::vector<std::filesystem::path> config_files();
/// The layers of config.json of system and user that matter to `method` (may be empty: the common settings alone). Throws Error(kBadInput) naming
/// file and JSON pointer of everything that is wrong.
std::vector<SettingsLayer> config_layers(const std::string& method);
/// ATTELIER_MODEL, ATTELIER_DEVICE, ... and ATTELIER_<METHOD>_<PARAMETER>. Empty variables count as unset. Throws Error(kUsage) naming the variable.
SettingsLayer environment_layer(const std::string& method);

/// The name of the variable of a common setting, or of a method's parameter.
std::string variable_name(const std::string& method, const std::string& flag);

/// A flag's or variable's text as JSON; "random" as a seed draws one. Texts that are not UTF-8 are repaired, paths keep their bytes. Throws
/// Error(kUsage).
Json parse_setting(const ParameterDescription& description, const std::string& flag, const std::string& text);

/// One job out of all layers, later ones first, and the origin of each value by JSON pointer.
struct MergedSettings {
  Json job = Json::object();
  std::map<std::string, std::string> origins;
};
MergedSettings merge_layers(const std::vector<SettingsLayer>& layers);

}  // namespace attelier
