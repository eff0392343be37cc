// UNet2DConditionModel of diffusers: SD1.x, SD2.x, SDXL and their inpainting variants, from one config.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/attention/program.h"
#include "core/nn/module.h"

namespace attelier {

/// config.json of a UNet, resolved once: per-level lists, real head counts. Errors name the key and the value (Error(kModel)).
struct UNetConfig {
  int64_t in_channels = 4, out_channels = 4;
  int64_t sample_size = 64;
  std::vector<int64_t> block_out_channels = {320, 640, 1280, 1280};
  std::vector<bool> down_attention = {true, true, true, false};  // CrossAttnDownBlock2D or DownBlock2D
  std::vector<bool> up_attention = {false, true, true, true};
  int64_t layers_per_block = 2;
  std::vector<int64_t> transformer_layers = {1, 1, 1, 1};  // per down level
  std::vector<int64_t> heads = {8, 8, 8, 8};               // the config's `attention_head_dim`: a count of heads
  int64_t cross_attention_dim = 768;
  int64_t norm_groups = 32;
  double norm_epsilon = 1e-5;
  bool linear_projection = false;
  bool text_time_embedding = false;  // SDXL: addition_embed_type == "text_time"
  int64_t addition_time_embed_dim = 256;
  int64_t addition_input_dim = 2816;      // projection_class_embeddings_input_dim
  int64_t time_condition_dim = 0;         // time_cond_proj_dim; 0 = none

  static UNetConfig from_json(const nlohmann::json& config);
  nlohmann::json to_json() const;
};

/// Everything beside the latent. timestep: one value for all rows or one per row.
struct UNetInputs {
  at::Tensor sample;                // [B, Cin, h, w]
  at::Tensor timestep;              // [1] or [B], any numeric dtype
  at::Tensor encoder_hidden_states; // [B, S, C]
  at::Tensor text_embeds;           // SDXL: [B, P]
  at::Tensor time_ids;              // SDXL: [B, 6]
  at::Tensor guidance_embedding;    // LCM: [B, time_condition_dim], optional
  std::vector<at::Tensor> down_residuals;  // ControlNet, one per skip, optional
  at::Tensor mid_residual;
};

class UNet : public nn::Module {
 public:
  /// `name` is the model part of its sites' addresses.
  explicit UNet(const UNetConfig& config, const std::string& name = "unet");
  ~UNet() override;
  /// The prediction [B, Cout, h, w]. Odd sizes keep their size. Differentiable when `context.program` is null.
  at::Tensor forward(const UNetInputs& inputs, const ForwardContext& context);
  const UNetConfig& config() const { return config_; }
  /// All attention sites in order of execution.
  std::vector<AttentionSite> sites() const;

 private:
  struct Layers;
  UNetConfig config_;
  std::unique_ptr<Layers> layers_;
};

/// The copy of the UNet's down and mid path that turns a picture into residuals.
struct ControlNetConfig {
  UNetConfig unet;  // `in_channels` and the down path are used
  std::vector<int64_t> conditioning_channels = {16, 32, 96, 256};
  int64_t picture_channels = 3;
  bool bgr = false;  // controlnet_conditioning_channel_order

  static ControlNetConfig from_json(const nlohmann::json& config);
  nlohmann::json to_json() const;
};

struct ControlNetResiduals {
  std::vector<at::Tensor> down;
  at::Tensor mid;
};

class ControlNet : public nn::Module {
 public:
  explicit ControlNet(const ControlNetConfig& config, const std::string& name = "controlnet");
  ~ControlNet() override;
  /// `picture` [B, 3, H, W] in [0,1]; every residual is multiplied by `scale` (in guess mode by 10^(-1 + i/n) as well).
  ControlNetResiduals forward(const UNetInputs& inputs, const at::Tensor& picture, double scale, bool guess_mode, const ForwardContext& context);
  const ControlNetConfig& config() const { return config_; }

 private:
  struct Layers;
  ControlNetConfig config_;
  std::unique_ptr<Layers> layers_;
};

}  // namespace attelier
