// What all vision backbones share: a picture in; logits, a pyramid of features and, where asked for, what their attention chose, out.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/attention/program.h"
#include "core/nn/module.h"
#include "kernels/regions.h"

namespace attelier {

struct BackboneOutputs {
  at::Tensor logits;                 // [B,K]; undefined where the model has no head
  std::vector<at::Tensor> features;  // of each stage, [B,C,h,w]
  /// What attention chose, under the names of the open bench: routed regions, learned windows. Empty unless asked for.
  std::vector<std::pair<std::string, at::Tensor>> records;
};

/// How the layers of a backbone attend: through the kernels or, where one is set, another form of the same (a benchmark's baseline).
struct AttentionForms {
  std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const kernels::RegionAttention& attention)> regions;
  std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)> dense;

  /// As kernels::attend_regions().
  at::Tensor attend_regions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const kernels::RegionAttention& attention) const;
  /// As attend().
  at::Tensor attend_all(const AttentionSite& site, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const ForwardContext& context,
                        int64_t grid_height = 0, int64_t grid_width = 0) const;
};

class Backbone : public nn::Module {
 public:
  /// image [B,3,H,W], already normalised, of the parameters' dtype and device. Throws Error(kBadInput) for sizes that the architecture does not take,
  /// Interrupted once a stop was requested.
  virtual BackboneOutputs forward(const at::Tensor& image, const ForwardContext& context, bool with_records = false) const = 0;
  /// Ends of names of buffers that checkpoints carry and the model computes itself.
  virtual std::vector<std::string> computed_buffers() const { return {}; }
  /// Multiply-adds of one picture in convolutions, linear layers and the products of attention and routing: what papers call FLOPs. 0 = not counted.
  virtual double multiply_adds(int64_t height, int64_t width) const;
  /// The side of the pictures that the model was made for.
  virtual int64_t picture_size() const { return 224; }

  /// Batch normalisation with the statistics of the batch, which then move the running ones. Off at first.
  void set_training(bool training) { training_ = training; }
  bool is_training() const { return training_; }
  void set_attention_forms(AttentionForms forms) { forms_ = std::move(forms); }

 protected:
  const AttentionForms& forms() const { return forms_; }

 private:
  bool training_ = false;
  AttentionForms forms_;
};

/// A model without weights of what config.json says: {"architecture": "biformer" | "vitaev2_vsa" | "vit", ... the arguments of the authors' constructors
/// under their own names}. Throws Error(kModel) with every impossible entry.
std::unique_ptr<Backbone> make_backbone(const nlohmann::json& config);

/// A model with its weights, prepared for inference unless that is not wanted. `path` as ModelFiles takes it; names may stand under a prefix, as "model",
/// "backbone" or "module". Throws Error(kModel).
std::unique_ptr<Backbone> load_backbone(const std::filesystem::path& path, at::Device device, at::ScalarType dtype, bool prepared = true);

}  // namespace attelier
