// ControlNetModel of diffusers (Zhang et al. 2023, "Adding Conditional Control to Text-to-Image Diffusion Models").
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "core/base/error.h"
#include "core/models/unet_encoder.h"

namespace attelier {
namespace {

/// A picture [B, 3, H, W] to features [B, C0, H/8, W/8]: pairs of convolutions, the second of each with stride 2.
struct PictureEmbedding : nn::Module {
  PictureEmbedding(const ControlNetConfig& config)
      : conv_in(config.picture_channels, config.conditioning_channels.front(), 3, 1, 1),
        conv_out(config.conditioning_channels.back(), config.unet.block_out_channels.front(), 3, 1, 1) {
    add("conv_in", conv_in);
    const std::vector<int64_t>& channels = config.conditioning_channels;
    for (size_t i = 0; i + 1 < channels.size(); ++i) {
      add(fmt::format("blocks.{}", 2 * i), blocks.emplace_back(channels[i], channels[i], 3, 1, 1));
      add(fmt::format("blocks.{}", 2 * i + 1), blocks.emplace_back(channels[i], channels[i + 1], 3, 2, 1));
    }
    add("conv_out", conv_out);
  }
  at::Tensor forward(const at::Tensor& picture) const {
    at::Tensor x = activate(conv_in.forward(picture));
    for (const nn::Conv2d& block : blocks) x = activate(block.forward(x));
    return conv_out.forward(x);
  }
  nn::Conv2d conv_in;
  std::deque<nn::Conv2d> blocks;
  nn::Conv2d conv_out;
};

}  // namespace

struct ControlNet::Layers {
  Layers(const ControlNetConfig& config, const std::string& name) : numbering(name), encoder(config.unet, numbering), picture(config), mid(mid_channels(config), mid_channels(config), 1) {
    for (const int64_t channels : encoder.skip_channels()) down.emplace_back(channels, channels, 1);
  }
  static int64_t mid_channels(const ControlNetConfig& config) { return config.unet.block_out_channels.back(); }

  SiteNumbering numbering;
  UNetEncoder encoder;
  PictureEmbedding picture;
  std::deque<nn::Conv2d> down;
  nn::Conv2d mid;
};

ControlNet::ControlNet(const ControlNetConfig& config, const std::string& name) : config_(config), layers_(std::make_unique<Layers>(config, name)) {
  add("", layers_->encoder);
  add("controlnet_cond_embedding", layers_->picture);
  for (size_t i = 0; i < layers_->down.size(); ++i) add(fmt::format("controlnet_down_blocks.{}", i), layers_->down[i]);
  add("controlnet_mid_block", layers_->mid);
}

ControlNet::~ControlNet() = default;

ControlNetResiduals ControlNet::forward(const UNetInputs& inputs, const at::Tensor& picture, double scale, bool guess_mode, const ForwardContext& context) {
  check_inputs(config_.unet, inputs);
  const int64_t factor = int64_t{1} << (config_.conditioning_channels.size() - 1);
  if (picture.dim() != 4 || picture.size(0) != inputs.sample.size(0) || picture.size(1) != config_.picture_channels || picture.size(2) != factor * inputs.sample.size(2) ||
      picture.size(3) != factor * inputs.sample.size(3))
    fail(ExitCode::kBadInput, "controlnet_cond has the shape [{}]; [{}, {}, {}, {}] is needed", fmt::join(picture.sizes(), ", "), inputs.sample.size(0),
         config_.picture_channels, factor * inputs.sample.size(2), factor * inputs.sample.size(3));
  const UNetEncoder& encoder = layers_->encoder;
  const at::Tensor ordered = (config_.bgr ? picture.flip(1) : picture).to(inputs.sample.device(), encoder.dtype());
  const at::Tensor time = encoder.embed_time(inputs);
  ControlNetResiduals residuals;
  residuals.down = encoder.down(inputs, layers_->picture.forward(ordered), time, context);
  residuals.mid = layers_->mid.forward(encoder.middle(residuals.down.back(), time, inputs.encoder_hidden_states, context));
  const size_t last = residuals.down.size();  // the index of the middle
  const auto factor_of = [&](size_t i) { return guess_mode ? scale * std::pow(10.0, -1.0 + static_cast<double>(i) / static_cast<double>(last)) : scale; };
  for (size_t i = 0; i < last; ++i) residuals.down[i] = layers_->down[i].forward(residuals.down[i]) * factor_of(i);
  residuals.mid = residuals.mid * factor_of(last);
  return residuals;
}

}  // namespace attelier
