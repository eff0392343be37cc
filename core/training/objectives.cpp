#include "core/training/objectives.h"

#include "core/base/files.h"
#include "core/weights/load.h"

namespace attelier {

std::unique_ptr<Objective> make_objective(const Json& config, const std::filesystem::path& base_folder) {
  const std::string name = config.value("objective", std::string());
  try {
    if (name == "vae") return make_vae_objective(config, base_folder);
    if (name == "text_to_image") return make_text_to_image_objective(config, base_folder);
  } catch (const Json::exception& error) {
    fail(ExitCode::kBadInput, "training configuration: {}", error.what());
  }
  fail(ExitCode::kBadInput, "/objective is \"{}\"; allowed are \"vae\" and \"text_to_image\"", name);
}

void write_component(const std::filesystem::path& folder, const Json& config, const std::string& weights_name, nn::Module& module) {
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "config.json", config.dump(2) + "\n");
  write_safetensors(folder / weights_name, named_tensors(module, at::kHalf), {{"format", "pt"}});
}

}  // namespace attelier
