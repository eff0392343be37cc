// Noise schedulers with the names, configs and arithmetic of diffusers.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace attelier {

/// Draws noise like `like` (shape, dtype, device) for schedulers that need it. Called in the order diffusers draws.
using NoiseSource = std::function<at::Tensor(const at::Tensor& like)>;

/// A noise source on a CPU generator, drawn in `dtype` and moved: equal to diffusers' randn_tensor with a CPU generator.
NoiseSource generator_noise(at::Generator generator);
/// One generator per picture: row b of the noise comes from generators[b], so that each picture of a batch is what it would be alone.
NoiseSource generator_noise(std::vector<at::Generator> generators);

/// One scheduler of one run: set_timesteps, then for each index scale_model_input and step. Steps advance by an internal counter (timesteps may
/// repeat). Coefficients are double, rounded as diffusers rounds.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// Prepares `steps` denoising steps; the counter returns to the start. Throws Error(kBadInput) outside 1..num_train_timesteps.
  virtual void set_timesteps(int64_t steps) = 0;
  /// One entry per model evaluation (more than the steps for Heun and PNDM). float32 values.
  const std::vector<double>& timesteps() const { return timesteps_; }
  /// float32 sigmas where the scheduler has them, else empty.
  const std::vector<double>& sigmas() const { return sigmas_; }
  virtual double init_noise_sigma() const { return 1; }
  /// Entries of timesteps() per step where image to image counts its begin index (2 for Heun).
  virtual int64_t order() const { return 1; }
  /// Starts in the middle (img2img): the counter begins at timesteps()[index].
  virtual void set_begin_index(int64_t index) { index_ = index; }
  int64_t index() const { return index_; }
  virtual at::Tensor scale_model_input(const at::Tensor& sample) { return sample; }
  /// From the model's output at timesteps()[index()] to the next sample; advances the counter.
  virtual at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource& noise) = 0;
  /// The estimate of the clean latent made in the latest step, for previews; may be undefined before the first.
  const at::Tensor& predicted_original() const { return predicted_original_; }
  /// original + noise at timesteps()[index].
  virtual at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise, int64_t index) const = 0;
  /// The cumulative product of alphas, float64 copies of the float32 table.
  const std::vector<double>& alphas_cumprod() const { return alphas_cumprod_; }
  const std::string& prediction_type() const { return prediction_type_; }

 protected:
  std::vector<double> timesteps_, sigmas_, alphas_cumprod_;
  std::string prediction_type_ = "epsilon";
  int64_t index_ = 0;
  at::Tensor predicted_original_;
};

/// Builds a scheduler from scheduler_config.json: `_class_name` and its options; `class_name` overrides the class under the swap rule of diffusers
/// (keys absent from the JSON take the new class's defaults). `options` overrides single keys. Throws Error(kModel) for unknown classes or values,
/// naming the allowed ones.
std::unique_ptr<Scheduler> make_scheduler(const nlohmann::json& config, const std::string& class_name = "", const nlohmann::json& options = {});

/// DDIM inversion (DDIMInverseScheduler) from the same config.
std::unique_ptr<Scheduler> make_inverse_scheduler(const nlohmann::json& config);

/// Short names for flags ("ddim", "euler_a", "dpmpp_2m_karras", ...) and the classes and options behind them.
struct SamplerName {
  std::string name, class_name;
  nlohmann::json options;
};
const std::vector<SamplerName>& sampler_names();

}  // namespace attelier
