// The checkpoint that an objective stands on: frozen, in float32.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/diffusion/diffusion_model.h"
#include "core/training/config.h"

namespace attelier {

class BaseModel {
 public:
  BaseModel(const std::filesystem::path& path, at::Device device);

  DiffusionModel& model() { return model_; }
  /// The UNet with weights that gradients can pass.
  UNet& unet() { return model_.unet(); }
  /// The text encoders, as many as there are; with `trainable`, gradients can pass them.
  std::vector<TextEncoder*> text_encoders(bool trainable);

  /// Picture float32 [B, 3, H, W] in [-1, 1] -> scaled latent (the posterior's mean), and back.
  at::Tensor encode(const at::Tensor& picture) { return model_.encode(picture, {}, {}); }
  at::Tensor decode(const at::Tensor& latent) { return model_.decode(latent, {}); }

  /// Sets encoder_hidden_states and, for SDXL, text_embeds and time_ids (pictures of `size`, not cropped). Frozen text is encoded once and kept.
  void tell(UNetInputs& inputs, const std::vector<std::string>& captions, int64_t size, bool with_gradients = false);

  /// Copies the pipeline's folder without its UNet into `folder`, with `class_name` in model_index.json. Nothing where the model is no folder.
  void export_surroundings(const std::filesystem::path& folder, const std::string& class_name) const;

 private:
  PromptEmbedding embed(const std::string& caption);

  DiffusionModel model_;
  std::map<std::string, PromptEmbedding> known_;
};

/// Puts every weight into storage of its own: a file's, which they may share, is not written to.
void own_weights(nn::Module& module);

/// The parameter "model": a path relative to the configuration, or a name that resolve_model knows.
ConfigShape base_model_shape();
/// Adds a problem unless "model" is there and has a UNet, an autoencoder and a text encoder, and "picture_size" suits it; true if it may be opened.
bool check_base_model(const Json& config, const std::filesystem::path& base, ConfigProblems& problems);
std::filesystem::path base_model_path(const Json& config, const std::filesystem::path& base);
/// "picture_size", or the size the model was made for.
int64_t picture_size(const Json& config, const ModelFiles& files);

}  // namespace attelier
