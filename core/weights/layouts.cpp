#include "core/weights/layouts.h"

#include <array>
#include <functional>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/weights/key_maps.h"
#include "core/weights/mapped_tensors.h"
#include "core/weights/quote.h"

namespace attelier {
namespace {

using Source = std::shared_ptr<const TensorSource>;
using Mappings = std::vector<TensorMapping>;

// Prefixes of the authors' single files.
constexpr std::string_view kUNet = "model.diffusion_model.";
constexpr std::string_view kControlNet = "control_model.";
constexpr std::string_view kVae = "first_stage_model.";
constexpr std::string_view kClip1 = "cond_stage_model.transformer.";
constexpr std::string_view kOpenClip2 = "cond_stage_model.model.";
constexpr std::string_view kClipXl = "conditioner.embedders.0.transformer.";
constexpr std::string_view kOpenClipXl = "conditioner.embedders.1.model.";
constexpr std::string_view kOpenClipRefiner = "conditioner.embedders.0.model.";

// SD2 conditions on the last layer but one of OpenCLIP's 24; files hold the last one all the same.
constexpr std::string_view kUnusedOpenClipLayer = "transformer.resblocks.23.";

using NamePair = std::pair<std::string_view, std::string_view>;
constexpr std::array kOldVaeAttention = {NamePair{"query", "to_q"}, NamePair{"key", "to_k"}, NamePair{"value", "to_v"}, NamePair{"proj_attn", "to_out.0"}};

// open_clip's names inside a block, and transformers'. The packed projection is treated apart.
constexpr std::array kOpenClipBlock = {NamePair{"ln_1.", "layer_norm1."}, NamePair{"ln_2.", "layer_norm2."}, NamePair{"attn.out_proj.", "self_attn.out_proj."},
                                       NamePair{"mlp.c_fc.", "mlp.fc1."}, NamePair{"mlp.c_proj.", "mlp.fc2."}};

// Values that training left in the files and no model reads.
bool is_leftover(std::string_view name) {
  return name.ends_with("position_ids") || name == "logit_scale" || name == "attn_mask" || name.starts_with("loss.") || name.starts_with("model_ema.");
}

// Every tensor below `prefix`, renamed by `rename`; names that it does not know stay, so that loading the model reports them.
Source renamed(const Source& source, std::string_view prefix, const std::function<void(const std::string& name, TensorMapping mapping, Mappings& out)>& rename) {
  Mappings mappings;
  for (const std::string& name : names_of(source->tensors(), prefix))
    if (!is_leftover(name)) rename(name, {name, std::string(prefix) + name, TensorChange::kNone}, mappings);
  return map_tensors(source, mappings);
}

Source by_key_map(const Source& source, std::string_view prefix, const KeyMap& map) {
  return renamed(source, prefix, [&](const std::string& name, TensorMapping mapping, Mappings& out) {
    mapping.name = map.to_diffusers(name).value_or(name);
    out.push_back(std::move(mapping));
  });
}

Source original_unet(const Source& source, std::string_view prefix) {
  return by_key_map(source, prefix, unet_key_map(UNetStructure::from_original(names_of(source->tensors(), prefix))));
}

Source original_controlnet(const Source& source, std::string_view prefix) {
  const NameSet names = names_of(source->tensors(), prefix);
  size_t convolutions = 0;
  while (any_starts_with(names, fmt::format("input_hint_block.{}.", 2 * convolutions))) ++convolutions;
  return by_key_map(source, prefix, unet_key_map(UNetStructure::from_original(names), convolutions));
}

Source original_vae(const Source& source, std::string_view prefix) {
  const NameSet names = names_of(source->tensors(), prefix);
  size_t levels = 0, layers = 0;
  while (any_starts_with(names, fmt::format("encoder.down.{}.", levels))) ++levels;
  while (any_starts_with(names, fmt::format("encoder.down.0.block.{}.", layers))) ++layers;
  const KeyMap map = vae_key_map(levels, layers);
  return renamed(source, prefix, [&](const std::string& name, TensorMapping mapping, Mappings& out) {
    mapping.name = map.to_diffusers(name).value_or(name);
    const std::vector<int64_t>& shape = source->tensors().at(mapping.source).shape;
    // The authors' attention is made of 1x1 convolutions.
    if (mapping.name.find(".attentions.0.to_") != std::string::npos && shape.size() == 4) mapping.change = TensorChange::kSqueezed;
    out.push_back(std::move(mapping));
  });
}

Source diffusers_vae(const Source& source) {
  const auto old_part = [](const std::string& name) -> std::optional<std::string> {
    constexpr std::string_view kBlock = ".attentions.0.";
    const size_t block = name.find(kBlock);
    if (block == std::string::npos) return std::nullopt;
    const size_t begin = block + kBlock.size(), end = name.find('.', begin);
    for (const auto& [old_name, new_name] : kOldVaeAttention)
      if (end != std::string::npos && name.compare(begin, end - begin, old_name) == 0) return name.substr(0, begin) + std::string(new_name) + name.substr(end);
    return std::nullopt;
  };
  bool is_old = false;
  for (const auto& [name, info] : source->tensors()) is_old = is_old || old_part(name).has_value();
  if (!is_old) return source;
  return renamed(source, "", [&](const std::string& name, TensorMapping mapping, Mappings& out) {
    mapping.name = old_part(name).value_or(name);
    out.push_back(std::move(mapping));
  });
}

// The authors' RGT, which lies under `params` in their files and under other keys in those of other trainers. nullptr for other networks.
Source upscaler(const Source& source) {
  constexpr std::string_view kMark = "layers.0.blocks.0.attn.attns.0.pos.pos_proj.weight";
  for (const auto& [name, info] : source->tensors()) {
    if (!name.ends_with(kMark)) continue;
    const std::string_view prefix = std::string_view(name).substr(0, name.size() - kMark.size());
    if (prefix.empty()) return source;
    if (prefix.back() == '.') return renamed(source, prefix, [](const std::string&, TensorMapping mapping, Mappings& out) { out.push_back(std::move(mapping)); });
  }
  return nullptr;
}

// transformers' text encoders; a full CLIP model's picture half is hidden.
Source transformers_text(const Source& source, std::string_view prefix, bool with_projection) {
  return renamed(source, prefix, [&](const std::string& name, TensorMapping mapping, Mappings& out) {
    if (name.starts_with("vision_model.") || name.starts_with("visual_projection.")) return;
    if (name.starts_with("text_projection.") && !with_projection) return;
    if (name.starts_with("embeddings.") || name.starts_with("encoder.") || name.starts_with("final_layer_norm.")) mapping.name = "text_model." + name;
    out.push_back(std::move(mapping));
  });
}

void open_clip_block(std::string_view layer, std::string_view inside, const TensorMapping& mapping, Mappings& out) {
  const std::string base = fmt::format("text_model.encoder.layers.{}.", layer);
  constexpr std::string_view kPacked = "attn.in_proj_";  // weight [3C, C], bias [3C]: query, key, value
  if (inside.starts_with(kPacked)) {
    const std::string_view kind = inside.substr(kPacked.size());
    out.push_back({fmt::format("{}self_attn.q_proj.{}", base, kind), mapping.source, TensorChange::kFirstThird});
    out.push_back({fmt::format("{}self_attn.k_proj.{}", base, kind), mapping.source, TensorChange::kSecondThird});
    out.push_back({fmt::format("{}self_attn.v_proj.{}", base, kind), mapping.source, TensorChange::kLastThird});
    return;
  }
  for (const auto& [open_clip, transformers] : kOpenClipBlock) {
    if (!inside.starts_with(open_clip)) continue;
    out.push_back({fmt::format("{}{}{}", base, transformers, inside.substr(open_clip.size())), mapping.source, TensorChange::kNone});
    return;
  }
  out.push_back(mapping);
}

Source open_clip_text(const Source& source, std::string_view prefix, bool with_projection) {
  return renamed(source, prefix, [&](const std::string& name, TensorMapping mapping, Mappings& out) {
    constexpr std::string_view kBlocks = "transformer.resblocks.", kFinal = "ln_final.";
    if (name.starts_with(kBlocks)) {
      if (!with_projection && name.starts_with(kUnusedOpenClipLayer)) return;
      const std::string_view rest = std::string_view(name).substr(kBlocks.size());
      const size_t dot = rest.find('.');
      if (dot != std::string_view::npos) return open_clip_block(rest.substr(0, dot), rest.substr(dot + 1), mapping, out);
    }
    if (name == "token_embedding.weight") {
      mapping.name = "text_model.embeddings.token_embedding.weight";
    } else if (name == "positional_embedding") {
      mapping.name = "text_model.embeddings.position_embedding.weight";
    } else if (name.starts_with(kFinal)) {
      mapping.name = "text_model.final_layer_norm." + name.substr(kFinal.size());
    } else if (name == "text_projection" || name == "text_projection.weight") {
      if (!with_projection) return;
      mapping.name = "text_projection.weight";
      if (name == "text_projection") mapping.change = TensorChange::kTransposed;  // open_clip multiplies from the left
    }
    out.push_back(std::move(mapping));
  });
}

// Every way in which one network may fill a file of its own. Nothing if the file is another network.
std::optional<std::pair<std::string, Source>> lone_component(const Source& source) {
  const NameSet names = names_of(source->tensors());
  const auto has = [&](std::string_view prefix) { return any_starts_with(names, prefix); };
  const auto found = [](const char* name, Source tensors) { return std::make_optional(std::pair<std::string, Source>(name, std::move(tensors))); };
  if (has("input_hint_block.0.") && has("input_blocks.0.0.")) return found("controlnet", original_controlnet(source, ""));
  if (has("input_blocks.0.0.") && has("output_blocks.0.0.")) return found("unet", original_unet(source, ""));
  if (has("encoder.down.0.") && has("decoder.up.0.")) return found("vae", original_vae(source, ""));
  if (has("controlnet_cond_embedding.") && has("down_blocks.0.")) return found("controlnet", source);
  if (has("conv_in.") && has("time_embedding.") && has("down_blocks.0.") && has("up_blocks.0.")) return found("unet", source);
  if (has("encoder.down_blocks.0.") && has("decoder.up_blocks.0.")) return found("vae", diffusers_vae(source));
  if (has("text_model.embeddings.token_embedding.") || has("embeddings.token_embedding.")) {
    const bool with_projection = has("text_projection.");
    return found(with_projection ? "text_encoder_2" : "text_encoder", transformers_text(source, "", with_projection));
  }
  if (Source tensors = upscaler(source)) return found("upscaler", std::move(tensors));
  return std::nullopt;
}

}  // namespace

ComponentTensors find_components(const Source& source) {
  const NameSet names = names_of(source->tensors());
  const auto has = [&](std::string_view prefix) { return any_starts_with(names, prefix); };
  const std::string file = source->path().string();
  ComponentTensors components;
  if (has(kUNet)) {
    if (!has(fmt::format("{}input_blocks.0.0.", kUNet)))
      fail(ExitCode::kModel, "{}: its network (first tensor {}) is none of SD1, SD2 and SDXL, which are supported; choose a checkpoint of one of these", file,
           in_quotes(*names.lower_bound(kUNet)));
    if (has(kOpenClipRefiner) && !has(kOpenClipXl))
      fail(ExitCode::kModel, "{}: is the SDXL refiner, which is not supported; use the SDXL base model", file);
    components["unet"] = original_unet(source, kUNet);
  }
  if (has(fmt::format("{}time_embed.", kControlNet))) components["controlnet"] = original_controlnet(source, kControlNet);
  if (components.empty()) {
    if (auto lone = lone_component(source)) components.insert(std::move(*lone));
    if (!components.empty()) return components;
  }
  for (const std::string_view prefix : {kVae, std::string_view("vae.")})
    if (has(std::string(prefix) + "encoder.down.0.") && !components.contains("vae")) components["vae"] = original_vae(source, prefix);
  if (has(kClipXl)) components["text_encoder"] = transformers_text(source, kClipXl, false);
  if (has(kOpenClipXl)) components["text_encoder_2"] = open_clip_text(source, kOpenClipXl, true);
  if (has(kClip1)) components["text_encoder"] = transformers_text(source, kClip1, false);
  if (has(kOpenClip2)) components["text_encoder"] = open_clip_text(source, kOpenClip2, false);
  return components;
}

Source standard_names(const std::string& component, const Source& source, bool with_projection) {
  if (component.starts_with("text_encoder")) {
    const NameSet names = names_of(source->tensors());
    if (any_starts_with(names, "transformer.resblocks.")) return open_clip_text(source, "", with_projection);
    return transformers_text(source, "", with_projection);
  }
  if (component == "upscaler") {
    const Source tensors = upscaler(source);
    return tensors ? tensors : source;
  }
  const bool has_spellings = component == "unet" || component == "controlnet" || component == "vae";
  if (!has_spellings) return source;
  const ComponentTensors found = find_components(source);
  const auto place = found.find(component);
  return place == found.end() ? source : place->second;
}

}  // namespace attelier
