// The objectives that a training configuration can name.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/training/training_run.h"

namespace attelier {

std::unique_ptr<Objective> make_vae_objective(const Json& config, const std::filesystem::path& base);
std::unique_ptr<Objective> make_text_to_image_objective(const Json& config, const std::filesystem::path& base);

/// One component of a diffusers folder: config.json and its weights in float16.
void write_component(const std::filesystem::path& folder, const Json& config, const std::string& weights_name, nn::Module& module);

}  // namespace attelier
