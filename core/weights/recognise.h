// Configs and families read off the shapes of tensors, for files that come without a config.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/weights/tensor_file.h"

namespace attelier {

/// What no tensor of a component tells, but the family of the whole model.
struct RecognisedDefaults {
  std::string family;               // empty: a component alone
  int64_t sample_size = 64;         // of the UNet, in latents
  double scaling_factor = 0.18215;  // of the autoencoder
};

/// config.json as diffusers or transformers would have written it, for tensors under their standard names (layouts.h). `component` is unet,
/// controlnet, vae, text_encoder, text_encoder_2 or upscaler (RGT). What no tensor tells is what all released models of the family have: 32 groups,
/// 8 heads in SD1 and heads of 64 channels elsewhere, quick_gelu in CLIP-L and gelu in OpenCLIP (a text encoder alone is taken for CLIP-L up to 768
/// channels), windows of 8 x 32 in RGT where the file lacks the buffers that tell them. Error(kModel) names the tensor that is missing.
nlohmann::json recognise_config(const std::string& component, const TensorSource& tensors, const RecognisedDefaults& defaults);

/// "sd1", "sd2" or "sdxl", from a UNet or ControlNet; a UNet's with "-inpainting" or "-instruct" where it has 2C + 1 or 2C input channels for C output channels.
std::string recognise_family(const TensorSource& unet);

RecognisedDefaults defaults_of(const std::string& family, const std::string& prediction_type);

/// "epsilon" or "v_prediction": what the file says (modelspec.prediction_type, a tensor v_pred), else what the family was trained with. SD2 predicts v,
/// but for the base model (global_step 875000) and the inpainting model.
std::string recognise_prediction(const TensorSource& file, const std::string& family);

/// scheduler_config.json of the family's first release.
nlohmann::json default_scheduler(const TensorSource& file, const std::string& family);

}  // namespace attelier
