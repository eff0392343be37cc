// CLIPTextModel and CLIPTextModelWithProjection of transformers.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/attention/program.h"
#include "core/nn/module.h"

namespace attelier {

struct TextEncoderConfig {
  int64_t vocabulary = 49408;
  int64_t width = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t intermediate = 3072;
  int64_t positions = 77;
  int64_t projection = 0;  // 0 = CLIPTextModel, otherwise the width of text_embeds
  bool quick_gelu = true;  // hidden_act "quick_gelu", else erf "gelu"
  double layer_norm_epsilon = 1e-5;
  int64_t eos_token = 2;   // as configured; 2 is the legacy value meaning "the largest id"

  /// `with_projection` comes from "architectures".
  static TextEncoderConfig from_json(const nlohmann::json& config);
  nlohmann::json to_json() const;
};

struct TextEncoderOutput {
  at::Tensor last_hidden_state;            // [B, L, C], after the final layer norm
  std::vector<at::Tensor> hidden_states;   // embeddings, layer 1 .. layer N; no final layer norm
  at::Tensor pooled;                       // pooler_output [B, C], or text_embeds [B, P] with a projection
};

class TextEncoder : public nn::Module {
 public:
  explicit TextEncoder(const TextEncoderConfig& config, const std::string& name = "text_encoder");
  ~TextEncoder() override;
  /// ids i64 [B, L], L <= positions; mask [B, L] of 0/1 for padding, optional. Causal attention always.
  TextEncoderOutput forward(const at::Tensor& ids, const at::Tensor& mask = {}, const ForwardContext& context = {});
  /// final_layer_norm(hidden_states[-(clip_skip + 1)]), the prompt embedding of SD1 and SD2 with clip skip.
  at::Tensor final_norm(const at::Tensor& hidden) const;
  const TextEncoderConfig& config() const { return config_; }

 private:
  struct Layers;
  TextEncoderConfig config_;
  std::unique_ptr<Layers> layers_;
};

}  // namespace attelier
