// Low-rank adapters (Hu et al. 2021): y = W x + m s up(down(x)), merged into the weights or added at run time.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/nn/module.h"

namespace attelier {

/// One layer's addition. down [r, in] or [r, in, k, k], up [out, r] or [out, r, 1, 1]; a middle tensor (LyCORIS) is folded into `down`.
struct LoraLayer {
  std::string key;  // of the file, without the ending that names the tensor
  at::Tensor down, up;
  double scale = 1;  // alpha / rank; 1 where the file has no alpha or 0
};

/// A LoRA file in one of the dialects
///   kohya          lora_unet_down_blocks_0_..._to_q.lora_down.weight, also with the block names of CompVis and sgm; lora_te_, lora_te1_, lora_te2_
///   diffusers      unet....attn1.to_q.lora.down.weight, text_encoder....q_proj.lora_linear_layer.down.weight
///   diffusers old  [unet.]...attn1.processor.to_q_lora.down.weight
///   PEFT           [base_model.model.][unet.]...attn1.to_q.lora_A.weight; alpha from the file's metadata or from adapter_config.json beside it
/// DoRA, LoHa, LoKr, OFT and full differences are recognised and refused. All errors are Error(kModel).
class Lora {
 public:
  /// `path` is the file, or a folder with pytorch_lora_weights.safetensors or adapter_model.safetensors.
  static Lora open(const std::filesystem::path& path);
  /// True if the names of an opened file are those of a LoRA (of any kind).
  static bool recognise(const std::vector<std::string>& names);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<LoraLayer>& layers() const { return layers_; }

 private:
  std::filesystem::path path_;
  std::vector<LoraLayer> layers_;
};

/// A model that a LoRA may change, under its component's name: "unet", "text_encoder", "text_encoder_2", "controlnet".
struct LoraTarget {
  std::string component;
  nn::Module* module = nullptr;
};

struct LoraUse {
  const Lora* lora = nullptr;
  double weight = 1;
  bool ignore_alpha = false;  // scale 1 whatever the file says, as AnimateDiff's motion LoRAs are merged
};

enum class LoraMode {
  kMerged,   // into the weights: in float32, then cast. Costs nothing per step
  kRunTime,  // beside the weights, for quantised weights or a LoRA that changes between steps
};

/// What one LoRA did.
struct LoraReport {
  size_t applied = 0;                  // layers
  std::vector<std::string> unmatched;  // keys of layers that none of the targets has
  /// The message for the user, empty if every layer was used.
  std::string warning(const Lora& lora) const;
};

/// LoRAs on a model, until remove() or the end of this object puts every weight back as it was, bit for bit. The targets must live as long.
class AppliedLoras {
 public:
  AppliedLoras();
  /// Applies all of `uses` together: the sum of all additions is formed in float32. Linear and Conv2d layers, 1x1 convolutions for linear layers
  /// and back. A weight of 0 leaves the model untouched. Throws before anything is changed if a tensor does not fit its layer, is not finite, or if
  /// a LoRA fits no layer at all.
  AppliedLoras(const std::vector<LoraTarget>& targets, const std::vector<LoraUse>& uses, LoraMode mode);
  ~AppliedLoras();
  AppliedLoras(AppliedLoras&& other) noexcept;
  AppliedLoras& operator=(AppliedLoras&& other) noexcept;

  void remove();
  /// One per use, in order.
  const std::vector<LoraReport>& reports() const { return reports_; }

 private:
  struct Change;
  std::vector<Change> changes_;
  std::vector<LoraReport> reports_;
};

}  // namespace attelier
