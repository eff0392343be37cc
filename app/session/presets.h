// Named sets of a method's parameters: a JSON file each, in the presets folder of the configuration. A layer of settings above config.json and below jobs.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/session/settings.h"

namespace attelier {

class Command;
struct Document;

/// CONFIG/presets/METHOD/NAME.json
std::filesystem::path preset_file(const std::string& method, const std::string& name);
/// Names of a method's presets in the order of the alphabet, at most a thousand.
std::vector<std::string> preset_names(const std::string& method);

/// What a preset of these parameters keeps: those that differ from the built-in defaults, without the prompt and the seed, which belong to a picture.
Json preset_params(const std::string& method, const Json& params);
/// The parameters of a preset. Throws Error: kUsage if there is none of this name, kBadInput for a file that is damaged or holds what the method does not
/// know, naming the file and every problem in it.
Json load_preset(const std::string& method, const std::string& name);
/// Writes preset_params() of `params`, in place of what has this name. Throws Error(kUsage) for a name that cannot be one.
void save_preset(const std::string& method, const std::string& name, const Json& params);
/// Throws Error(kUsage) if there is a preset of the new name.
void rename_preset(const std::string& method, const std::string& from, const std::string& to);
void remove_preset(const std::string& method, const std::string& name);

/// "" = no preset: an empty layer.
SettingsLayer preset_layer(const std::string& method, const std::string& name);

/// Takes a preset into the form as one step: its parameters, and for all others what the settings say; prompt and seed stay. "" = the settings alone.
std::unique_ptr<Command> apply_preset(const Document& document, const std::string& name);

}  // namespace attelier
