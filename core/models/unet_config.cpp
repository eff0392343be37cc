// config.json of a UNet or ControlNet as diffusers writes it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/models/unet.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

/// Options that this runtime does not have: only these values are accepted (absent counts as accepted).
struct Fixed {
  const char* key;
  Json value;
};

void require_fixed(const Json& config, std::initializer_list<Fixed> options) {
  for (const Fixed& option : options) {
    const auto found = config.find(option.key);
    if (found == config.end() || found->is_null() || *found == option.value) continue;
    fail(ExitCode::kModel, "the model's config.json asks for \"{}\": {}, which is not supported; supported is {}", option.key, found->dump(), option.value.dump());
  }
}

/// An integer for all levels, or one per level.
std::vector<int64_t> per_level(const Json& config, const char* key, size_t levels, int64_t otherwise) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return std::vector<int64_t>(levels, otherwise);
  if (found->is_number_integer()) return std::vector<int64_t>(levels, found->get<int64_t>());
  const auto values = found->get<std::vector<int64_t>>();
  if (values.size() != levels) fail(ExitCode::kModel, "the model's config.json: \"{}\" has {} entries for {} levels", key, values.size(), levels);
  return values;
}

std::vector<bool> attention_levels(const Json& config, const char* key, const std::string& with, const std::string& without, std::vector<bool> otherwise) {
  if (!config.contains(key)) return otherwise;
  std::vector<bool> levels;
  for (const Json& entry : config.at(key)) {
    const std::string type = entry.get<std::string>();
    if (type != with && type != without)
      fail(ExitCode::kModel, "the model's config.json: \"{}\" names \"{}\"; supported are \"{}\" and \"{}\"", key, type, with, without);
    levels.push_back(type == with);
  }
  return levels;
}

std::vector<std::string> block_types(const std::vector<bool>& levels, const char* with, const char* without) {
  std::vector<std::string> types;
  for (const bool level : levels) types.emplace_back(level ? with : without);
  return types;
}

void check_sizes(const UNetConfig& config) {
  const auto require = [](bool right, std::string_view key, auto value, std::string_view rule) {
    if (!right) fail(ExitCode::kModel, "the model's config.json: \"{}\" is {}; {}", key, value, rule);
  };
  const size_t levels = config.block_out_channels.size();
  require(levels >= 1 && levels <= 8, "block_out_channels", fmt::format("{}", config.block_out_channels), "1 to 8 levels are supported");
  require(config.down_attention.size() == levels, "down_block_types", config.down_attention.size(), "one entry per level is needed");
  require(config.up_attention.size() == levels, "up_block_types", config.up_attention.size(), "one entry per level is needed");
  require(config.layers_per_block >= 1 && config.layers_per_block <= 16, "layers_per_block", config.layers_per_block, "1 to 16 is allowed");
  require(config.norm_groups >= 1, "norm_num_groups", config.norm_groups, "at least 1 is needed");
  require(config.in_channels >= 1 && config.in_channels <= 4096, "in_channels", config.in_channels, "1 to 4096 is allowed");
  require(config.cross_attention_dim >= 1 && config.cross_attention_dim <= 1 << 16, "cross_attention_dim", config.cross_attention_dim, "1 to 65536 is allowed");
  for (size_t i = 0; i < levels; ++i) {
    const int64_t channels = config.block_out_channels[i];
    require(channels >= 1 && channels <= 1 << 16 && channels % config.norm_groups == 0, "block_out_channels", channels, "a positive multiple of norm_num_groups is needed");
    require(config.heads[i] >= 1 && channels % config.heads[i] == 0, "attention_head_dim", config.heads[i], "a count of heads that divides the level's channels is needed");
    require(config.transformer_layers[i] >= 1 && config.transformer_layers[i] <= 64, "transformer_layers_per_block", config.transformer_layers[i], "1 to 64 is allowed");
  }
}

}  // namespace

UNetConfig UNetConfig::from_json(const Json& config) {
  UNetConfig result;
  try {
    require_fixed(config, {{"act_fn", "silu"}, {"resnet_time_scale_shift", "default"}, {"class_embed_type", nullptr}, {"encoder_hid_dim", nullptr},
                           {"encoder_hid_dim_type", nullptr}, {"time_embedding_type", "positional"}, {"conv_in_kernel", 3}, {"conv_out_kernel", 3},
                           {"flip_sin_to_cos", true}, {"freq_shift", 0}, {"center_input_sample", false}, {"dual_cross_attention", false},
                           {"only_cross_attention", false}, {"downsample_padding", 1}, {"mid_block_scale_factor", 1}, {"time_embedding_act_fn", nullptr},
                           {"timestep_post_act", nullptr}, {"mid_block_type", "UNetMidBlock2DCrossAttn"}, {"dropout", 0.0}, {"attention_type", "default"},
                           {"reverse_transformer_layers_per_block", nullptr}, {"cross_attention_norm", nullptr}, {"num_class_embeds", nullptr},
                           {"resnet_skip_time_act", false}, {"resnet_out_scale_factor", 1}, {"time_embedding_dim", nullptr}, {"global_pool_conditions", false}});
    const auto number = [&](const char* key, int64_t otherwise) {
      const auto found = config.find(key);
      return found == config.end() || found->is_null() ? otherwise : found->get<int64_t>();
    };
    result.block_out_channels = config.value("block_out_channels", result.block_out_channels);
    const size_t levels = result.block_out_channels.size();
    result.in_channels = number("in_channels", 4);
    result.out_channels = number("out_channels", 4);
    if (const auto size = config.find("sample_size"); size != config.end() && !size->is_null())
      result.sample_size = size->is_array() ? size->at(0).get<int64_t>() : size->get<int64_t>();
    result.down_attention = attention_levels(config, "down_block_types", "CrossAttnDownBlock2D", "DownBlock2D", {true, true, true, false});
    result.up_attention = config.contains("up_block_types") || !config.contains("down_block_types")
                              ? attention_levels(config, "up_block_types", "CrossAttnUpBlock2D", "UpBlock2D", {false, true, true, true})
                              : std::vector<bool>(result.down_attention.rbegin(), result.down_attention.rend());
    result.layers_per_block = number("layers_per_block", 2);
    result.transformer_layers = per_level(config, "transformer_layers_per_block", levels, 1);
    // `attention_head_dim` has always been a count of heads; `num_attention_heads` is its later, rarely set name.
    const bool newer = config.contains("num_attention_heads") && !config["num_attention_heads"].is_null();
    result.heads = per_level(config, newer ? "num_attention_heads" : "attention_head_dim", levels, 8);
    if (const auto width = config.find("cross_attention_dim"); width != config.end() && !width->is_null()) {
      if (!width->is_number_integer()) fail(ExitCode::kModel, "the model's config.json: \"cross_attention_dim\" is {}; one integer is supported", width->dump());
      result.cross_attention_dim = width->get<int64_t>();
    } else {
      result.cross_attention_dim = 1280;
    }
    result.norm_groups = number("norm_num_groups", 32);
    result.norm_epsilon = config.value("norm_eps", 1e-5);
    result.linear_projection = config.value("use_linear_projection", false);
    if (const auto type = config.find("addition_embed_type"); type != config.end() && !type->is_null()) {
      if (*type != "text_time") fail(ExitCode::kModel, "the model's config.json: \"addition_embed_type\" is {}; supported are null and \"text_time\"", type->dump());
      result.text_time_embedding = true;
      result.addition_time_embed_dim = number("addition_time_embed_dim", 256);
      result.addition_input_dim = number("projection_class_embeddings_input_dim", 2816);
    }
    result.time_condition_dim = number("time_cond_proj_dim", 0);
  } catch (const Json::exception& error) {
    fail(ExitCode::kModel, "the model's config.json is not a UNet's: {}", error.what());
  }
  check_sizes(result);
  return result;
}

Json UNetConfig::to_json() const {
  Json json = {{"_class_name", "UNet2DConditionModel"},
               {"act_fn", "silu"},
               {"attention_head_dim", heads},
               {"block_out_channels", block_out_channels},
               {"cross_attention_dim", cross_attention_dim},
               {"down_block_types", block_types(down_attention, "CrossAttnDownBlock2D", "DownBlock2D")},
               {"flip_sin_to_cos", true},
               {"freq_shift", 0},
               {"in_channels", in_channels},
               {"layers_per_block", layers_per_block},
               {"norm_eps", norm_epsilon},
               {"norm_num_groups", norm_groups},
               {"out_channels", out_channels},
               {"sample_size", sample_size},
               {"transformer_layers_per_block", transformer_layers},
               {"up_block_types", block_types(up_attention, "CrossAttnUpBlock2D", "UpBlock2D")},
               {"use_linear_projection", linear_projection}};
  if (text_time_embedding) {
    json["addition_embed_type"] = "text_time";
    json["addition_time_embed_dim"] = addition_time_embed_dim;
    json["projection_class_embeddings_input_dim"] = addition_input_dim;
  }
  if (time_condition_dim > 0) json["time_cond_proj_dim"] = time_condition_dim;
  return json;
}

ControlNetConfig ControlNetConfig::from_json(const Json& config) {
  ControlNetConfig result;
  result.unet = UNetConfig::from_json(config);
  try {
    result.conditioning_channels = config.value("conditioning_embedding_out_channels", result.conditioning_channels);
    result.picture_channels = config.value("conditioning_channels", int64_t{3});
    const std::string order = config.value("controlnet_conditioning_channel_order", std::string("rgb"));
    if (order != "rgb" && order != "bgr")
      fail(ExitCode::kModel, "the ControlNet's config.json: \"controlnet_conditioning_channel_order\" is \"{}\"; allowed are \"rgb\" and \"bgr\"", order);
    result.bgr = order == "bgr";
  } catch (const Json::exception& error) {
    fail(ExitCode::kModel, "the model's config.json is not a ControlNet's: {}", error.what());
  }
  if (result.conditioning_channels.empty() || result.conditioning_channels.size() > 8)
    fail(ExitCode::kModel, "the ControlNet's config.json: \"conditioning_embedding_out_channels\" has {} entries; 1 to 8 are supported", result.conditioning_channels.size());
  return result;
}

Json ControlNetConfig::to_json() const {
  Json json = unet.to_json();
  json["_class_name"] = "ControlNetModel";
  for (const char* key : {"out_channels", "up_block_types", "sample_size"}) json.erase(key);
  json["conditioning_embedding_out_channels"] = conditioning_channels;
  json["conditioning_channels"] = picture_channels;
  json["controlnet_conditioning_channel_order"] = bgr ? "bgr" : "rgb";
  return json;
}

}  // namespace attelier
