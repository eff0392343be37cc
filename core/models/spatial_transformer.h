// Transformer2DModel of diffusers: self-attention, cross-attention and a gated feed-forward over the pixels of a feature map.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "core/attention/program.h"
#include "core/nn/layers.h"

namespace attelier {

/// Gives every attention layer of a model its address; layers ask in their order of execution.
class SiteNumbering {
 public:
  explicit SiteNumbering(std::string model) : model_(std::move(model)) {}
  AttentionSite next(std::string path, AttentionKind kind, int64_t heads, int64_t head_width);
  const std::vector<AttentionSite>& sites() const { return sites_; }

 private:
  std::string model_;
  std::vector<AttentionSite> sites_;
};

/// Multi-head attention of tokens [B, L, C] over themselves or a context [B, S, Cc], plus a residual [B, L, C].
class TokenAttention : public nn::Module {
 public:
  TokenAttention(int64_t channels, int64_t context_channels, AttentionSite site);
  at::Tensor forward(const at::Tensor& tokens, const at::Tensor& context_tokens, const at::Tensor& residual, const ForwardContext& context, int64_t height,
                     int64_t width) const;

 private:
  AttentionSite site_;
  nn::Linear to_q_, to_k_, to_v_, to_out_;
};

/// value * gelu(gate), C -> 4C -> C, plus a residual. Value comes first in the projection.
class GatedFeedForward : public nn::Module {
 public:
  explicit GatedFeedForward(int64_t channels);
  at::Tensor forward(const at::Tensor& tokens, const at::Tensor& residual) const;

 private:
  nn::Linear project_, out_;
};

class TransformerBlock : public nn::Module {
 public:
  TransformerBlock(int64_t channels, int64_t heads, int64_t context_channels, const std::string& path, SiteNumbering& numbering);
  at::Tensor forward(at::Tensor tokens, const at::Tensor& context_tokens, const ForwardContext& context, int64_t height, int64_t width) const;

 private:
  nn::LayerNorm norm1_, norm2_, norm3_;
  TokenAttention attn1_, attn2_;
  GatedFeedForward feed_forward_;
};

/// x [B, C, h, w] -> the same shape, residual included.
class SpatialTransformer : public nn::Module {
 public:
  struct Shape {
    int64_t channels = 0, heads = 1, context_channels = 0, depth = 1, groups = 32;
    bool linear_projection = false;  // else 1x1 convolutions; the same arithmetic on other weight shapes
  };
  SpatialTransformer(const Shape& shape, const std::string& path, SiteNumbering& numbering);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& context_tokens, const ForwardContext& context) const;

 private:
  bool linear_;
  nn::GroupNorm norm_;
  std::optional<nn::Linear> proj_in_, proj_out_;
  std::optional<nn::Conv2d> conv_in_, conv_out_;
  std::deque<TransformerBlock> blocks_;
};

}  // namespace attelier
