#include "core/diffusion/schedulers/noise_schedule.h"

#include <cmath>
#include <numbers>

#include "core/base/error.h"

namespace attelier {
namespace {

constexpr int64_t kMostTrainSteps = 100000;

/// Nichol and Dhariwal 2021, eq. 17, or its exponential relative; every beta at most 0.999.
at::Tensor betas_of_alpha_bar(int64_t steps, bool exponential) {
  const auto alpha_bar = [exponential](double t) {
    if (exponential) return std::exp(t * -12.0);
    const double cosine = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return cosine * cosine;
  };
  std::vector<float> betas;
  for (int64_t i = 0; i < steps; ++i) {
    const double begin = static_cast<double>(i) / static_cast<double>(steps), end = static_cast<double>(i + 1) / static_cast<double>(steps);
    betas.push_back(static_cast<float>(std::min(1 - alpha_bar(end) / alpha_bar(begin), 0.999)));
  }
  return at::tensor(betas);
}

at::Tensor rescaled_to_zero_snr(const at::Tensor& betas) {
  at::Tensor roots = at::cumprod(1.0 - betas, 0).sqrt();
  const at::Tensor first = roots[0].clone(), last = roots[-1].clone();
  roots = (roots - last) * (first / (first - last));
  const at::Tensor alphas_cumprod = roots.pow(2);
  const at::Tensor alphas = at::cat({alphas_cumprod.slice(0, 0, 1), alphas_cumprod.slice(0, 1) / alphas_cumprod.slice(0, 0, -1)});
  return 1 - alphas;
}

at::Tensor read_betas(const SchedulerConfig& config, const NoiseScheduleDefaults& defaults) {
  const int64_t steps = config.integer("num_train_timesteps", 1000, 1, kMostTrainSteps);
  const double start = config.number("beta_start", defaults.beta_start, 0, 1), end = config.number("beta_end", defaults.beta_end, 0, 1);
  std::vector<std::string> allowed = {"linear", "scaled_linear", "squaredcos_cap_v2"};
  allowed.insert(allowed.end(), defaults.more_schedules.begin(), defaults.more_schedules.end());
  const std::string schedule = config.choice("beta_schedule", defaults.beta_schedule, allowed);
  const std::vector<double> trained = config.numbers("trained_betas");
  if (!trained.empty()) {
    if (static_cast<int64_t>(trained.size()) != steps)
      fail(ExitCode::kModel, "scheduler config: trained_betas of {} has {} entries; allowed is num_train_timesteps, {}", config.class_name(), trained.size(), steps);
    return at::tensor(trained).to(at::kFloat);
  }
  if (schedule == "scaled_linear") return at::linspace(std::sqrt(start), std::sqrt(end), steps, at::kFloat).pow(2);
  if (schedule == "squaredcos_cap_v2") return betas_of_alpha_bar(steps, false);
  if (schedule == "exp") return betas_of_alpha_bar(steps, true);
  if (schedule == "sigmoid") return at::sigmoid(at::linspace(-6, 6, steps, at::kFloat)) * (end - start) + start;
  return at::linspace(start, end, steps, at::kFloat);
}

}  // namespace

at::Tensor read_alphas_cumprod(const SchedulerConfig& config, const NoiseScheduleDefaults& defaults) {
  at::Tensor betas = read_betas(config, defaults);
  const bool rescales = defaults.rescales && config.boolean("rescale_betas_zero_snr", false);
  if (rescales) betas = rescaled_to_zero_snr(betas);
  at::Tensor alphas_cumprod = at::cumprod(1.0 - betas, 0);
  if (rescales && defaults.keeps_last_above_zero) alphas_cumprod[-1] = std::exp2(-24);
  return alphas_cumprod;
}

}  // namespace attelier
