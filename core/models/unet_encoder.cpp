#include "core/models/unet_encoder.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/nn/recompute.h"

namespace attelier {

void UNetLevel::add_resnet(int64_t in, int64_t out, const UNetConfig& config) {
  ResnetBlock& block = resnets.emplace_back(in, out, config.norm_groups, config.norm_epsilon, 4 * config.block_out_channels.front());
  add(fmt::format("resnets.{}", resnets.size() - 1), block);
}

void UNetLevel::add_attention(int64_t channels, int64_t heads, int64_t depth, const UNetConfig& config, const std::string& path, SiteNumbering& numbering) {
  const std::string name = fmt::format("attentions.{}", attentions.size());
  const SpatialTransformer::Shape shape{channels, heads, config.cross_attention_dim, depth, config.norm_groups, config.linear_projection};
  add(name, attentions.emplace_back(shape, path + "." + name, numbering));
}

void UNetLevel::add_downsampler(int64_t channels) { add("downsamplers.0", downsampler.emplace(channels, Downsampler::Padding::kBothSides)); }

void UNetLevel::add_upsampler(int64_t channels) { add("upsamplers.0", upsampler.emplace(channels)); }

at::Tensor UNetLevel::forward(size_t i, const at::Tensor& x, const at::Tensor& time, const at::Tensor& context_tokens, const ForwardContext& context) const {
  context.check_stop();
  if (context.recompute && c10::GradMode::is_enabled()) {
    ForwardContext plain;  // the backward pass comes when the caller's may be gone
    plain.stop = context.stop;
    return nn::recomputed([this, i, plain](const std::vector<at::Tensor>& inputs) { return forward(i, inputs[0], inputs[1], inputs[2], plain); }, {x, time, context_tokens});
  }
  const at::Tensor h = resnets[i].forward(x, time);
  return i < attentions.size() ? attentions[i].forward(h, context_tokens, context) : h;
}

void check_inputs(const UNetConfig& config, const UNetInputs& inputs) {
  const auto require = [](bool right, const char* name, const at::Tensor& tensor, const std::string& needed) {
    if (!right) fail(ExitCode::kBadInput, "{} has the shape [{}]; [{}] is needed", name, tensor.defined() ? fmt::format("{}", fmt::join(tensor.sizes(), ", ")) : "", needed);
  };
  const at::Tensor &sample = inputs.sample, &tokens = inputs.encoder_hidden_states, &text = inputs.text_embeds, &ids = inputs.time_ids;
  require(sample.defined() && sample.dim() == 4 && sample.size(1) == config.in_channels && sample.numel() > 0, "sample", sample,
          fmt::format("batch, {}, height, width", config.in_channels));
  const int64_t batch = sample.size(0);
  require(inputs.timestep.defined() && inputs.timestep.dim() == 1 && (inputs.timestep.size(0) == 1 || inputs.timestep.size(0) == batch), "timestep", inputs.timestep,
          fmt::format("1] or [{}", batch));
  require(tokens.defined() && tokens.dim() == 3 && tokens.size(0) == batch && tokens.size(1) > 0 && tokens.size(2) == config.cross_attention_dim, "encoder_hidden_states",
          tokens, fmt::format("{}, tokens, {}", batch, config.cross_attention_dim));
  if (inputs.guidance_embedding.defined())
    require(inputs.guidance_embedding.sizes() == at::IntArrayRef({batch, config.time_condition_dim}), "guidance_embedding", inputs.guidance_embedding,
            fmt::format("{}, {}", batch, config.time_condition_dim));
  if (!config.text_time_embedding) return;
  // Height, width, crop top, crop left, target height, target width; a refiner has five numbers.
  const int64_t width = text.defined() && text.dim() == 2 ? config.addition_input_dim - text.size(1) : 0;
  const int64_t numbers = width / config.addition_time_embed_dim;
  require(text.defined() && text.dim() == 2 && text.size(0) == batch && numbers >= 1 && numbers * config.addition_time_embed_dim == width, "text_embeds", text,
          fmt::format("{}, {}", batch, config.addition_input_dim - 6 * config.addition_time_embed_dim));
  require(ids.defined() && ids.sizes() == at::IntArrayRef({batch, numbers}), "time_ids", ids, fmt::format("{}, {}", batch, numbers));
}

UNetEncoder::UNetEncoder(const UNetConfig& config, SiteNumbering& numbering)
    : time_channels_(config.block_out_channels.front()),
      addition_channels_(config.addition_time_embed_dim),
      conv_in_(config.in_channels, time_channels_, 3, 1, 1),
      time_linear1_(time_channels_, 4 * time_channels_),
      time_linear2_(4 * time_channels_, 4 * time_channels_) {
  add("conv_in", conv_in_);
  add("time_embedding.linear_1", time_linear1_);
  add("time_embedding.linear_2", time_linear2_);
  if (config.time_condition_dim > 0) add("time_embedding.cond_proj", condition_.emplace(config.time_condition_dim, time_channels_, false));
  if (config.text_time_embedding) {
    add("add_embedding.linear_1", addition_linear1_.emplace(config.addition_input_dim, 4 * time_channels_));
    add("add_embedding.linear_2", addition_linear2_.emplace(4 * time_channels_, 4 * time_channels_));
  }
  int64_t channels = time_channels_;
  skip_channels_.push_back(channels);
  const size_t levels = config.block_out_channels.size();
  for (size_t i = 0; i < levels; ++i) {
    UNetLevel& level = down_blocks_.emplace_back();
    const std::string path = fmt::format("down_blocks.{}", i);
    const int64_t out = config.block_out_channels[i];
    for (int64_t j = 0; j < config.layers_per_block; ++j) {
      level.add_resnet(channels, out, config);
      if (config.down_attention[i]) level.add_attention(out, config.heads[i], config.transformer_layers[i], config, path, numbering);
      skip_channels_.push_back(channels = out);
    }
    if (i + 1 < levels) {
      level.add_downsampler(channels);
      skip_channels_.push_back(channels);
    }
    add(path, level);
  }
  mid_block_.add_resnet(channels, channels, config);
  mid_block_.add_attention(channels, config.heads.back(), config.transformer_layers.back(), config, "mid_block", numbering);
  mid_block_.add_resnet(channels, channels, config);
  add("mid_block", mid_block_);
}

at::Tensor UNetEncoder::embed_time(const UNetInputs& inputs) const {
  const int64_t batch = inputs.sample.size(0);
  const at::Device device = inputs.sample.device();
  at::Tensor features = nn::sinusoidal_embedding(inputs.timestep.to(device).expand({batch}), time_channels_).to(dtype());
  if (condition_ && inputs.guidance_embedding.defined()) features = features + condition_->forward(inputs.guidance_embedding.to(device, dtype()));
  at::Tensor time = time_linear2_.forward(activate(time_linear1_.forward(features)));
  if (addition_linear1_) {
    const at::Tensor ids = nn::sinusoidal_embedding(inputs.time_ids.to(device).flatten(), addition_channels_).reshape({inputs.time_ids.size(0), -1});
    const at::Tensor addition = at::cat({inputs.text_embeds.to(device, dtype()), ids.to(dtype())}, 1);
    time = time + addition_linear2_->forward(activate(addition_linear1_->forward(addition)));
  }
  return activate(time);
}

std::vector<at::Tensor> UNetEncoder::down(const UNetInputs& inputs, const at::Tensor& added, const at::Tensor& time, const ForwardContext& context) const {
  at::Tensor x = conv_in_.forward(inputs.sample);
  if (added.defined()) x = x + added;
  std::vector<at::Tensor> skips = {x};
  for (const UNetLevel& level : down_blocks_) {
    for (size_t j = 0; j < level.resnets.size(); ++j) skips.push_back(x = level.forward(j, x, time, inputs.encoder_hidden_states, context));
    if (level.downsampler) skips.push_back(x = level.downsampler->forward(x));
  }
  return skips;
}

at::Tensor UNetEncoder::middle(const at::Tensor& x, const at::Tensor& time, const at::Tensor& context_tokens, const ForwardContext& context) const {
  return mid_block_.forward(1, mid_block_.forward(0, x, time, context_tokens, context), time, context_tokens, context);
}

}  // namespace attelier
