#include "pipelines/style/style_schedule.h"

#include <algorithm>
#include <cmath>

namespace attelier {
namespace {

/// DDIM without noise (Song et al. 2021, eq. 12) between two levels, in float32 like the published code.
StyleSchedule::Sample move(const std::string& prediction_type, const at::Tensor& prediction, const at::Tensor& latent, double from, double to) {
  const double a = std::sqrt(static_cast<float>(from)), s = std::sqrt(1.0f - static_cast<float>(from));
  at::Tensor noise = prediction, original;
  if (prediction_type == "v_prediction") {
    original = a * latent - s * prediction;
    noise = a * prediction + s * latent;
  } else if (prediction_type == "sample") {
    original = prediction;
    noise = (latent - a * prediction) / s;
  } else {
    original = (latent - s * prediction) / a;
  }
  return {std::sqrt(static_cast<float>(to)) * original + std::sqrt(1.0f - static_cast<float>(to)) * noise, original};
}

/// The cumulative product in float64, rounded to float32 at the end.
std::vector<double> official_alphas(const nlohmann::json& config, const Scheduler& ddim) {
  const std::string kind = config.value("beta_schedule", std::string("scaled_linear"));
  const bool plain = config.value("trained_betas", nlohmann::json()).is_null() && !config.value("rescale_betas_zero_snr", false);
  if (!plain || (kind != "scaled_linear" && kind != "linear")) return ddim.alphas_cumprod();
  const double power = kind == "linear" ? 1 : 2;
  const double first = std::pow(config.value("beta_start", 0.00085), 1 / power), last = std::pow(config.value("beta_end", 0.012), 1 / power);
  const auto count = static_cast<int64_t>(ddim.alphas_cumprod().size());
  std::vector<double> alphas;
  double product = 1;
  for (int64_t t = 0; t < count; ++t) {
    const double value = first + (last - first) * static_cast<double>(t) / static_cast<double>(count - 1);
    product *= 1 - std::pow(value, power);
    alphas.push_back(static_cast<float>(product));
  }
  return alphas;
}

}  // namespace

at::Tensor StyleSchedule::invert(int64_t k, const at::Tensor& prediction, const at::Tensor& latent) const {
  const auto i = static_cast<size_t>(k);
  return move(prediction_type, prediction, latent, alpha_low[i], alpha_high[i]).latent;
}

StyleSchedule::Sample StyleSchedule::sample(int64_t k, const at::Tensor& prediction, const at::Tensor& latent) const {
  const auto i = static_cast<size_t>(k);
  return move(prediction_type, prediction, latent, alpha_from[i], alpha_to[i]);
}

StyleSchedule style_official_schedule(const nlohmann::json& config, const Scheduler& ddim, int64_t steps) {
  StyleSchedule schedule;
  schedule.prediction_type = ddim.prediction_type();
  const std::vector<double> alphas = official_alphas(config, ddim);
  const auto last = static_cast<int64_t>(alphas.size()) - 1;
  const int64_t stride = (last + 1) / steps;
  const auto at = [&](int64_t t) { return alphas[static_cast<size_t>(std::clamp<int64_t>(t, 0, last))]; };
  for (int64_t k = 0; k < steps; ++k) {
    const int64_t t = k * stride + 1;
    schedule.timesteps.push_back(static_cast<double>(std::min(t, last)));
    schedule.alpha_low.push_back(at(t));
    schedule.alpha_high.push_back(k + 1 < steps ? at(t + stride) : at(last));
    schedule.alpha_from.push_back(at(t));
    schedule.alpha_to.push_back(k > 0 ? at(t - stride) : at(0));
  }
  return schedule;
}

StyleSchedule style_diffusers_schedule(const nlohmann::json& config, Scheduler& ddim, int64_t steps) {
  StyleSchedule schedule;
  schedule.prediction_type = ddim.prediction_type();
  ddim.set_timesteps(steps);
  schedule.timesteps.assign(ddim.timesteps().rbegin(), ddim.timesteps().rend());
  const std::vector<double>& alphas = ddim.alphas_cumprod();
  const double end = config.value("set_alpha_to_one", true) ? 1.0 : alphas[0];
  const int64_t stride = static_cast<int64_t>(alphas.size()) / steps;
  for (const double timestep : schedule.timesteps) {
    const auto t = static_cast<int64_t>(timestep), below = t - stride;
    schedule.alpha_low.push_back(alphas[static_cast<size_t>(std::max<int64_t>(below, 0))]);
    schedule.alpha_high.push_back(alphas[static_cast<size_t>(t)]);
    schedule.alpha_from.push_back(alphas[static_cast<size_t>(t)]);
    schedule.alpha_to.push_back(below >= 0 ? alphas[static_cast<size_t>(below)] : end);
  }
  return schedule;
}

}  // namespace attelier
