// The table that every scheduler starts from: the cumulative product of alphas (Ho et al. 2020), with diffusers' beta schedules.
#pragma once

#include <ATen/ATen.h>

#include <string>

#include "core/diffusion/schedulers/scheduler_config.h"

namespace attelier {

/// What the classes differ in.
struct NoiseScheduleDefaults {
  double beta_start = 0.0001, beta_end = 0.02;
  std::string beta_schedule = "linear";
  std::vector<std::string> more_schedules = {};  // beside linear, scaled_linear and squaredcos_cap_v2: "sigmoid", "exp"
  bool rescales = true;               // knows rescale_betas_zero_snr (Lin et al. 2024, section 3.1)
  bool keeps_last_above_zero = false;  // after rescaling the last entry is 2^-24, so that its sigma stays finite
};

/// abar_t, float32 [num_train_timesteps] on the CPU, bit for bit what diffusers computes.
at::Tensor read_alphas_cumprod(const SchedulerConfig& config, const NoiseScheduleDefaults& defaults);

}  // namespace attelier
