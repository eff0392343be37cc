#include "core/models/vae.h"

#include <cmath>
#include <deque>
#include <optional>

#include "core/attention/site.h"
#include "core/base/error.h"
#include "core/nn/layers.h"

namespace attelier {
namespace {

constexpr double kEpsilon = 1e-6;

struct ResnetBlock : nn::Module {
  ResnetBlock(int64_t in, int64_t out, int64_t groups) : norm1(groups, in, kEpsilon), conv1(in, out, 3, 1, 1), norm2(groups, out, kEpsilon), conv2(out, out, 3, 1, 1) {
    add("norm1", norm1);
    add("conv1", conv1);
    add("norm2", norm2);
    add("conv2", conv2);
    if (in != out) add("conv_shortcut", conv_shortcut.emplace(in, out, 1));
  }
  at::Tensor forward(const at::Tensor& x) const {
    const at::Tensor h = conv2.forward(at::silu(norm2.forward(conv1.forward(at::silu(norm1.forward(x))))));
    return (conv_shortcut ? conv_shortcut->forward(x) : x) + h;
  }
  nn::GroupNorm norm1;
  nn::Conv2d conv1;
  nn::GroupNorm norm2;
  nn::Conv2d conv2;
  std::optional<nn::Conv2d> conv_shortcut;
};

struct Resampler : nn::Module {
  Resampler(int64_t channels, int64_t stride, int64_t padding) : conv(channels, channels, 3, stride, padding) { add("conv", conv); }
  nn::Conv2d conv;
};

struct Attention : nn::Module {
  Attention(int64_t channels, int64_t groups, const std::string& model)
      : group_norm(groups, channels, kEpsilon), to_q(channels, channels), to_k(channels, channels), to_v(channels, channels), to_out(channels, channels) {
    add("group_norm", group_norm);
    add("to_q", to_q);
    add("to_k", to_k);
    add("to_v", to_v);
    add("to_out.0", to_out);
    site.model = model;
    site.path = "mid_block.attentions.0";
    site.head_width = channels;
  }
  at::Tensor forward(const at::Tensor& x, const ForwardContext& context) const {
    const int64_t height = x.size(2), width = x.size(3);
    const at::Tensor tokens = group_norm.forward(x).flatten(2).transpose(1, 2);  // [B, HW, C]
    const at::Tensor o = attend(site, to_q.forward(tokens).unsqueeze(1), to_k.forward(tokens).unsqueeze(1), to_v.forward(tokens).unsqueeze(1), context, height, width);
    return x + to_out.forward(o.squeeze(1)).transpose(1, 2).reshape(x.sizes());
  }
  nn::GroupNorm group_norm;
  nn::Linear to_q, to_k, to_v, to_out;
  AttentionSite site;
};

struct MidBlock : nn::Module {
  MidBlock(int64_t channels, int64_t groups, bool with_attention, const std::string& model) : first(channels, channels, groups), second(channels, channels, groups) {
    add("resnets.0", first);
    add("resnets.1", second);
    if (with_attention) add("attentions.0", attention.emplace(channels, groups, model));
  }
  at::Tensor forward(const at::Tensor& x, const ForwardContext& context) const {
    const at::Tensor h = first.forward(x);
    context.check_stop();
    return second.forward(attention ? attention->forward(h, context) : h);
  }
  ResnetBlock first, second;
  std::optional<Attention> attention;
};

struct Level : nn::Module {
  std::deque<ResnetBlock> resnets;
  std::optional<Resampler> downsampler, upsampler;
  void add_resnet(int64_t in, int64_t out, int64_t groups) {
    ResnetBlock& resnet = resnets.emplace_back(in, out, groups);
    add(fmt::format("resnets.{}", resnets.size() - 1), resnet);
  }
  void add_downsampler(int64_t channels) { add("downsamplers.0", downsampler.emplace(channels, 2, 0)); }
  void add_upsampler(int64_t channels) { add("upsamplers.0", upsampler.emplace(channels, 1, 1)); }
};

struct Encoder : nn::Module {
  explicit Encoder(const VaeConfig& config)
      : conv_in(config.in_channels, config.block_out_channels.front(), 3, 1, 1),
        mid_block(config.block_out_channels.back(), config.norm_groups, config.mid_block_attention, "vae_encoder"),
        conv_norm_out(config.norm_groups, config.block_out_channels.back(), kEpsilon),
        conv_out(config.block_out_channels.back(), 2 * config.latent_channels, 3, 1, 1) {
    add("conv_in", conv_in);
    int64_t channels = config.block_out_channels.front();
    for (size_t i = 0; i < config.block_out_channels.size(); ++i) {
      Level& level = down_blocks.emplace_back();
      for (int64_t j = 0; j < config.layers_per_block; ++j) {
        level.add_resnet(channels, config.block_out_channels[i], config.norm_groups);
        channels = config.block_out_channels[i];
      }
      if (i + 1 < config.block_out_channels.size()) level.add_downsampler(channels);
      add(fmt::format("down_blocks.{}", i), level);
    }
    add("mid_block", mid_block);
    add("conv_norm_out", conv_norm_out);
    add("conv_out", conv_out);
  }
  at::Tensor forward(const at::Tensor& x, const ForwardContext& context) const {
    at::Tensor h = conv_in.forward(x);
    for (const Level& level : down_blocks) {
      for (const ResnetBlock& resnet : level.resnets) {
        context.check_stop();
        h = resnet.forward(h);
      }
      if (level.downsampler) h = level.downsampler->conv.forward(at::constant_pad_nd(h, {0, 1, 0, 1}));
    }
    return conv_out.forward(at::silu(conv_norm_out.forward(mid_block.forward(h, context))));
  }
  nn::Conv2d conv_in;
  std::deque<Level> down_blocks;
  MidBlock mid_block;
  nn::GroupNorm conv_norm_out;
  nn::Conv2d conv_out;
};

struct Decoder : nn::Module {
  explicit Decoder(const VaeConfig& config)
      : conv_in(config.latent_channels, config.block_out_channels.back(), 3, 1, 1),
        mid_block(config.block_out_channels.back(), config.norm_groups, config.mid_block_attention, "vae_decoder"),
        conv_norm_out(config.norm_groups, config.block_out_channels.front(), kEpsilon),
        conv_out(config.block_out_channels.front(), config.out_channels, 3, 1, 1) {
    add("conv_in", conv_in);
    add("mid_block", mid_block);
    int64_t channels = config.block_out_channels.back();
    const size_t levels = config.block_out_channels.size();
    for (size_t i = 0; i < levels; ++i) {
      Level& level = up_blocks.emplace_back();
      for (int64_t j = 0; j <= config.layers_per_block; ++j) {
        level.add_resnet(channels, config.block_out_channels[levels - 1 - i], config.norm_groups);
        channels = config.block_out_channels[levels - 1 - i];
      }
      if (i + 1 < levels) level.add_upsampler(channels);
      add(fmt::format("up_blocks.{}", i), level);
    }
    add("conv_norm_out", conv_norm_out);
    add("conv_out", conv_out);
  }
  at::Tensor forward(const at::Tensor& z, const ForwardContext& context) const {
    at::Tensor h = mid_block.forward(conv_in.forward(z), context);
    for (const Level& level : up_blocks) {
      for (const ResnetBlock& resnet : level.resnets) {
        context.check_stop();
        h = resnet.forward(h);
      }
      if (level.upsampler) h = level.upsampler->conv.forward(at::upsample_nearest2d(h, {2 * h.size(2), 2 * h.size(3)}));
    }
    return conv_out.forward(at::silu(conv_norm_out.forward(h)));
  }
  nn::Conv2d conv_in;
  MidBlock mid_block;
  std::deque<Level> up_blocks;
  nn::GroupNorm conv_norm_out;
  nn::Conv2d conv_out;
};

}  // namespace

struct Vae::Layers {
  explicit Layers(const VaeConfig& config) : encoder(config), decoder(config) {
    if (!config.quant_convs) return;
    quant_conv.emplace(2 * config.latent_channels, 2 * config.latent_channels, 1);
    post_quant_conv.emplace(config.latent_channels, config.latent_channels, 1);
  }
  Encoder encoder;
  Decoder decoder;
  std::optional<nn::Conv2d> quant_conv, post_quant_conv;
};

Vae::Vae(const VaeConfig& config) : config_(config), layers_(std::make_unique<Layers>(config)) {
  add("encoder", layers_->encoder);
  add("decoder", layers_->decoder);
  if (layers_->quant_conv) add("quant_conv", *layers_->quant_conv);
  if (layers_->post_quant_conv) add("post_quant_conv", *layers_->post_quant_conv);
}

Vae::~Vae() = default;

VaePosterior Vae::encode(const at::Tensor& x, const ForwardContext& context, const VaeTiling&, bool) {
  at::Tensor moments = layers_->encoder.forward(x, context);
  if (layers_->quant_conv) moments = layers_->quant_conv->forward(moments);
  const std::vector<at::Tensor> halves = moments.chunk(2, 1);
  return {halves[0], halves[1].clamp(-30, 20)};
}

at::Tensor Vae::decode(const at::Tensor& z, const ForwardContext& context, const VaeTiling&, bool, const std::function<void(int64_t, int64_t)>&) {
  return layers_->decoder.forward(layers_->post_quant_conv ? layers_->post_quant_conv->forward(z) : z, context);
}

VaeConfig VaeConfig::from_json(const nlohmann::json& config) {
  VaeConfig result;
  result.in_channels = config.value("in_channels", result.in_channels);
  result.out_channels = config.value("out_channels", result.out_channels);
  result.latent_channels = config.value("latent_channels", result.latent_channels);
  result.block_out_channels = config.value("block_out_channels", result.block_out_channels);
  result.layers_per_block = config.value("layers_per_block", int64_t{1});
  result.norm_groups = config.value("norm_num_groups", result.norm_groups);
  result.sample_size = config.value("sample_size", int64_t{32});
  result.scaling_factor = config.value("scaling_factor", result.scaling_factor);
  result.force_upcast = config.value("force_upcast", result.force_upcast);
  result.mid_block_attention = config.value("mid_block_add_attention", true);
  result.quant_convs = config.value("use_quant_conv", true);
  return result;
}

nlohmann::json VaeConfig::to_json() const {
  const size_t levels = block_out_channels.size();
  return {{"_class_name", "AutoencoderKL"},
          {"act_fn", "silu"},
          {"block_out_channels", block_out_channels},
          {"down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D")},
          {"up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D")},
          {"force_upcast", force_upcast},
          {"in_channels", in_channels},
          {"out_channels", out_channels},
          {"latent_channels", latent_channels},
          {"layers_per_block", layers_per_block},
          {"mid_block_add_attention", mid_block_attention},
          {"norm_num_groups", norm_groups},
          {"sample_size", sample_size},
          {"scaling_factor", scaling_factor},
          {"use_quant_conv", quant_convs},
          {"use_post_quant_conv", quant_convs}};
}

}  // namespace attelier
