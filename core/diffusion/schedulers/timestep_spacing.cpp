#include "core/diffusion/schedulers/timestep_spacing.h"

#include <algorithm>
#include <cmath>

namespace attelier {
namespace {

/// round(arange(last, 0, -train_steps / steps)) - 1. numpy takes the stride from its first two values, which are rounded already.
std::vector<double> trailing(int64_t train_steps, int64_t last, int64_t steps) {
  const double start = static_cast<double>(last), wanted = -(static_cast<double>(train_steps) / static_cast<double>(steps));
  const double stride = (start + wanted) - start;
  const auto count = std::min(static_cast<int64_t>(std::ceil(-start / wanted)), steps);
  std::vector<double> timesteps;
  for (int64_t i = 0; i < count; ++i) timesteps.push_back(std::nearbyint(start + static_cast<double>(i) * stride) - 1);
  return timesteps;
}

std::vector<double> leading(int64_t stride, int64_t count, int64_t offset) {
  std::vector<double> timesteps;
  for (int64_t i = count - 1; i >= 0; --i) timesteps.push_back(static_cast<double>(i * stride + offset));
  return timesteps;
}

std::vector<double> reversed(std::vector<double> values) {
  std::reverse(values.begin(), values.end());
  return values;
}

}  // namespace

std::vector<double> linspace(double start, double stop, int64_t count, bool endpoint) {
  const int64_t parts = endpoint ? count - 1 : count;
  const double step = parts > 0 ? (stop - start) / static_cast<double>(parts) : 0;
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<double>(i) * step + start);
  if (endpoint && count > 1) values.back() = stop;
  return values;
}

std::vector<double> spaced_timesteps(const std::string& spacing, int64_t train_steps, int64_t steps, int64_t offset) {
  if (spacing == "linspace") return reversed(linspace(0, static_cast<double>(train_steps - 1), steps));
  if (spacing == "leading") return leading(train_steps / steps, steps, offset);
  return trailing(train_steps, train_steps, steps);
}

std::vector<double> solver_timesteps(const std::string& spacing, int64_t train_steps, int64_t last, int64_t steps, int64_t offset) {
  if (spacing == "trailing") return trailing(train_steps, last, steps);
  std::vector<double> timesteps;
  if (spacing == "leading") {
    timesteps = leading(last / (steps + 1), steps + 1, 0);
    for (double& timestep : timesteps) timestep += static_cast<double>(offset);
  } else {
    timesteps = reversed(linspace(0, static_cast<double>(last - 1), steps + 1));
    for (double& timestep : timesteps) timestep = std::nearbyint(timestep);
  }
  timesteps.pop_back();
  return timesteps;
}

}  // namespace attelier
