// Which of the training timesteps a run visits (Lin et al. 2024, table 2), with numpy's arithmetic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attelier {

/// numpy.linspace in float64.
std::vector<double> linspace(double start, double stop, int64_t count, bool endpoint = true);

/// "linspace", "leading" or "trailing": `steps` of the timesteps 0 .. train_steps - 1, falling. `offset` is added by leading alone.
/// linspace is not rounded here: integer schedulers round half to even, sigma schedulers keep float32.
/// numpy.arange in diffusers makes a superfluous timestep -1 in trailing for some `steps` (61, 103, ...); it is left out.
std::vector<double> spaced_timesteps(const std::string& spacing, int64_t train_steps, int64_t steps, int64_t offset);

/// The variant of the multistep solvers: linspace and leading share the range among steps + 1 and drop the lowest. `last` is the number of timesteps in
/// use (below train_steps when lambda_min_clipped cuts the noisiest away). Rounded half to even.
std::vector<double> solver_timesteps(const std::string& spacing, int64_t train_steps, int64_t last, int64_t steps, int64_t offset);

}  // namespace attelier
