#include "core/weights/lora_names.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/weights/key_maps.h"

namespace attelier {
namespace {

// Beginnings of keys and the component that they mean. "" : the file is of a UNet alone, or of a text encoder alone.
constexpr std::array kPrefixes = {
    std::pair{"lora_unet_", "unet"},
    std::pair{"lora_te1_", "text_encoder"},
    std::pair{"lora_te2_", "text_encoder_2"},
    std::pair{"lora_te_", "text_encoder"},
    std::pair{"lora_controlnet_", "controlnet"},
    std::pair{"unet.", "unet"},
    std::pair{"text_encoder.", "text_encoder"},
    std::pair{"text_encoder_2.", "text_encoder_2"},
    std::pair{"controlnet.", "controlnet"},
    std::pair{"diffusion_model.", "unet"},
    std::pair{"model.diffusion_model.", "unet"},
    std::pair{"", "unet"},
    std::pair{"", "text_encoder"},
    std::pair{"", "controlnet"},
};

// diffusers' first names of the layers in an attention, which belonged to its "processor".
constexpr std::array kOldLayers = {std::pair{".to_q", ".q_proj"}, std::pair{".to_k", ".k_proj"}, std::pair{".to_v", ".v_proj"}, std::pair{".to_out", ".out_proj"}};

std::string with_underscores(std::string_view path) {
  std::string text(path);
  std::replace(text.begin(), text.end(), '.', '_');
  return text;
}

LoraPlace place_of(nn::Module& module) { return {dynamic_cast<nn::Linear*>(&module), dynamic_cast<nn::Conv2d*>(&module)}; }

}  // namespace

LoraNames::LoraNames(const std::vector<LoraTarget>& targets) {
  for (const LoraTarget& target : targets) {
    NameSet paths;
    target.module->visit([&](const std::string& path, nn::Module& module) {
      if (place_of(module)) paths.insert(path);
    });
    auto& places = components_[target.component];
    const bool has_blocks = any_starts_with(paths, "down_blocks.0.");
    size_t conditioning = 0;
    for (const std::string& path : paths) conditioning += path.starts_with("controlnet_cond_embedding.");
    const KeyMap map = has_blocks ? unet_key_map(UNetStructure::from_diffusers(paths), conditioning) : KeyMap({});
    target.module->visit([&](const std::string& path, nn::Module& module) {
      const LoraPlace place = place_of(module);
      if (!place) return;
      places.emplace(with_underscores(path), place);
      if (const auto original = map.to_original(path)) places.emplace(with_underscores(*original), place);
    });
  }
}

LoraPlace LoraNames::find_in(const std::string& component, std::string_view path) const {
  const auto target = components_.find(component);
  if (target == components_.end()) return {};
  const auto look_up = [&](std::string_view name) {
    const auto found = target->second.find(with_underscores(name));
    return found == target->second.end() ? LoraPlace{} : found->second;
  };
  if (const LoraPlace place = look_up(path)) return place;
  // Newer transformers write text encoders without this level.
  if (const LoraPlace place = look_up("text_model." + std::string(path))) return place;

  std::string name(path);
  constexpr std::string_view kProcessor = ".processor.";
  if (const size_t found = name.find(kProcessor); found != std::string::npos) name.replace(found, kProcessor.size(), ".");
  for (const auto& [old_name, text_name] : kOldLayers) {
    if (!name.ends_with(old_name)) continue;
    const std::string base = name.substr(0, name.size() - std::string_view(old_name).size());
    for (const std::string& candidate : {base + text_name, "text_model." + base + text_name, base + old_name + ".0"})
      if (const LoraPlace place = look_up(candidate)) return place;
  }
  return look_up(name);
}

LoraPlace LoraNames::find(const std::string& key) const {
  constexpr std::string_view kPeft = "base_model.model.";
  std::string_view name = key;
  if (name.starts_with(kPeft)) name.remove_prefix(kPeft.size());
  for (const auto& [prefix, component] : kPrefixes) {
    if (!name.starts_with(prefix)) continue;
    if (const LoraPlace place = find_in(component, name.substr(std::string_view(prefix).size()))) return place;
  }
  return {};
}

}  // namespace attelier
