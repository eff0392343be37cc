#include "core/models/unet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/models/unet_encoder.h"

namespace attelier {
namespace {

at::Tensor plus(const at::Tensor& x, const at::Tensor& residual, const std::string& name) {
  if (residual.sizes() != x.sizes())
    fail(ExitCode::kBadInput, "{} has the shape [{}]; [{}] is needed", name, fmt::join(residual.sizes(), ", "), fmt::join(x.sizes(), ", "));
  return x + residual;
}

}  // namespace

struct UNet::Layers {
  Layers(const UNetConfig& config, const std::string& name)
      : numbering(name),
        encoder(config, numbering),
        conv_norm_out(config.norm_groups, config.block_out_channels.front(), config.norm_epsilon),
        conv_out(config.block_out_channels.front(), config.out_channels, 3, 1, 1) {
    std::vector<int64_t> skips = encoder.skip_channels();
    const size_t levels = config.block_out_channels.size();
    int64_t channels = config.block_out_channels.back();
    for (size_t i = 0; i < levels; ++i) {
      const size_t down = levels - 1 - i;  // the level of the down path with the same resolution
      const int64_t out = config.block_out_channels[down];
      const std::string path = fmt::format("up_blocks.{}", i);
      UNetLevel& level = up_blocks.emplace_back();
      for (int64_t j = 0; j <= config.layers_per_block; ++j) {
        level.add_resnet(channels + skips.back(), out, config);
        skips.pop_back();
        if (config.up_attention[i]) level.add_attention(out, config.heads[down], config.transformer_layers[down], config, path, numbering);
        channels = out;
      }
      if (i + 1 < levels) level.add_upsampler(channels);
    }
  }

  SiteNumbering numbering;
  UNetEncoder encoder;
  std::deque<UNetLevel> up_blocks;
  nn::GroupNorm conv_norm_out;
  nn::Conv2d conv_out;
};

UNet::UNet(const UNetConfig& config, const std::string& name) : config_(config), layers_(std::make_unique<Layers>(config, name)) {
  add("", layers_->encoder);
  for (size_t i = 0; i < layers_->up_blocks.size(); ++i) add(fmt::format("up_blocks.{}", i), layers_->up_blocks[i]);
  add("conv_norm_out", layers_->conv_norm_out);
  add("conv_out", layers_->conv_out);
}

UNet::~UNet() = default;

std::vector<AttentionSite> UNet::sites() const { return layers_->numbering.sites(); }

at::Tensor UNet::forward(const UNetInputs& inputs, const ForwardContext& context) {
  check_inputs(config_, inputs);
  const at::Tensor& tokens = inputs.encoder_hidden_states;
  const at::Tensor time = layers_->encoder.embed_time(inputs);
  std::vector<at::Tensor> skips = layers_->encoder.down(inputs, {}, time, context);
  at::Tensor x = layers_->encoder.middle(skips.back(), time, tokens, context);
  if (!inputs.down_residuals.empty()) {
    if (inputs.down_residuals.size() != skips.size())
      fail(ExitCode::kBadInput, "{} ControlNet residuals were given; this UNet has {} skips", inputs.down_residuals.size(), skips.size());
    for (size_t i = 0; i < skips.size(); ++i) skips[i] = plus(skips[i], inputs.down_residuals[i], fmt::format("down_block_additional_residuals.{}", i));
  }
  if (inputs.mid_residual.defined()) x = plus(x, inputs.mid_residual, "mid_block_additional_residual");
  for (const UNetLevel& level : layers_->up_blocks) {
    for (size_t j = 0; j < level.resnets.size(); ++j) {
      const at::Tensor joined = at::cat({x, skips.back()}, 1);
      skips.pop_back();
      x = level.forward(j, joined, time, tokens, context);
    }
    // Odd sizes: the skip says how large the next level is.
    if (level.upsampler) x = level.upsampler->forward(x, skips.back().size(2), skips.back().size(3));
  }
  return layers_->conv_out.forward(layers_->conv_norm_out.forward_silu(x));
}

}  // namespace attelier
