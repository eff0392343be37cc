// The vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) as transformers' ViTForImageClassification has it.
#pragma once

#include "core/models/backbones/backbone.h"

namespace attelier {

struct ViTConfig {
  int64_t image_size = 224, patch_size = 16, num_channels = 3;
  int64_t hidden_size = 768, num_hidden_layers = 12, num_attention_heads = 12, intermediate_size = 3072;
  int64_t num_labels = 2;  // of id2label, or num_labels; 0: no classifier
  double layer_norm_eps = 1e-12;
  bool qkv_bias = true;

  /// config.json as transformers writes it. Refused: activations other than gelu, and rectangular image or patch sizes. Throws Error(kModel).
  static ViTConfig from_json(const nlohmann::json& config);
  nlohmann::json to_json() const;
  int64_t grid() const { return image_size / patch_size; }
};

/// Pictures of any size: position embeddings are interpolated as transformers' interpolate_pos_encoding does, and what is left of a patch is cut off.
/// Every layer's attention is a site of the kind kVision; its first token is the class token, the others are the grid's. Features: one map, the patch
/// tokens after the last norm.
class ViT : public Backbone {
 public:
  explicit ViT(const ViTConfig& config);
  ~ViT() override;
  BackboneOutputs forward(const at::Tensor& image, const ForwardContext& context, bool with_records = false) const override;
  double multiply_adds(int64_t height, int64_t width) const override;
  int64_t picture_size() const override { return config_.image_size; }
  const ViTConfig& config() const { return config_; }

 private:
  struct Layers;
  ViTConfig config_;
  std::unique_ptr<Layers> layers_;
};

std::unique_ptr<Backbone> make_vit(const nlohmann::json& config);

}  // namespace attelier
