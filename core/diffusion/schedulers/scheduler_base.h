// What the schedulers share. Coefficients are 0-dim float32 CPU tensors that meet the latents in the order of diffusers' expressions: they do not promote
// a float16 or bfloat16 latent, work with a latent on any device, and round as in diffusers.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <vector>

#include "core/diffusion/scheduler.h"
#include "core/diffusion/schedulers/noise_schedule.h"
#include "core/diffusion/schedulers/scheduler_config.h"
#include "core/diffusion/schedulers/sigma_spacing.h"

namespace attelier {

/// Limits on the predicted clean sample; for pictures in pixels, harmful for latents.
class SampleLimits {
 public:
  SampleLimits() = default;
  /// clip_sample and clip_sample_range.
  void read_clipping(const SchedulerConfig& config, bool clips_by_default);
  /// thresholding, dynamic_thresholding_ratio and sample_max_value (Saharia et al. 2022, section 2.3); it goes before clipping.
  void read_thresholding(const SchedulerConfig& config);
  at::Tensor apply(const at::Tensor& sample) const;
  bool thresholds() const { return thresholds_; }

 private:
  bool clips_ = false, thresholds_ = false;
  double range_ = 1, ratio_ = 0.995, largest_ = 1;
};

class SchedulerBase : public Scheduler {
 protected:
  SchedulerBase(const SchedulerConfig& config, const NoiseScheduleDefaults& noise_schedule, const std::string& spacing, const std::vector<std::string>& spacings,
                const std::vector<std::string>& prediction_types);

  const std::string& class_name() const { return class_name_; }
  int64_t train_steps() const { return alphas_.size(0); }
  /// Checks 1..num_train_timesteps and resets the counter.
  void begin(int64_t steps);
  int64_t steps() const { return steps_; }
  /// Checks that a step is left and that both tensors have one shape; returns the timestep.
  int64_t enter_step(const at::Tensor& model_output, const at::Tensor& sample) const;
  void check_index(int64_t index) const;
  at::Tensor draw(const NoiseSource& noise, const at::Tensor& like) const;

  at::Tensor alphas_;  // abar, float32 [T]
  std::string spacing_;
  int64_t offset_ = 0;

 private:
  std::string class_name_;
  int64_t steps_ = 0;
};

/// Schedulers whose samples are sqrt(abar) original + sqrt(1 - abar) noise at integer timesteps.
class AlphaScheduler : public SchedulerBase {
 public:
  at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise, int64_t index) const override;

 protected:
  using SchedulerBase::SchedulerBase;
  /// The default set_timesteps: spaced, rounded half to even, and checked against the table.
  void space_timesteps(int64_t steps);
  /// Throws Error(kBadInput) when a timestep is outside the table: `leading` with an offset and as many steps as timesteps.
  void check_timesteps() const;
  /// set_alpha_to_one: abar beyond the last timestep, otherwise that of timestep 0.
  void read_final_alpha(const SchedulerConfig& config, bool one_by_default);
  /// abar_t, final_alpha_ for t < 0.
  at::Tensor alpha(int64_t timestep) const { return timestep >= 0 ? alphas_[timestep] : final_alpha_; }

  struct Estimate {
    at::Tensor original, epsilon;
  };
  /// Clean sample and noise that a prediction at `alpha` stands for; the clean sample is not limited yet.
  Estimate estimate(const at::Tensor& model_output, const at::Tensor& sample, const at::Tensor& alpha) const;

  at::Tensor final_alpha_;
};

/// Schedulers whose samples are original + sigma noise (Karras et al. 2022); float32 timesteps.
class SigmaScheduler : public SchedulerBase {
 public:
  double init_noise_sigma() const override;
  at::Tensor scale_model_input(const at::Tensor& sample) override;
  at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise, int64_t index) const override;

 protected:
  SigmaScheduler(const SchedulerConfig& config, const NoiseScheduleDefaults& noise_schedule, const std::vector<std::string>& prediction_types);

  /// timesteps() and the sigmas at them or by the rule, without the final one; sigma_min_ and sigma_max_ replace the ends of a rule's range.
  std::vector<double> space_sigmas(int64_t steps);
  /// Stores float32 sigmas, the final one included.
  void set_sigmas(const std::vector<double>& sigmas);
  at::Tensor sigma(int64_t index) const { return sigma_[index]; }
  /// The clean sample that a prediction at `sigma` stands for.
  at::Tensor original(const at::Tensor& model_output, const at::Tensor& sample, const at::Tensor& sigma) const;

  SigmaTable table_;
  SigmaRule rule_ = SigmaRule::kTimesteps;
  std::optional<double> sigma_min_, sigma_max_;

 private:
  at::Tensor sigma_;
};

/// Multistep solvers of the variance-preserving ODE or SDE on a table of sigmas (Lu et al. 2022).
class SolverScheduler : public SchedulerBase {
 public:
  at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise, int64_t index) const override;

 protected:
  SolverScheduler(const SchedulerConfig& config, bool knows_lambda);

  /// Integer timesteps and float32 sigmas. `last` as in solver_timesteps; a rule's timesteps are rounded unless `keeps_fractions`, then cut off;
  /// `last_sigma_of_rule`: final_sigmas_type sigma_min means the rule's last sigma and not the table's first.
  void space_sigmas(int64_t steps, int64_t last, bool rounds, bool last_sigma_of_rule);

  /// One place of the trajectory: sample = alpha original + sigma noise, lambda = log(alpha / sigma).
  struct Level {
    at::Tensor alpha, sigma, lambda;
  };
  Level level(int64_t index) const;
  /// The clean sample that a prediction at `level` stands for, limited; and the noise.
  at::Tensor original(const at::Tensor& model_output, const at::Tensor& sample, const Level& level) const;
  at::Tensor epsilon(const at::Tensor& model_output, const at::Tensor& sample, const Level& level) const;

  int64_t order_ = 2;
  bool lower_order_final_ = true;
  bool ends_at_zero_ = true;
  SampleLimits limits_;

 private:
  SigmaTable table_;
  SigmaRule rule_;
  std::optional<double> sigma_min_, sigma_max_;
  at::Tensor sigma_;
};

}  // namespace attelier
