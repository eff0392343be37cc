// The convolutional blocks that the UNet, ControlNet and autoencoder share.
#pragma once

#include <deque>
#include <optional>

#include "core/nn/layers.h"

namespace attelier {

/// SiLU of a tensor that nobody else reads: in place unless a graph is being recorded.
at::Tensor activate(at::Tensor x);

/// conv2(silu(norm2(conv1(silu(norm1(x))) + time))) + shortcut(x); x [B, in, h, w] -> [B, out, h, w].
class ResnetBlock : public nn::Module {
 public:
  /// `time_width` is the width of the time embedding, 0 for a block without one (autoencoder).
  ResnetBlock(int64_t in, int64_t out, int64_t groups, double epsilon, int64_t time_width = 0);
  /// `time` [B, time_width] is the embedding after its SiLU.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& time = {}) const;

 private:
  nn::GroupNorm norm1_, norm2_;
  nn::Conv2d conv1_, conv2_;
  std::optional<nn::Linear> time_emb_proj_;
  std::optional<nn::Conv2d> conv_shortcut_;
};

/// Halves the sides. The UNet pads both sides by one, the autoencoder only right and bottom.
class Downsampler : public nn::Module {
 public:
  enum class Padding { kBothSides, kRightAndBottom };
  Downsampler(int64_t channels, Padding padding);
  at::Tensor forward(const at::Tensor& x) const;

 private:
  Padding padding_;
  nn::Conv2d conv_;
};

/// Nearest neighbour to twice the sides, or to the given ones, then a 3x3 convolution.
class Upsampler : public nn::Module {
 public:
  explicit Upsampler(int64_t channels);
  at::Tensor forward(const at::Tensor& x, int64_t height = 0, int64_t width = 0) const;

 private:
  nn::Conv2d conv_;
};

}  // namespace attelier
