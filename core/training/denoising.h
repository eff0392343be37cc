// What every diffusion objective shares: noisy latents, the target that the network shall predict, and the weight of each timestep.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "core/base/parameters.h"
#include "core/diffusion/scheduler.h"

namespace attelier {

/// One micro-batch. Latents [B, C, h, w] float32, scaled; the rest is undefined unless the objective has it.
struct NoisyBatch {
  at::Tensor noisy;     // sqrt(a) clean + sqrt(1 - a) noise
  at::Tensor timestep;  // float32 [B]
  at::Tensor target;    // noise, or with v prediction sqrt(a) noise - sqrt(1 - a) clean (Salimans and Ho 2022)
  at::Tensor weight;    // float32 [B]
  std::vector<std::string> captions;
  at::Tensor mask, masked;  // inpainting: [B, 1, h, w] of 0 and 1, the masked picture's latent [B, C, h, w]
  at::Tensor condition;     // ControlNet: float32 [B, 3, H, W] in [0, 1]
};

/// The noise schedule of a scheduler_config.json and what is predicted.
class NoiseLevels {
 public:
  /// `snr_limit`: gamma of min-SNR (Hang et al. 2023), 0 = every timestep counts the same. Error(kModel) for a prediction that is neither "epsilon" nor
  /// "v_prediction".
  NoiseLevels(const Json& scheduler_config, double snr_limit);

  int64_t count() const { return static_cast<int64_t>(alphas_.size()); }
  /// The timestep in the middle of part `index` of `parts` equal ones, so that any number of measurements covers the whole range.
  int64_t timestep_of_part(int64_t index, int64_t parts) const { return (2 * index + 1) * count() / (2 * parts); }
  bool predicts_velocity() const { return velocity_; }
  /// Fills noisy, timestep, target and weight. clean and noise [B, C, h, w]; one timestep in 0 .. count() - 1 a row.
  void add_noise(NoisyBatch& batch, const at::Tensor& clean, const at::Tensor& noise, const std::vector<int64_t>& timesteps) const;

 private:
  std::vector<double> alphas_;  // cumulative products
  bool velocity_;
  double snr_limit_;
};

/// Mean over the batch of weight times the mean squared error; a scalar.
at::Tensor denoising_loss(const at::Tensor& prediction, const NoisyBatch& batch);

/// What SD1.x ships as scheduler_config.json, so that every method's settings carry over, with this prediction.
Json default_scheduler_config(const std::string& prediction);

}  // namespace attelier
