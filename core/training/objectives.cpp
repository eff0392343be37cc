#include "core/training/objectives.h"

#include "core/base/files.h"
#include "core/weights/load.h"

namespace attelier {

const std::vector<ObjectiveKind>& objective_kinds() {
  static const std::vector<ObjectiveKind> kinds = {vae_objective(), text_to_image_objective(), lora_objective(), fine_tune_objective(), inpainting_objective(), controlnet_objective(), judge_objective(), upscale_objective(), classify_objective()};
  return kinds;
}

CheckedConfig check_config(const Json& config, const std::filesystem::path& file) {
  ConfigProblems problems;
  const auto named = config.find("objective");
  std::vector<std::string> names;
  for (const ObjectiveKind& kind : objective_kinds()) {
    names.push_back(kind.name);
    if (named == config.end() || *named != kind.name) continue;
    CheckedConfig checked{&kind, resolve_config(merged(common_shape(), kind.shape), config, problems)};
    if (kind.check) kind.check(checked.config, file.parent_path(), problems);
    problems.report(file);
    return checked;
  }
  // Without a kind the rest cannot be judged, but for what every run has.
  const std::string near = named != config.end() && named->is_string() ? nearest_name(*named, names) : "";
  problems.add("/objective", "is {}; {}allowed are {}", named == config.end() ? "missing" : named->dump(), near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near), fmt::join(names, ", "));
  Json common = Json::object();
  for (const ParameterDescription& parameter : common_shape().parameters)
    if (parameter.name != "objective" && config.contains(parameter.name)) common[parameter.name] = config[parameter.name];
  if (config.contains("optimizer")) common["optimizer"] = config["optimizer"];
  resolve_config(common_shape(), common, problems);
  problems.report(file);
  return {};
}

void write_component(const std::filesystem::path& folder, const Json& config, const std::string& weights_name, nn::Module& module) {
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "config.json", config.dump(2) + "\n");
  write_safetensors(folder / weights_name, named_tensors(module, at::kHalf), {{"format", "pt"}});
}

}  // namespace attelier
