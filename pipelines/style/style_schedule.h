// The timesteps and noise levels of StyleID's two published versions.
#pragma once

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/diffusion/scheduler.h"

namespace attelier {

/// Step k of the inversion calls the model at timesteps[k] on the latent of level alpha_low[k] and moves it to alpha_high[k]; sampling goes back from
/// alpha_from[k] to alpha_to[k] at the same timestep. Levels are cumulative products of alphas.
struct StyleSchedule {
  struct Sample {
    at::Tensor latent, original;  // after the step; the clean latent that the step assumed
  };

  std::vector<double> timesteps;
  std::vector<double> alpha_low, alpha_high;
  std::vector<double> alpha_from, alpha_to;
  std::string prediction_type = "epsilon";

  at::Tensor invert(int64_t k, const at::Tensor& prediction, const at::Tensor& latent) const;
  Sample sample(int64_t k, const at::Tensor& prediction, const at::Tensor& latent) const;
};

/// Version A (the CompVis code behind the paper's figures): t_k = k (1000 / steps) + 1, the model sees the latent at the level of its timestep, the
/// last inversion step ends at level 999. Alphas are accumulated in float64 and rounded to float32. `config` is the model's scheduler_config.json,
/// `ddim` the DDIM scheduler made from it, whose table is used where the betas are neither linear nor scaled linear.
StyleSchedule style_official_schedule(const nlohmann::json& config, const Scheduler& ddim, int64_t steps);

/// Version B (the authors' diffusers code): the model is called with the timestep that the inversion moves to; levels from the scheduler's table. The
/// last sampling step ends at level 0, or without noise where the config sets set_alpha_to_one.
StyleSchedule style_diffusers_schedule(const nlohmann::json& config, Scheduler& ddim, int64_t steps);

}  // namespace attelier
