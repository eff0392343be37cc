#include "core/models/spatial_transformer.h"

#include <fmt/format.h>

#include "kernels/layers.h"

namespace attelier {

AttentionSite SiteNumbering::next(std::string path, AttentionKind kind, int64_t heads, int64_t head_width) {
  AttentionSite site{model_, std::move(path), static_cast<int64_t>(sites_.size()), kind, heads, head_width};
  sites_.push_back(site);
  return site;
}

TokenAttention::TokenAttention(int64_t channels, int64_t context_channels, AttentionSite site)
    : site_(std::move(site)),
      to_q_(channels, channels, false),
      to_k_(context_channels, channels, false),
      to_v_(context_channels, channels, false),
      to_out_(channels, channels) {
  add("to_q", to_q_);
  add("to_k", to_k_);
  add("to_v", to_v_);
  add("to_out.0", to_out_);
}

at::Tensor TokenAttention::forward(const at::Tensor& tokens, const at::Tensor& context_tokens, const at::Tensor& residual, const ForwardContext& context,
                                   int64_t height, int64_t width) const {
  const auto heads = [&](const at::Tensor& x) { return x.unflatten(2, {site_.heads, site_.head_width}).transpose(1, 2); };  // [B, H, L, D]
  const at::Tensor o = attend(site_, heads(to_q_.forward(tokens)), heads(to_k_.forward(context_tokens)), heads(to_v_.forward(context_tokens)), context,
                              height, width);
  return to_out_.forward(o.transpose(1, 2).flatten(2), residual);
}

GatedFeedForward::GatedFeedForward(int64_t channels) : project_(channels, 8 * channels), out_(4 * channels, channels) {
  add("net.0.proj", project_);
  add("net.2", out_);
}

at::Tensor GatedFeedForward::forward(const at::Tensor& tokens, const at::Tensor& residual) const {
  return out_.forward(kernels::gated_gelu(project_.forward(tokens)), residual);
}

TransformerBlock::TransformerBlock(int64_t channels, int64_t heads, int64_t context_channels, const std::string& path, SiteNumbering& numbering)
    : norm1_(channels),
      norm2_(channels),
      norm3_(channels),
      attn1_(channels, channels, numbering.next(path + ".attn1", AttentionKind::kSelf, heads, channels / heads)),
      attn2_(channels, context_channels, numbering.next(path + ".attn2", AttentionKind::kCross, heads, channels / heads)),
      feed_forward_(channels) {
  add("norm1", norm1_);
  add("attn1", attn1_);
  add("norm2", norm2_);
  add("attn2", attn2_);
  add("norm3", norm3_);
  add("ff", feed_forward_);
}

at::Tensor TransformerBlock::forward(at::Tensor tokens, const at::Tensor& context_tokens, const ForwardContext& context, int64_t height,
                                     int64_t width) const {
  const at::Tensor normed = norm1_.forward(tokens);
  tokens = attn1_.forward(normed, normed, tokens, context, height, width);
  tokens = attn2_.forward(norm2_.forward(tokens), context_tokens, tokens, context, height, width);
  context.check_stop();
  return feed_forward_.forward(norm3_.forward(tokens), tokens);
}

SpatialTransformer::SpatialTransformer(const Shape& shape, const std::string& path, SiteNumbering& numbering)
    : linear_(shape.linear_projection), norm_(shape.groups, shape.channels, 1e-6) {
  add("norm", norm_);
  const int64_t channels = shape.channels;
  if (linear_) {
    add("proj_in", proj_in_.emplace(channels, channels));
  } else {
    add("proj_in", conv_in_.emplace(channels, channels, 1));
  }
  for (int64_t i = 0; i < shape.depth; ++i) {
    const std::string name = fmt::format("transformer_blocks.{}", i);
    add(name, blocks_.emplace_back(channels, shape.heads, shape.context_channels, path + "." + name, numbering));
  }
  if (linear_) {
    add("proj_out", proj_out_.emplace(channels, channels));
  } else {
    add("proj_out", conv_out_.emplace(channels, channels, 1));
  }
}

at::Tensor SpatialTransformer::forward(const at::Tensor& x, const at::Tensor& context_tokens, const ForwardContext& context) const {
  const int64_t height = x.size(2), width = x.size(3);
  const auto to_tokens = [](const at::Tensor& map) { return map.permute({0, 2, 3, 1}).flatten(1, 2); };  // [B, hw, C], token y * w + x
  const auto to_map = [&](const at::Tensor& tokens) { return tokens.unflatten(1, {height, width}).permute({0, 3, 1, 2}); };
  const at::Tensor normed = norm_.forward(x);
  at::Tensor tokens = linear_ ? proj_in_->forward(to_tokens(normed)) : to_tokens(conv_in_->forward(normed));
  for (const TransformerBlock& block : blocks_) tokens = block.forward(tokens, context_tokens, context, height, width);
  return linear_ ? to_map(proj_out_->forward(tokens, to_tokens(x))) : conv_out_->forward(to_map(tokens), x);
}

}  // namespace attelier
