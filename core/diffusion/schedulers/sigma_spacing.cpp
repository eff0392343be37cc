#include "core/diffusion/schedulers/sigma_spacing.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/diffusion/schedulers/timestep_spacing.h"

namespace attelier {

SigmaRule read_sigma_rule(const SchedulerConfig& config, bool knows_lambda) {
  config.reject("use_beta_sigmas", "use_karras_sigmas and use_exponential_sigmas are the alternatives");
  const bool karras = config.boolean("use_karras_sigmas", false), exponential = config.boolean("use_exponential_sigmas", false);
  const bool lambda = knows_lambda && config.boolean("use_lu_lambdas", false);
  if (karras && exponential)
    fail(ExitCode::kModel, "scheduler config: {} has use_karras_sigmas and use_exponential_sigmas; allowed is one of the two", config.class_name());
  if (karras) return SigmaRule::kKarras;
  if (lambda) return SigmaRule::kLambda;
  return exponential ? SigmaRule::kExponential : SigmaRule::kTimesteps;
}

SigmaTable::SigmaTable(const at::Tensor& alphas_cumprod) {
  const at::Tensor sigmas = ((1 - alphas_cumprod) / alphas_cumprod).pow(0.5).contiguous();
  const float* begin = sigmas.const_data_ptr<float>();
  values_.assign(begin, begin + sigmas.numel());
  for (const double sigma : values_) logarithms_.push_back(std::log(static_cast<float>(sigma)));
}

double SigmaTable::at_timestep(double timestep) const {
  const auto last = static_cast<double>(values_.size() - 1);
  if (timestep >= last) return values_.back();
  if (timestep <= 0) return values_.front();
  const auto low = static_cast<size_t>(timestep);
  return (values_[low + 1] - values_[low]) * (timestep - static_cast<double>(low)) + values_[low];
}

double SigmaTable::timestep_of(double sigma) const {
  if (values_.size() < 2) return 0;
  const double logarithm = std::log(std::max(sigma, 1e-10));
  const auto above = std::upper_bound(logarithms_.begin(), logarithms_.end(), logarithm, [](double value, float entry) { return value < entry; });
  const auto low = std::clamp<int64_t>(above - logarithms_.begin() - 1, 0, static_cast<int64_t>(logarithms_.size()) - 2);
  const float here = logarithms_[static_cast<size_t>(low)], next = logarithms_[static_cast<size_t>(low) + 1];
  const double share = std::clamp((here - logarithm) / static_cast<double>(here - next), 0.0, 1.0);
  return (1 - share) * static_cast<double>(low) + share * static_cast<double>(low + 1);
}

std::vector<double> ruled_sigmas(SigmaRule rule, double largest, double smallest, int64_t count) {
  if (rule == SigmaRule::kKarras) {
    constexpr double kRho = 7;
    const double low = std::pow(smallest, 1 / kRho), high = std::pow(largest, 1 / kRho);
    std::vector<double> sigmas = linspace(0, 1, count);
    for (double& sigma : sigmas) sigma = std::pow(high + sigma * (low - high), kRho);
    return sigmas;
  }
  if (rule == SigmaRule::kLambda) {
    // The ends are float32 logarithms.
    const double low = std::log(static_cast<float>(smallest)), high = std::log(static_cast<float>(largest));
    std::vector<double> sigmas = linspace(0, 1, count);
    for (double& sigma : sigmas) sigma = std::exp(high + sigma * (low - high));
    return sigmas;
  }
  std::vector<double> sigmas = linspace(std::log(largest), std::log(smallest), count);
  for (double& sigma : sigmas) sigma = std::exp(sigma);
  return sigmas;
}

}  // namespace attelier
