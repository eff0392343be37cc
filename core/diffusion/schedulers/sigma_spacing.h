// Noise levels sigma = sqrt((1 - abar) / abar) between which sigma schedulers and multistep solvers step.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <vector>

#include "core/diffusion/schedulers/scheduler_config.h"

namespace attelier {

/// How the levels of a run are chosen: at its timesteps, or by a rule of their own (Karras et al. 2022, eq. 5; Lu et al. 2022, equal steps of lambda).
enum class SigmaRule { kTimesteps, kKarras, kExponential, kLambda };

/// use_karras_sigmas, use_exponential_sigmas and, where `knows_lambda`, use_lu_lambdas; at most one. use_beta_sigmas is refused.
SigmaRule read_sigma_rule(const SchedulerConfig& config, bool knows_lambda);

/// The sigmas of all training timesteps, and the way back.
class SigmaTable {
 public:
  explicit SigmaTable(const at::Tensor& alphas_cumprod);

  /// Rising with the timestep; float32 values.
  const std::vector<double>& values() const { return values_; }
  const std::vector<float>& logarithms() const { return logarithms_; }
  /// Linear in t, clamped at both ends.
  double at_timestep(double timestep) const;
  /// Linear in log sigma, clamped at both ends.
  double timestep_of(double sigma) const;

 private:
  std::vector<double> values_;
  std::vector<float> logarithms_;
};

/// `count` falling levels from `largest` to `smallest` under a rule other than kTimesteps.
std::vector<double> ruled_sigmas(SigmaRule rule, double largest, double smallest, int64_t count);

}  // namespace attelier
