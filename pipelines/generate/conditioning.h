// What `generate` hands the UNet beside the latent: prompts, SDXL's sizes, LoRAs and ControlNets.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "core/diffusion/denoise.h"
#include "core/weights/lora.h"
#include "pipelines/generate/settings.h"

namespace attelier {

/// LoRAs merged into the model, until the end of this object, and the ControlNets of the job. The model is left as it was, also by an exception.
class AddOns {
 public:
  AddOns(const MethodJob& job, const GenerateSettings& settings, const Context& context);
  ~AddOns();
  AddOns(const AddOns&) = delete;
  AddOns& operator=(const AddOns&) = delete;
  /// One guide per ControlNet with its picture [1, 3, H, W].
  std::vector<ControlNetGuide> guides(const GenerateSettings& settings, const std::vector<at::Tensor>& pictures) const;

 private:
  void merge_loras(const MethodJob& job, const GenerateSettings& settings, const Context& context);
  void restore();

  std::deque<Lora> loras_;
  std::vector<LoraTarget> targets_;
  AppliedLoras applied_;
  std::vector<std::unique_ptr<ControlNet>> nets_;
};

/// The conditioning of one picture: one row, or [unconditional, conditional]. Warns of text that did not fit. `program` acts in the text encoders while
/// they read the prompt; null for none.
Conditioning make_conditioning(const MethodJob& job, const GenerateSettings& settings, const Context& context, AttentionProgram* program = nullptr);

/// The same for `pictures` of one prompt: [unconditional x B, conditional x B].
Conditioning repeat(const Conditioning& one, int64_t pictures);

}  // namespace attelier
