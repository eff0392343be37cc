// Which network the tensors of a checkpoint are, and the view of them under the names of diffusers and transformers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/weights/tensor_file.h"

namespace attelier {

using ComponentTensors = std::map<std::string, std::shared_ptr<const TensorSource>>;

/// The components of a checkpoint in one file, each under its standard names: unet, vae, text_encoder, text_encoder_2, controlnet, upscaler. Recognised
/// are the authors' files (prefixes model.diffusion_model., first_stage_model., cond_stage_model., conditioner.embedders.N., control_model.; those of RGT
/// under any key) and a UNet, ControlNet, autoencoder or text encoder alone, in either spelling. Empty if there is none; Error(kModel) for networks
/// known but not supported.
ComponentTensors find_components(const std::shared_ptr<const TensorSource>& source);

/// The tensors of one component in its own file, whose kind the config tells: old attention names of autoencoders, text encoders with or without
/// `text_model.`, either spelling. `source` itself where nothing has to change. `with_projection`: keep text_projection.weight.
std::shared_ptr<const TensorSource> standard_names(const std::string& component, const std::shared_ptr<const TensorSource>& source, bool with_projection);

}  // namespace attelier
