#include "core/models/vae.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "core/attention/site.h"
#include "core/base/error.h"
#include "core/models/residual_blocks.h"
#include "core/models/vae_tiles.h"

namespace attelier {
namespace {

constexpr double kEpsilon = 1e-6;

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
  MidBlock(int64_t channels, int64_t groups, bool with_attention, const std::string& model)
      : first(channels, channels, groups, kEpsilon), second(channels, channels, groups, kEpsilon) {
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

/// A resolution: ResNets, then a change of size.
struct Level : nn::Module {
  std::deque<ResnetBlock> resnets;
  std::optional<Downsampler> downsampler;
  std::optional<Upsampler> upsampler;
  void add_resnet(int64_t in, int64_t out, int64_t groups) {
    ResnetBlock& resnet = resnets.emplace_back(in, out, groups, kEpsilon);
    add(fmt::format("resnets.{}", resnets.size() - 1), resnet);
  }
  void add_downsampler(int64_t channels) { add("downsamplers.0", downsampler.emplace(channels, Downsampler::Padding::kRightAndBottom)); }
  void add_upsampler(int64_t channels) { add("upsamplers.0", upsampler.emplace(channels)); }
  at::Tensor forward(at::Tensor h, const ForwardContext& context) const {
    for (const ResnetBlock& resnet : resnets) {
      context.check_stop();
      h = resnet.forward(h);
    }
    return downsampler ? downsampler->forward(h) : upsampler ? upsampler->forward(h) : h;
  }
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
    for (const Level& level : down_blocks) h = level.forward(h, context);
    return conv_out.forward(conv_norm_out.forward_silu(mid_block.forward(h, context)));
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
    for (const Level& level : up_blocks) h = level.forward(h, context);
    return conv_out.forward(conv_norm_out.forward_silu(h));
  }
  nn::Conv2d conv_in;
  MidBlock mid_block;
  std::deque<Level> up_blocks;
  nn::GroupNorm conv_norm_out;
  nn::Conv2d conv_out;
};

struct TileSizes {
  int64_t pixels, latents;
  static TileSizes of(const VaeTiling& tiling, const VaeConfig& config) {
    const int64_t pixels = std::max(config.factor(), tiling.tile_pixels > 0 ? tiling.tile_pixels : config.sample_size) / config.factor() * config.factor();
    return {pixels, pixels / config.factor()};
  }
};

at::Tensor by_rows(const at::Tensor& batch, bool one_at_a_time, const std::function<at::Tensor(const at::Tensor&)>& run) {
  if (!one_at_a_time || batch.size(0) == 1) return run(batch);
  std::vector<at::Tensor> rows;
  for (const at::Tensor& row : batch.split(1)) rows.push_back(run(row));
  return at::cat(rows);
}

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

VaePosterior Vae::encode(const at::Tensor& x, const ForwardContext& context, const VaeTiling& tiling, bool slicing) {
  const int64_t factor = config_.factor();
  if (x.dim() != 4 || x.size(1) != config_.in_channels || x.size(2) % factor != 0 || x.size(3) % factor != 0 || x.numel() == 0)
    fail(ExitCode::kBadInput, "the autoencoder's picture has the shape [{}]; [B, {}, height, width] with sides that are multiples of {} is needed", fmt::join(x.sizes(), ", "),
         config_.in_channels, factor);
  const auto moments_of = [&](const at::Tensor& picture) {
    const at::Tensor moments = layers_->encoder.forward(picture, context);
    return layers_->quant_conv ? layers_->quant_conv->forward(moments) : moments;
  };
  const TileSizes sizes = TileSizes::of(tiling, config_);
  const auto encode_row = [&](const at::Tensor& row) {
    if (!tiling.enabled || std::max(row.size(2), row.size(3)) <= sizes.pixels) return moments_of(row);
    return in_tiles(row, {sizes.pixels, sizes.latents, tiling.overlap}, 2 * config_.latent_channels, row.size(2) / factor, row.size(3) / factor, moments_of, {});
  };
  const std::vector<at::Tensor> halves = by_rows(x, slicing, encode_row).chunk(2, 1);
  return {halves[0], halves[1].clamp(-30, 20)};
}

at::Tensor Vae::decode(const at::Tensor& z, const ForwardContext& context, const VaeTiling& tiling, bool slicing,
                       const std::function<void(int64_t, int64_t)>& progress) {
  if (z.dim() != 4 || z.size(1) != config_.latent_channels || z.numel() == 0)
    fail(ExitCode::kBadInput, "the latent has the shape [{}]; this autoencoder decodes [B, {}, height, width]", fmt::join(z.sizes(), ", "), config_.latent_channels);
  const auto pixels_of = [&](const at::Tensor& latent) {
    return layers_->decoder.forward(layers_->post_quant_conv ? layers_->post_quant_conv->forward(latent) : latent, context);
  };
  const TileSizes sizes = TileSizes::of(tiling, config_);
  const int64_t factor = config_.factor();
  const auto decode_row = [&](const at::Tensor& row) {
    if (!tiling.enabled || std::max(row.size(2), row.size(3)) <= sizes.latents) return pixels_of(row);
    return in_tiles(row, {sizes.latents, sizes.pixels, tiling.overlap}, config_.out_channels, row.size(2) * factor, row.size(3) * factor, pixels_of, progress);
  };
  return by_rows(z, slicing, decode_row);
}

VaeConfig VaeConfig::from_json(const nlohmann::json& config) {
  VaeConfig result;
  try {
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
    if (config.value("use_post_quant_conv", result.quant_convs) != result.quant_convs)
      fail(ExitCode::kModel, "the autoencoder's config.json: \"use_quant_conv\" and \"use_post_quant_conv\" differ; supported is both or none");
    if (const std::string activation = config.value("act_fn", std::string("silu")); activation != "silu")
      fail(ExitCode::kModel, "the autoencoder's config.json: \"act_fn\" is \"{}\"; supported is \"silu\"", activation);
    for (const auto& [key, type] : {std::pair{"down_block_types", "DownEncoderBlock2D"}, std::pair{"up_block_types", "UpDecoderBlock2D"}})
      if (const auto found = config.find(key); found != config.end() && *found != nlohmann::json(std::vector<std::string>(result.block_out_channels.size(), type)))
        fail(ExitCode::kModel, "the autoencoder's config.json: \"{}\" is {}; supported is \"{}\" on each of the {} levels", key, found->dump(), type,
             result.block_out_channels.size());
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::kModel, "the model's config.json is not an autoencoder's: {}", error.what());
  }
  const auto require = [](bool right, std::string_view key, int64_t value, std::string_view rule) {
    if (!right) fail(ExitCode::kModel, "the autoencoder's config.json: \"{}\" is {}; {}", key, value, rule);
  };
  const auto levels = static_cast<int64_t>(result.block_out_channels.size());
  require(levels >= 1 && levels <= 8, "block_out_channels", levels, "a list of 1 to 8 levels is supported");
  for (const auto& [key, channels] : {std::pair{"in_channels", result.in_channels}, std::pair{"out_channels", result.out_channels}, std::pair{"latent_channels", result.latent_channels}})
    require(channels >= 1 && channels <= 4096, key, channels, "1 to 4096 is allowed");
  require(result.layers_per_block >= 1 && result.layers_per_block <= 16, "layers_per_block", result.layers_per_block, "1 to 16 is allowed");
  require(result.sample_size >= 1 && result.sample_size <= 1 << 16, "sample_size", result.sample_size, "1 to 65536 is allowed");
  for (const int64_t channels : result.block_out_channels) {
    require(channels >= 1 && channels <= 1 << 16, "block_out_channels", channels, "1 to 65536 is allowed");
    require(result.norm_groups >= 1 && channels % result.norm_groups == 0, "norm_num_groups", result.norm_groups, "a divisor of every level's channels is needed");
  }
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
