#include "core/weights/recognise.h"

#include <array>

#include "core/base/error.h"
#include "core/weights/key_maps.h"
#include "core/weights/quote.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

constexpr int64_t kHeadWidth = 64;  // of SD2, SDXL and all CLIP text encoders
constexpr int64_t kSd1Heads = 8;
constexpr int64_t kSd2Context = 1024;
constexpr int64_t kClipLWidth = 768;
constexpr std::array kRgtWindow = {8, 32};
constexpr double kLongestRgtWindow = 4096, kRgtChannelRatio = 0.5;
constexpr const char* kSd2BaseStep = "875000";

class Shapes {
 public:
  explicit Shapes(const TensorSource& tensors) : tensors_(tensors), names_(names_of(tensors.tensors())) {}

  bool has(std::string_view prefix) const { return any_starts_with(names_, prefix); }
  const NameSet& names() const { return names_; }
  const std::vector<int64_t>& of(const std::string& name) const {
    const auto found = tensors_.tensors().find(name);
    if (found == tensors_.tensors().end())
      fail(ExitCode::kModel, "{}: the tensor {} is missing, so the model's sizes cannot be recognised; the file is incomplete, or needs its config.json beside it",
           tensors_.path().string(), in_quotes(name));
    return found->second.shape;
  }
  int64_t size(const std::string& name, size_t axis) const {
    const std::vector<int64_t>& shape = of(name);
    if (axis >= shape.size())
      fail(ExitCode::kModel, "{}: the tensor {} has {} axes, at least {} were expected; the file is damaged", tensors_.path().string(), in_quotes(name), shape.size(),
           axis + 1);
    return shape[axis];
  }
  /// How many of NAME.0., NAME.1., ... there are.
  size_t count(const std::string& list) const {
    size_t n = 0;
    while (has(fmt::format("{}.{}.", list, n))) ++n;
    return n;
  }

 private:
  const TensorSource& tensors_;
  NameSet names_;
};

// The first cross-attention's keys [channels, context width], wherever the network has its first transformer.
int64_t context_width(const Shapes& shapes) {
  for (size_t level = 0; shapes.has(fmt::format("down_blocks.{}.", level)); ++level) {
    const std::string name = fmt::format("down_blocks.{}.attentions.0.transformer_blocks.0.attn2.to_k.weight", level);
    if (shapes.has(name)) return shapes.size(name, 1);
  }
  return shapes.size("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1);
}

Json block_types(const std::vector<bool>& attention, const char* with, const char* without) {
  Json types = Json::array();
  for (const bool has_attention : attention) types.push_back(has_attention ? with : without);
  return types;
}

Json unet_config(const Shapes& shapes, const RecognisedDefaults& defaults) {
  const UNetStructure structure = UNetStructure::from_diffusers(shapes.names());
  const size_t levels = structure.down_attention.size();
  const bool linear = shapes.of("mid_block.attentions.0.proj_in.weight").size() == 2;
  const auto mid_depth = static_cast<int64_t>(shapes.count("mid_block.attentions.0.transformer_blocks"));
  std::vector<int64_t> channels, heads, depths;
  for (size_t i = 0; i < levels; ++i) {
    channels.push_back(shapes.size(fmt::format("down_blocks.{}.resnets.0.conv1.weight", i), 0));
    heads.push_back(linear ? std::max<int64_t>(1, channels.back() / kHeadWidth) : kSd1Heads);
    // The middle's depth is the last level's.
    const auto depth = static_cast<int64_t>(shapes.count(fmt::format("down_blocks.{}.attentions.0.transformer_blocks", i)));
    depths.push_back(i + 1 == levels ? mid_depth : std::max<int64_t>(1, depth));
  }
  Json config = {{"_class_name", "UNet2DConditionModel"},
                 {"act_fn", "silu"},
                 {"attention_head_dim", heads},
                 {"block_out_channels", channels},
                 {"cross_attention_dim", context_width(shapes)},
                 {"down_block_types", block_types(structure.down_attention, "CrossAttnDownBlock2D", "DownBlock2D")},
                 {"flip_sin_to_cos", true},
                 {"freq_shift", 0},
                 {"in_channels", shapes.size("conv_in.weight", 1)},
                 {"layers_per_block", structure.layers},
                 {"norm_eps", 1e-5},
                 {"norm_num_groups", 32},
                 {"sample_size", defaults.sample_size},
                 {"transformer_layers_per_block", depths},
                 {"use_linear_projection", linear}};
  if (shapes.has("add_embedding.")) {
    config["addition_embed_type"] = "text_time";
    config["addition_time_embed_dim"] = 256;
    config["projection_class_embeddings_input_dim"] = shapes.size("add_embedding.linear_1.weight", 1);
  }
  if (shapes.has("time_embedding.cond_proj.")) config["time_cond_proj_dim"] = shapes.size("time_embedding.cond_proj.weight", 1);
  if (shapes.has("controlnet_cond_embedding.")) return config;
  config["out_channels"] = shapes.size("conv_out.weight", 0);
  config["up_block_types"] = block_types(structure.up_attention, "CrossAttnUpBlock2D", "UpBlock2D");
  return config;
}

Json controlnet_config(const Shapes& shapes, const RecognisedDefaults& defaults) {
  Json config = unet_config(shapes, defaults);
  config["_class_name"] = "ControlNetModel";
  config.erase("sample_size");
  // conv_in, then pairs of which the second widens.
  std::vector<int64_t> channels = {shapes.size("controlnet_cond_embedding.conv_in.weight", 0)};
  for (size_t i = 1; i < shapes.count("controlnet_cond_embedding.blocks"); i += 2)
    channels.push_back(shapes.size(fmt::format("controlnet_cond_embedding.blocks.{}.weight", i), 0));
  config["conditioning_embedding_out_channels"] = channels;
  config["conditioning_channels"] = shapes.size("controlnet_cond_embedding.conv_in.weight", 1);
  config["controlnet_conditioning_channel_order"] = "rgb";
  return config;
}

Json vae_config(const Shapes& shapes, const RecognisedDefaults& defaults) {
  const size_t levels = shapes.count("encoder.down_blocks");
  std::vector<int64_t> channels;
  for (size_t i = 0; i < levels; ++i) channels.push_back(shapes.size(fmt::format("encoder.down_blocks.{}.resnets.0.conv1.weight", i), 0));
  return {{"_class_name", "AutoencoderKL"},
          {"act_fn", "silu"},
          {"block_out_channels", channels},
          {"down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D")},
          {"up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D")},
          {"force_upcast", true},
          {"in_channels", shapes.size("encoder.conv_in.weight", 1)},
          {"out_channels", shapes.size("decoder.conv_out.weight", 0)},
          {"latent_channels", shapes.size("decoder.conv_in.weight", 1)},
          {"layers_per_block", shapes.count("encoder.down_blocks.0.resnets")},
          {"mid_block_add_attention", shapes.has("decoder.mid_block.attentions.0.")},
          {"norm_num_groups", 32},
          {"sample_size", defaults.sample_size * (int64_t{1} << (std::clamp<size_t>(levels, 1, 16) - 1))},
          {"scaling_factor", defaults.scaling_factor},
          {"use_quant_conv", shapes.has("quant_conv.")},
          {"use_post_quant_conv", shapes.has("post_quant_conv.")}};
}

Json text_config(const Shapes& shapes, const RecognisedDefaults& defaults) {
  const std::string base = "text_model.embeddings.", layers = "text_model.encoder.layers";
  const int64_t width = shapes.size(base + "token_embedding.weight", 1);
  const bool with_projection = shapes.has("text_projection.");
  // OpenAI's own CLIP has the quick activation: SD1's text encoder and the first of SDXL. SD2 and the second of SDXL have OpenCLIP's.
  const bool is_clip_l = !with_projection && (defaults.family.empty() ? width <= kClipLWidth : !defaults.family.starts_with("sd2"));
  return {{"architectures", Json::array({with_projection ? "CLIPTextModelWithProjection" : "CLIPTextModel"})},
          {"model_type", "clip_text_model"},
          {"bos_token_id", 0},
          {"eos_token_id", 2},
          {"hidden_act", is_clip_l ? "quick_gelu" : "gelu"},
          {"hidden_size", width},
          {"intermediate_size", shapes.size(layers + ".0.mlp.fc1.weight", 0)},
          {"layer_norm_eps", 1e-5},
          {"max_position_embeddings", shapes.size(base + "position_embedding.weight", 0)},
          {"num_attention_heads", std::max<int64_t>(1, width / kHeadWidth)},
          {"num_hidden_layers", shapes.count(layers)},
          {"projection_dim", with_projection ? shapes.size("text_projection.weight", 0) : width},
          {"vocab_size", shapes.size(base + "token_embedding.weight", 0)}};
}

/// Height and width of RGT's windows, which only the offsets of their cells tell: from (1 - height, 1 - width) to (height - 1, width - 1).
Json split_size(const Shapes& shapes, const TensorSource& tensors) {
  const std::string name = "layers.0.blocks.0.attn.attns.0.rpe_biases";
  if (!shapes.has(name)) return kRgtWindow;
  if (shapes.of(name).size() != 2 || shapes.size(name, 0) < 1 || shapes.size(name, 1) != 2)
    fail(ExitCode::kModel, "{}: the tensor {} has the shape [{}], [offsets, 2] was expected; the file is damaged", tensors.path().string(), in_quotes(name),
         fmt::join(shapes.of(name), ", "));
  const at::Tensor first = tensors.read(name)[0].to(at::kDouble);
  Json sides = Json::array();
  for (int64_t i = 0; i < 2; ++i) {
    const double offset = first[i].item<double>();
    if (!(offset <= 0 && offset > -kLongestRgtWindow))
      fail(ExitCode::kModel, "{}: the tensor {} begins with {}, no offset of a window; the file is damaged", tensors.path().string(), in_quotes(name), offset);
    sides.push_back(1 - static_cast<int64_t>(offset));
  }
  return sides;
}

Json rgt_config(const Shapes& shapes, const TensorSource& tensors) {
  const std::string first = "layers.0.blocks.0.", recursive = "layers.0.blocks.1.attn.conv.weight";
  const int64_t width = std::max<int64_t>(1, shapes.size("conv_first.weight", 0)), features = std::max<int64_t>(1, shapes.size("upsample.0.weight", 1));
  const auto ratio = [&](int64_t channels) { return static_cast<double>(channels) / static_cast<double>(width); };
  std::vector<int64_t> depth, heads;
  for (size_t g = 0; g < shapes.count("layers"); ++g) {
    depth.push_back(static_cast<int64_t>(shapes.count(fmt::format("layers.{}.blocks", g))));
    heads.push_back(2 * shapes.size(fmt::format("layers.{}.blocks.0.attn.attns.0.pos.pos3.2.weight", g), 0));
  }
  return {{"architecture", "rgt"},
          {"upscale", shapes.size("upsample.0.weight", 0) == 9 * features ? 3 : shapes.has("upsample.2.") ? 4 : 2},
          {"in_chans", shapes.size("conv_first.weight", 1)},
          {"img_size", 64},
          {"img_range", 1.0},
          {"depth", depth},
          {"embed_dim", width},
          {"num_heads", heads},
          {"mlp_ratio", ratio(shapes.size(first + "mlp.fc1.weight", 0))},
          {"qkv_bias", shapes.has(first + "attn.qkv.bias")},
          {"split_size", split_size(shapes, tensors)},
          {"c_ratio", shapes.has(recursive) ? ratio(shapes.size(recursive, 0)) : kRgtChannelRatio},
          {"resi_connection", shapes.has("conv_after_body.0.") ? "3conv" : "1conv"}};
}

}  // namespace

Json recognise_config(const std::string& component, const TensorSource& tensors, const RecognisedDefaults& defaults) {
  const Shapes shapes(tensors);
  if (component == "unet") return unet_config(shapes, defaults);
  if (component == "controlnet") return controlnet_config(shapes, defaults);
  if (component == "vae") return vae_config(shapes, defaults);
  if (component == "upscaler") return rgt_config(shapes, tensors);
  return text_config(shapes, defaults);
}

std::string recognise_family(const TensorSource& unet) {
  const Shapes shapes(unet);
  const bool linear = shapes.of("mid_block.attentions.0.proj_in.weight").size() == 2;
  std::string family = shapes.has("add_embedding.") ? "sdxl" : linear || context_width(shapes) == kSd2Context ? "sd2" : "sd1";
  if (!shapes.has("conv_out.")) return family;  // a ControlNet
  const int64_t in_channels = shapes.size("conv_in.weight", 1), latent_channels = shapes.size("conv_out.weight", 0);
  if (in_channels == 2 * latent_channels + 1) family += "-inpainting";
  if (in_channels == 2 * latent_channels) family += "-instruct";
  return family;
}

RecognisedDefaults defaults_of(const std::string& family, const std::string& prediction_type) {
  if (family.starts_with("sdxl")) return {family, 128, 0.13025};
  if (family.starts_with("sd2") && prediction_type == "v_prediction") return {family, 96, 0.18215};
  return {family, 64, 0.18215};
}

std::string recognise_prediction(const TensorSource& file, const std::string& family) {
  const auto said = file.metadata().find("modelspec.prediction_type");
  if (said != file.metadata().end() && said->second == "v") return "v_prediction";
  if (said != file.metadata().end() && said->second == "epsilon") return "epsilon";
  if (file.tensors().contains("v_pred")) return "v_prediction";
  if (family != "sd2") return "epsilon";
  const auto step = file.metadata().find("global_step");
  return step != file.metadata().end() && step->second == kSd2BaseStep ? "epsilon" : "v_prediction";
}

Json default_scheduler(const TensorSource& file, const std::string& family) {
  Json config = {{"beta_start", 0.00085},
                 {"beta_end", 0.012},
                 {"beta_schedule", "scaled_linear"},
                 {"num_train_timesteps", 1000},
                 {"clip_sample", false},
                 {"set_alpha_to_one", false},
                 {"skip_prk_steps", true},
                 {"steps_offset", 1},
                 {"prediction_type", recognise_prediction(file, family)}};
  config["_class_name"] = family.starts_with("sd2") ? "DDIMScheduler" : "PNDMScheduler";
  if (family.starts_with("sdxl")) {
    config["_class_name"] = "EulerDiscreteScheduler";
    config["interpolation_type"] = "linear";
    config["sample_max_value"] = 1.0;
    config["timestep_spacing"] = "leading";
  }
  if (file.tensors().contains("ztsnr")) config["rescale_betas_zero_snr"] = true;
  return config;
}

}  // namespace attelier
