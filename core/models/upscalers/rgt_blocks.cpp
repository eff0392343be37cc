#include "core/models/upscalers/rgt_blocks.h"

#include <ATen/core/grad_mode.h>

#include "kernels/layers.h"

namespace attelier {
namespace {

constexpr double kGammaStart = 1e-4;
constexpr double kBottleneckSlope = 0.2;

/// Counts changes in place.
int64_t version_of(const at::Tensor& tensor) { return tensor.is_inference() ? 0 : tensor._version(); }

nn::ConvolutionOptions depthwise(int64_t channels, int64_t stride, int64_t padding) { return {.stride = stride, .padding = padding, .groups = channels}; }

}  // namespace

PositionBias::PositionBias(int64_t channels, int64_t heads, int64_t height, int64_t width) : height_(height), width_(width) {
  const int64_t inner = channels / 4 / 4;
  for (int64_t i = 0; i < 4; ++i) {
    Layer& layer = layers_.emplace_back();
    const std::string name = i == 0 ? "pos_proj" : fmt::format("pos{}", i), norm = name + ".0", linear = i == 0 ? name : name + ".2";
    layer.weight.shape = {i == 3 ? heads : inner, i == 0 ? 2 : inner};
    layer.bias.shape = {layer.weight.shape[0]};
    if (i > 0) {
      layer.norm_weight.shape = layer.norm_bias.shape = {inner};
      add(norm + ".weight", layer.norm_weight);
      add(norm + ".bias", layer.norm_bias);
    }
    add(linear + ".weight", layer.weight);
    add(linear + ".bias", layer.bias);
  }
}

void PositionBias::initialise_own(at::Generator& generator) {
  Module::initialise_own(generator);
  for (size_t i = 1; i < layers_.size(); ++i) {
    layers_[i].norm_weight.value = at::ones(layers_[i].norm_weight.shape, at::kFloat);
    layers_[i].norm_bias.value = at::zeros(layers_[i].norm_bias.shape, at::kFloat);
  }
}

at::Tensor PositionBias::table() const {
  at::Tensor x = window_offsets(height_, width_).to(layers_[0].weight.value.options());
  for (const Layer& layer : layers_) {
    if (layer.norm_weight.value.defined()) x = at::relu(at::layer_norm(x, layer.norm_weight.shape, layer.norm_weight.value, layer.norm_bias.value));
    x = at::linear(x, layer.weight.value, layer.bias.value);
  }
  return x;
}

bool PositionBias::is_current() const {
  if (!whole_.defined() || at::GradMode::is_enabled()) return false;
  for (size_t i = 0; i < layers_.size(); ++i)
    if (!prepared_from_[i].is_same(layers_[i].weight.value) || version_of(layers_[i].weight.value) != versions_[i]) return false;
  return true;
}

at::Tensor PositionBias::forward(int64_t part_height, int64_t part_width) const {
  if (!is_current()) {
    const at::Tensor index = window_offset_index(height_, width_, part_height, part_width).to(layers_[0].weight.value.device());
    const at::Tensor bias = table().index_select(0, index.view(-1));
    return bias.view({index.size(0), index.size(1), -1}).permute({2, 0, 1});
  }
  const int64_t heads = whole_.size(0), cells = part_height * part_width;
  at::Tensor part = whole_;
  if (part_height < height_ || part_width < width_) {
    part = part.view({heads, height_, width_, height_, width_}).slice(1, 0, part_height).slice(2, 0, part_width).slice(3, 0, part_height).slice(4, 0, part_width);
    part = part.reshape({heads, cells, cells});
  }
  return part.transpose(1, 2);
}

void PositionBias::prepare_own() {
  whole_ = at::Tensor();
  whole_ = forward(height_, width_).transpose(1, 2).to(at::kFloat).contiguous();
  prepared_from_.clear();
  versions_.clear();
  for (const Layer& layer : layers_) {
    prepared_from_.push_back(layer.weight.value);
    versions_.push_back(version_of(layer.weight.value));
  }
}

LocalAttention::LocalAttention(const RgtConfig& config, int64_t heads, bool shifted)
    : heads_(heads), qkv_(config.embed_dim, 3 * config.embed_dim, config.qkv_bias), proj_(config.embed_dim, config.embed_dim),
      get_v_(config.embed_dim, config.embed_dim, 3, depthwise(config.embed_dim, 1, 1)) {
  add("qkv", qkv_);
  add("proj", proj_);
  const int64_t multiple = std::max(config.split_size[0], config.split_size[1]);
  for (size_t i = 0; i < 2; ++i) {
    layouts_[i] = {config.split_size[i], config.split_size[1 - i], multiple, shifted};
    positions_.emplace_back(config.embed_dim / 2, heads / 2, layouts_[i].height, layouts_[i].width);
    add(fmt::format("attns.{}.pos", i), positions_.back());
  }
  add("get_v", get_v_);
}

at::Tensor LocalAttention::forward(const at::Tensor& x, const at::Tensor& addend) const {
  const int64_t batches = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  const at::Tensor qkv = qkv_.forward(x);
  const at::Tensor beside = as_map(get_v_.forward(as_picture(qkv.narrow(3, 2 * channels, channels))));
  // [B, half of the heads, H, W, D] of q, k and v.
  const at::Tensor split = qkv.view({batches, height, width, 3, 2, heads_ / 2, channels / heads_}).permute({3, 4, 0, 5, 1, 2, 6});
  std::vector<at::Tensor> branches;
  for (int64_t i = 0; i < 2; ++i) {
    const PositionBias& position = positions_[static_cast<size_t>(i)];
    branches.push_back(attend_windows(split[0][i], split[1][i], split[2][i], layouts_[static_cast<size_t>(i)], [&](int64_t h, int64_t w) { return position.forward(h, w); }));
  }
  return proj_.forward(at::cat(branches, 3) + beside, addend);
}

RecursiveAttention::RecursiveAttention(const RgtConfig& config, int64_t heads, const std::string& path, int64_t index)
    : site_{"upscaler", path, index, AttentionKind::kVision, heads, config.representative_width() / heads}, heads_(heads),
      reduction1_(config.embed_dim, config.embed_dim, 4, depthwise(config.embed_dim, 4, 0)), dwconv_(config.embed_dim, config.embed_dim, 3, depthwise(config.embed_dim, 1, 1)),
      conv_(config.embed_dim, config.representative_width(), 1), norm_(config.representative_width()), q_(config.embed_dim, config.representative_width(), config.qkv_bias),
      k_(config.representative_width(), config.representative_width(), config.qkv_bias), v_(config.representative_width(), config.embed_dim, config.qkv_bias),
      proj_(config.embed_dim, config.embed_dim), cpe_(config.embed_dim, config.embed_dim, 3, depthwise(config.embed_dim, 1, 1)) {
  add("reduction1", reduction1_);
  add("dwconv", dwconv_);
  add("conv", conv_);
  add("norm_act.0", norm_);
  add("q", q_);
  add("k", k_);
  add("v", v_);
  add("cpe", cpe_);
  add("proj", proj_);
}

at::Tensor RecursiveAttention::representative_map(const at::Tensor& x, int64_t recursions) const {
  at::Tensor m = as_picture(x);
  for (int64_t i = 0; i < recursions; ++i) m = reduction1_.forward(m);
  return at::gelu(norm_.forward(as_map(conv_.forward(dwconv_.forward(m)))));
}

at::Tensor RecursiveAttention::forward(const at::Tensor& x, const at::Tensor& addend, int64_t recursions, const ForwardContext& context) const {
  const auto in_heads = [&](const at::Tensor& map) { return map.flatten(1, 2).unflatten(2, {heads_, map.size(3) / heads_}).transpose(1, 2); };  // [B,heads,N,D]
  const at::Tensor representatives = representative_map(x, recursions);  // [B,h,w,Cr]
  at::Tensor v = v_.forward(representatives);
  v = v + as_map(cpe_.forward(as_picture(v)));
  // The scale of q and k, 1/sqrt(their own width), is the layer's.
  const at::Tensor o = attend(site_, in_heads(q_.forward(x)), in_heads(k_.forward(representatives)), in_heads(v), context, x.size(1), x.size(2));
  return proj_.forward(o.transpose(1, 2).reshape(x.sizes()), addend);
}

GatedMlp::GatedMlp(const RgtConfig& config)
    : GatedMlp(config.embed_dim, static_cast<int64_t>(static_cast<double>(config.embed_dim) * config.mlp_ratio) / 2) {}

GatedMlp::GatedMlp(int64_t channels, int64_t half) : fc1_(channels, 2 * half), fc2_(half, channels), norm_(half), conv_(half, half, 3, depthwise(half, 1, 1)) {
  add("fc1", fc1_);
  add("sg.norm", norm_);
  add("sg.conv", conv_);
  add("fc2", fc2_);
}

at::Tensor GatedMlp::forward(const at::Tensor& x, const at::Tensor& addend) const {
  const std::vector<at::Tensor> halves = kernels::gelu(fc1_.forward(x)).chunk(2, 3);
  const at::Tensor gate = as_map(conv_.forward(as_picture(norm_.forward(halves[1]))));
  return fc2_.forward(halves[0] * gate, addend);
}

RgtBlock::RgtBlock(const RgtConfig& config, size_t group, int64_t block, int64_t index) : norm1_(config.embed_dim), norm2_(config.embed_dim), mlp_(config) {
  gamma_.shape = {config.embed_dim};
  add("gamma", gamma_);
  add("norm1", norm1_);
  const int64_t heads = config.num_heads[group];
  if (block % 2 == 0) {
    // Every second L-SA layer is shifted; which one changes from group to group.
    add("attn", local_.emplace(config, heads, block % 4 == (group % 2 == 0 ? 2 : 0)));
  } else {
    add("attn", recursive_.emplace(config, heads, fmt::format("layers.{}.blocks.{}.attn", group, block), index));
  }
  add("mlp", mlp_);
  add("norm2", norm2_);
}

void RgtBlock::initialise_own(at::Generator&) { gamma_.value = at::full(gamma_.shape, kGammaStart, at::kFloat); }

at::Tensor RgtBlock::forward(const at::Tensor& x, int64_t recursions, const ForwardContext& context) const {
  context.check_stop();
  const at::Tensor attended = local_ ? local_->forward(norm1_.forward(x), x) : recursive_->forward(norm1_.forward(x), x, recursions, context);
  context.check_stop();
  return at::addcmul(mlp_.forward(norm2_.forward(attended), attended), gamma_.value, x);
}

ResidualConvolution::ResidualConvolution(const RgtConfig& config) {
  const int64_t channels = config.embed_dim, narrow = channels / 4;
  const auto add_convolution = [&](const std::string& name, int64_t in, int64_t out, int64_t kernel) {
    add(name, convolutions_.emplace_back(in, out, kernel, nn::ConvolutionOptions{.padding = kernel / 2}));
  };
  if (config.resi_connection == "1conv") {
    add_convolution("", channels, channels, 3);
  } else {
    add_convolution("0", channels, narrow, 3);
    add_convolution("2", narrow, narrow, 1);
    add_convolution("4", narrow, channels, 3);
  }
}

at::Tensor ResidualConvolution::forward(const at::Tensor& x, const at::Tensor& addend) const {
  at::Tensor y = x;
  for (size_t i = 0; i + 1 < convolutions_.size(); ++i) y = at::leaky_relu(convolutions_[i].forward(y), kBottleneckSlope);
  return convolutions_.back().forward(y, addend);
}

}  // namespace attelier
