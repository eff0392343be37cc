// An opened diffusion model: its parts are loaded on first use, each once.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/context.h"
#include "core/diffusion/scheduler.h"
#include "core/models/text_encoder.h"
#include "core/models/unet.h"
#include "core/models/vae.h"
#include "core/text/tokenizer.h"
#include "core/weights/model_files.h"

namespace attelier {

/// What a prompt becomes. `embeds` [1, S, C]; SDXL: `pooled` [1, P] as well.
struct PromptEmbedding {
  at::Tensor embeds, pooled;
  std::string cut;  // text that did not fit in the model's length
};

struct PromptOptions {
  int64_t clip_skip = 0;
  bool weights = false;      // reads (word:1.2)
  bool long_prompt = false;  // chunks of 75 tokens instead of cutting
  int64_t chunks = 1;        // at least as many, filled with empty ones, so that two prompts get one length
  std::string second;        // SDXL: the prompt of encoder 2, empty = the same
};

class DiffusionModel {
 public:
  /// Opens PATH (a diffusers folder or a single file); nothing is loaded yet.
  DiffusionModel(const std::filesystem::path& path, at::Device device, at::ScalarType dtype);
  ~DiffusionModel();

  UNet& unet();
  /// In float32 for models whose decoder overflows in half precision (force_upcast), otherwise in the model's dtype.
  Vae& vae();
  at::ScalarType vae_dtype() const;
  TextEncoder& text_encoder(int64_t index = 0);
  const Tokenizer& tokenizer(int64_t index = 0);
  bool has(const std::string& component) const;
  bool is_xl() const;
  std::unique_ptr<Scheduler> scheduler(const std::string& class_name = "", const nlohmann::json& options = {}) const;
  nlohmann::json scheduler_config() const;

  PromptEmbedding encode_prompt(const std::string& prompt, const PromptOptions& options, const ForwardContext& context);
  /// True for SDXL (force_zeros_for_empty_prompt): an absent negative prompt is zeros, not the encoding of "".
  bool zeros_for_empty_prompt() const;

  /// Picture f32 [B,3,H,W] in [-1,1] -> scaled latent in the model's dtype; the posterior's mean, or a sample when `noise` draws (one picture and noise
  /// for several rows give several samples).
  at::Tensor encode(const at::Tensor& picture, const NoiseSource& noise, const ForwardContext& context, const VaeTiling& tiling = {});
  /// Scaled latent -> f32 picture [B,3,H,W] in [-1,1], not clamped; one row at a time.
  at::Tensor decode(const at::Tensor& latent, const ForwardContext& context, const VaeTiling& tiling = {}, const Context* progress = nullptr);

  const ModelFiles& files() const { return *files_; }
  ModelFiles& files() { return *files_; }
  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }
  /// Width and height of the pictures the model was made for.
  int64_t native_size();

  /// Called before (false) and after (true) each part is loaded.
  void on_load(std::function<void(bool done)> listener) { on_load_ = std::move(listener); }
  /// LatentPreview's map, kept with the model once it is fitted.
  at::Tensor& preview_map() { return preview_map_; }

 private:
  template <typename ModuleType, typename Config>
  std::unique_ptr<ModuleType> load(const std::string& component, at::ScalarType dtype) const;

  std::unique_ptr<ModelFiles> files_;
  at::Device device_;
  at::ScalarType dtype_;
  std::unique_ptr<UNet> unet_;
  std::unique_ptr<Vae> vae_;
  std::unique_ptr<TextEncoder> text_encoders_[2];
  std::shared_ptr<const Tokenizer> tokenizers_[2];
  std::function<void(bool done)> on_load_;
  at::Tensor preview_map_;
};

/// A ControlNet of its own folder or file.
std::unique_ptr<ControlNet> load_controlnet(const std::filesystem::path& path, at::Device device, at::ScalarType dtype);

}  // namespace attelier
