// The objectives that a training configuration can name: one line of the table each.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/training/config.h"
#include "core/training/training_run.h"

namespace attelier {

struct ObjectiveKind {
  std::string name, help;
  /// What its configuration has beside common_shape().
  ConfigShape shape;
  /// More complaints about a configuration with every default filled in. May read files' headers, but does no work. May be empty.
  std::function<void(const Json& config, const std::filesystem::path& base, ConfigProblems& problems)> check;
  /// `config` has no problems; `base` is the folder of its file. The context's device is where the networks will live.
  std::function<std::unique_ptr<Objective>(const Json& config, const std::filesystem::path& base, const Context& context)> make;
};

const std::vector<ObjectiveKind>& objective_kinds();

/// One function a file.
ObjectiveKind vae_objective();
ObjectiveKind text_to_image_objective();
ObjectiveKind lora_objective();
ObjectiveKind fine_tune_objective();
ObjectiveKind inpainting_objective();
ObjectiveKind controlnet_objective();
ObjectiveKind judge_objective();
ObjectiveKind upscale_objective();
ObjectiveKind classify_objective();

/// A configuration's kind, and the configuration with every default filled in. Throws Error(kBadInput) with all its problems.
struct CheckedConfig {
  const ObjectiveKind* kind = nullptr;
  Json config;
};
CheckedConfig check_config(const Json& config, const std::filesystem::path& file);

/// One component of a diffusers folder: config.json and its weights in float16.
void write_component(const std::filesystem::path& folder, const Json& config, const std::string& weights_name, nn::Module& module);

}  // namespace attelier
