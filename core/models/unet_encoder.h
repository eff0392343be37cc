// The half of a UNet that a ControlNet copies: time embedding, down path and middle.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/models/residual_blocks.h"
#include "core/models/spatial_transformer.h"
#include "core/models/unet.h"

namespace attelier {

/// A resolution of the UNet: ResNets, each followed by a transformer where the config says so.
struct UNetLevel : nn::Module {
  std::deque<ResnetBlock> resnets;
  std::deque<SpatialTransformer> attentions;
  std::optional<Downsampler> downsampler;
  std::optional<Upsampler> upsampler;

  void add_resnet(int64_t in, int64_t out, const UNetConfig& config);
  void add_attention(int64_t channels, int64_t heads, int64_t depth, const UNetConfig& config, const std::string& path, SiteNumbering& numbering);
  void add_downsampler(int64_t channels);
  void add_upsampler(int64_t channels);
  /// ResNet `i` and its transformer.
  at::Tensor forward(size_t i, const at::Tensor& x, const at::Tensor& time, const at::Tensor& context_tokens, const ForwardContext& context) const;
};

/// Checks the shapes of everything that a UNet or ControlNet reads. Throws Error(kBadInput) with the tensor's name, its shape and the needed one.
void check_inputs(const UNetConfig& config, const UNetInputs& inputs);

/// The parameters carry the UNet's own names: the encoder is registered without a prefix.
class UNetEncoder : public nn::Module {
 public:
  UNetEncoder(const UNetConfig& config, SiteNumbering& numbering);
  /// SiLU of the embedding of time (and of SDXL's sizes) [B, 4 C0], in the weights' dtype.
  at::Tensor embed_time(const UNetInputs& inputs) const;
  /// conv_in, plus `added` [B, C0, h, w] (the ControlNet's picture), then the down path: every skip in order.
  std::vector<at::Tensor> down(const UNetInputs& inputs, const at::Tensor& added, const at::Tensor& time, const ForwardContext& context) const;
  at::Tensor middle(const at::Tensor& x, const at::Tensor& time, const at::Tensor& context_tokens, const ForwardContext& context) const;
  /// Channels of the skips in order.
  const std::vector<int64_t>& skip_channels() const { return skip_channels_; }
  at::ScalarType dtype() const { return conv_in_.weight.value.scalar_type(); }

 private:
  int64_t time_channels_, addition_channels_;
  nn::Conv2d conv_in_;
  nn::Linear time_linear1_, time_linear2_;
  std::optional<nn::Linear> condition_, addition_linear1_, addition_linear2_;
  std::deque<UNetLevel> down_blocks_;
  UNetLevel mid_block_;
  std::vector<int64_t> skip_channels_;
};

}  // namespace attelier
