#include "core/weights/key_maps.h"

#include <fmt/format.h>

#include <array>
#include <span>

namespace attelier {
namespace {

using NamePair = std::pair<std::string_view, std::string_view>;  // original, diffusers

constexpr std::array kUNetResnet = {NamePair{"in_layers.0", "norm1"},  NamePair{"in_layers.2", "conv1"},          NamePair{"emb_layers.1", "time_emb_proj"},
                                    NamePair{"out_layers.0", "norm2"}, NamePair{"out_layers.3", "conv2"}, NamePair{"skip_connection", "conv_shortcut"}};
constexpr std::array kVaeResnet = {NamePair{"nin_shortcut", "conv_shortcut"}};
constexpr std::array kVaeAttention = {NamePair{"norm", "group_norm"}, NamePair{"q", "to_q"}, NamePair{"k", "to_k"}, NamePair{"v", "to_v"},
                                      NamePair{"proj_out", "to_out.0"}};

constexpr std::array kUNetEnds = {
    NamePair{"time_embed.0", "time_embedding.linear_1"}, NamePair{"time_embed.2", "time_embedding.linear_2"},
    NamePair{"label_emb.0.0", "add_embedding.linear_1"}, NamePair{"label_emb.0.2", "add_embedding.linear_2"},
    NamePair{"input_blocks.0.0", "conv_in"},             NamePair{"middle_block.1", "mid_block.attentions.0"},
};
constexpr std::array kUNetOut = {NamePair{"out.0", "conv_norm_out"}, NamePair{"out.2", "conv_out"}};

std::span<const NamePair> names_inside(BlockKind kind) {
  switch (kind) {
    case BlockKind::kUNetResnet:
      return kUNetResnet;
    case BlockKind::kVaeResnet:
      return kVaeResnet;
    case BlockKind::kVaeAttention:
      return kVaeAttention;
    case BlockKind::kPlain:
      break;
  }
  return {};
}

// `rest` is "", ".weight", ".norm1.weight": the part of a name behind its block.
std::string translate_inside(std::string_view rest, BlockKind kind, std::string_view NamePair::*from, std::string_view NamePair::*to) {
  for (const NamePair& pair : names_inside(kind)) {
    const std::string_view inner = pair.*from;
    if (rest.size() <= inner.size() || rest.substr(1, inner.size()) != inner) continue;
    const std::string_view tail = rest.substr(1 + inner.size());
    if (tail.empty() || tail.front() == '.') return fmt::format(".{}{}", pair.*to, tail);
  }
  return std::string(rest);
}

}  // namespace

NameSet names_of(const std::map<std::string, TensorInfo>& tensors, std::string_view prefix) {
  NameSet names;
  for (auto entry = tensors.lower_bound(std::string(prefix)); entry != tensors.end() && entry->first.starts_with(prefix); ++entry)
    names.insert(names.end(), entry->first.substr(prefix.size()));
  return names;
}

bool any_starts_with(const NameSet& names, std::string_view prefix) {
  const auto found = names.lower_bound(prefix);
  return found != names.end() && found->starts_with(prefix);
}

UNetStructure UNetStructure::from_original(const NameSet& names) {
  const auto has = [&](std::string_view kind, size_t n, std::string_view part) { return any_starts_with(names, fmt::format("{}_blocks.{}.{}", kind, n, part)); };
  UNetStructure structure;
  structure.layers = 0;
  while (has("input", structure.layers + 1, "0.in_layers.")) ++structure.layers;
  // A level: `layers` ResNets with or without attention, then the downsampler; the last level has none.
  const size_t stride = structure.layers + 1;
  for (size_t first = 1; has("input", first, "0.in_layers."); first += stride) structure.down_attention.push_back(has("input", first, "1.proj_in."));
  for (size_t first = 0; has("output", first, "0.in_layers."); first += stride) structure.up_attention.push_back(has("output", first, "1.proj_in."));
  return structure;
}

UNetStructure UNetStructure::from_diffusers(const NameSet& names) {
  const auto has = [&](std::string_view kind, size_t level, std::string_view part, size_t n) {
    return any_starts_with(names, fmt::format("{}_blocks.{}.{}.{}.", kind, level, part, n));
  };
  UNetStructure structure;
  structure.layers = 0;
  while (has("down", 0, "resnets", structure.layers)) ++structure.layers;
  for (size_t level = 0; has("down", level, "resnets", 0); ++level) structure.down_attention.push_back(has("down", level, "attentions", 0));
  for (size_t level = 0; has("up", level, "resnets", 0); ++level) structure.up_attention.push_back(has("up", level, "attentions", 0));
  return structure;
}

KeyMap::KeyMap(std::vector<BlockName> blocks) : blocks_(std::move(blocks)) {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    by_original_.emplace(blocks_[i].original, i);
    by_diffusers_.emplace(blocks_[i].diffusers, i);
  }
}

std::optional<std::string> KeyMap::to_diffusers(std::string_view name) const {
  for (size_t end = name.size(); end != std::string_view::npos; end = end == 0 ? end - 1 : name.rfind('.', end - 1)) {
    const auto found = by_original_.find(name.substr(0, end));
    if (found == by_original_.end()) continue;
    const BlockName& block = blocks_[found->second];
    return block.diffusers + translate_inside(name.substr(end), block.kind, &NamePair::first, &NamePair::second);
  }
  return std::nullopt;
}

std::optional<std::string> KeyMap::to_original(std::string_view name) const {
  for (size_t end = name.size(); end != std::string_view::npos; end = end == 0 ? end - 1 : name.rfind('.', end - 1)) {
    const auto found = by_diffusers_.find(name.substr(0, end));
    if (found == by_diffusers_.end()) continue;
    const BlockName& block = blocks_[found->second];
    return block.original + translate_inside(name.substr(end), block.kind, &NamePair::second, &NamePair::first);
  }
  return std::nullopt;
}

KeyMap unet_key_map(const UNetStructure& structure, size_t conditioning_layers) {
  std::vector<BlockName> blocks;
  const auto add = [&](std::string original, std::string diffusers, BlockKind kind = BlockKind::kPlain) {
    blocks.push_back({std::move(original), std::move(diffusers), kind});
  };
  for (const auto& [original, diffusers] : kUNetEnds) add(std::string(original), std::string(diffusers));
  for (const size_t j : {0, 1}) add(fmt::format("middle_block.{}", 2 * j), fmt::format("mid_block.resnets.{}", j), BlockKind::kUNetResnet);

  const size_t down_levels = structure.down_attention.size(), up_levels = structure.up_attention.size();
  size_t n = 1;
  for (size_t i = 0; i < down_levels; ++i) {
    for (size_t j = 0; j < structure.layers; ++j, ++n) {
      add(fmt::format("input_blocks.{}.0", n), fmt::format("down_blocks.{}.resnets.{}", i, j), BlockKind::kUNetResnet);
      if (structure.down_attention[i]) add(fmt::format("input_blocks.{}.1", n), fmt::format("down_blocks.{}.attentions.{}", i, j));
    }
    if (i + 1 < down_levels) add(fmt::format("input_blocks.{}.0.op", n++), fmt::format("down_blocks.{}.downsamplers.0.conv", i));
  }
  n = 0;
  for (size_t i = 0; i < up_levels; ++i) {
    for (size_t j = 0; j <= structure.layers; ++j, ++n) {
      add(fmt::format("output_blocks.{}.0", n), fmt::format("up_blocks.{}.resnets.{}", i, j), BlockKind::kUNetResnet);
      if (structure.up_attention[i]) add(fmt::format("output_blocks.{}.1", n), fmt::format("up_blocks.{}.attentions.{}", i, j));
    }
    // The upsampler shares a block with the level's last ResNet and, where there is one, its attention.
    if (i + 1 < up_levels) add(fmt::format("output_blocks.{}.{}.conv", n - 1, structure.up_attention[i] ? 2 : 1), fmt::format("up_blocks.{}.upsamplers.0.conv", i));
  }
  if (up_levels > 0)
    for (const auto& [original, diffusers] : kUNetOut) add(std::string(original), std::string(diffusers));

  if (conditioning_layers >= 2) {
    add("input_hint_block.0", "controlnet_cond_embedding.conv_in");
    for (size_t i = 1; i + 1 < conditioning_layers; ++i) add(fmt::format("input_hint_block.{}", 2 * i), fmt::format("controlnet_cond_embedding.blocks.{}", i - 1));
    add(fmt::format("input_hint_block.{}", 2 * (conditioning_layers - 1)), "controlnet_cond_embedding.conv_out");
    for (size_t i = 0; i < down_levels * (structure.layers + 1); ++i) add(fmt::format("zero_convs.{}.0", i), fmt::format("controlnet_down_blocks.{}", i));
    add("middle_block_out.0", "controlnet_mid_block");
  }
  return KeyMap(std::move(blocks));
}

KeyMap vae_key_map(size_t levels, size_t layers) {
  std::vector<BlockName> blocks;
  const auto add = [&](std::string original, std::string diffusers, BlockKind kind = BlockKind::kPlain) {
    blocks.push_back({std::move(original), std::move(diffusers), kind});
  };
  for (const char* name : {"quant_conv", "post_quant_conv"}) add(name, name);
  for (const std::string half : {"encoder", "decoder"}) {
    for (const char* name : {"conv_in", "conv_out"}) add(fmt::format("{}.{}", half, name), fmt::format("{}.{}", half, name));
    add(half + ".norm_out", half + ".conv_norm_out");
    for (const size_t j : {0, 1}) add(fmt::format("{}.mid.block_{}", half, j + 1), fmt::format("{}.mid_block.resnets.{}", half, j), BlockKind::kVaeResnet);
    add(half + ".mid.attn_1", half + ".mid_block.attentions.0", BlockKind::kVaeAttention);
  }
  for (size_t i = 0; i < levels; ++i) {
    const size_t reversed = levels - 1 - i;
    for (size_t j = 0; j < layers; ++j)
      add(fmt::format("encoder.down.{}.block.{}", i, j), fmt::format("encoder.down_blocks.{}.resnets.{}", i, j), BlockKind::kVaeResnet);
    for (size_t j = 0; j <= layers; ++j)
      add(fmt::format("decoder.up.{}.block.{}", reversed, j), fmt::format("decoder.up_blocks.{}.resnets.{}", i, j), BlockKind::kVaeResnet);
    if (i + 1 == levels) continue;
    add(fmt::format("encoder.down.{}.downsample.conv", i), fmt::format("encoder.down_blocks.{}.downsamplers.0.conv", i));
    add(fmt::format("decoder.up.{}.upsample.conv", reversed), fmt::format("decoder.up_blocks.{}.upsamplers.0.conv", i));
  }
  return KeyMap(std::move(blocks));
}

}  // namespace attelier
