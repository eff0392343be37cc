#include "core/diffusion/schedulers/scheduler_base.h"

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/diffusion/schedulers/timestep_spacing.h"

namespace attelier {

void SampleLimits::read_clipping(const SchedulerConfig& config, bool clips_by_default) {
  clips_ = config.boolean("clip_sample", clips_by_default);
  range_ = config.number("clip_sample_range", 1, 0, std::numeric_limits<double>::max());
}

void SampleLimits::read_thresholding(const SchedulerConfig& config) {
  thresholds_ = config.boolean("thresholding", false);
  ratio_ = config.number("dynamic_thresholding_ratio", 0.995, 0, 1);
  largest_ = config.number("sample_max_value", 1, 0, std::numeric_limits<double>::max());
}

at::Tensor SampleLimits::apply(const at::Tensor& sample) const {
  if (thresholds_) {
    const at::Tensor flat = sample.to(at::kFloat).flatten(1);
    const at::Tensor limit = at::quantile(flat.abs(), ratio_, 1).clamp(1, largest_).unsqueeze(1);
    return (at::clamp(flat, -limit, limit) / limit).view(sample.sizes()).to(sample.scalar_type());
  }
  return clips_ ? sample.clamp(-range_, range_) : sample;
}

SchedulerBase::SchedulerBase(const SchedulerConfig& config, const NoiseScheduleDefaults& noise_schedule, const std::string& spacing,
                             const std::vector<std::string>& spacings, const std::vector<std::string>& prediction_types)
    : alphas_(read_alphas_cumprod(config, noise_schedule)),
      spacing_(config.choice("timestep_spacing", spacing, spacings)),
      offset_(config.integer("steps_offset", 0, 0, alphas_.size(0) - 1)),
      class_name_(config.class_name()) {
  prediction_type_ = config.choice("prediction_type", "epsilon", prediction_types);
  const float* table = alphas_.const_data_ptr<float>();
  alphas_cumprod_.assign(table, table + alphas_.numel());
}

void SchedulerBase::begin(int64_t steps) {
  if (steps < 1 || steps > train_steps())
    fail(ExitCode::kBadInput, "{} cannot make {} steps; allowed is 1 to {}", class_name_, steps, train_steps());
  steps_ = steps;
  predicted_original_ = at::Tensor();
  set_begin_index(0);
}

int64_t SchedulerBase::enter_step(const at::Tensor& model_output, const at::Tensor& sample) const {
  check_index(index_);
  if (model_output.sizes() != sample.sizes())
    fail(ExitCode::kBadInput, "{}: the model's output is [{}], but the sample [{}]; both must have one shape", class_name_, fmt::join(model_output.sizes(), ", "),
         fmt::join(sample.sizes(), ", "));
  return static_cast<int64_t>(timesteps_[static_cast<size_t>(index_)]);
}

void SchedulerBase::check_index(int64_t index) const {
  if (index < 0 || index >= static_cast<int64_t>(timesteps_.size()))
    fail(ExitCode::kBadInput, "{} has {} timesteps; there is none at index {}", class_name_, timesteps_.size(), index);
}

at::Tensor SchedulerBase::draw(const NoiseSource& noise, const at::Tensor& like) const {
  if (!noise) fail(ExitCode::kBadInput, "{} draws noise at each step; give it a source of noise", class_name_);
  return noise(like);
}

void AlphaScheduler::space_timesteps(int64_t steps) {
  begin(steps);
  timesteps_ = spaced_timesteps(spacing_, train_steps(), steps, offset_);
  for (double& timestep : timesteps_) timestep = std::nearbyint(timestep);
  check_timesteps();
}

void AlphaScheduler::check_timesteps() const {
  for (const double timestep : timesteps_)
    if (timestep < 0 || timestep >= static_cast<double>(train_steps()))
      fail(ExitCode::kBadInput, "{} with {} steps, {} spacing and steps_offset {} needs timestep {}; allowed is 0 to {}: take fewer steps", class_name(), steps(),
           spacing_, offset_, timestep, train_steps() - 1);
}

void AlphaScheduler::read_final_alpha(const SchedulerConfig& config, bool one_by_default) {
  final_alpha_ = config.boolean("set_alpha_to_one", one_by_default) ? at::scalar_tensor(1.0, at::kFloat) : alphas_[0];
}

AlphaScheduler::Estimate AlphaScheduler::estimate(const at::Tensor& model_output, const at::Tensor& sample, const at::Tensor& alpha) const {
  const at::Tensor a = alpha.pow(0.5), s = (1 - alpha).pow(0.5);
  if (prediction_type_ == "sample") return {model_output, (sample - a * model_output) / s};
  if (prediction_type_ == "v_prediction") return {a * sample - s * model_output, a * model_output + s * sample};
  return {(sample - s * model_output) / a, model_output};
}

at::Tensor AlphaScheduler::add_noise(const at::Tensor& original, const at::Tensor& noise, int64_t index) const {
  check_index(index);
  const auto timestep = static_cast<int64_t>(timesteps_[static_cast<size_t>(index)]);
  // One element of the latent's own dtype and rank, as diffusers indexes it.
  const at::Tensor alpha = alphas_.to(original.options())[timestep].view(std::vector<int64_t>(static_cast<size_t>(original.dim()), 1));
  return alpha.pow(0.5) * original + (1 - alpha).pow(0.5) * noise;
}

SigmaScheduler::SigmaScheduler(const SchedulerConfig& config, const NoiseScheduleDefaults& noise_schedule, const std::vector<std::string>& prediction_types)
    : SchedulerBase(config, noise_schedule, "linspace", {"linspace", "leading", "trailing"}, prediction_types), table_(alphas_) {}

std::vector<double> SigmaScheduler::space_sigmas(int64_t steps) {
  begin(steps);
  timesteps_ = spaced_timesteps(spacing_, train_steps(), steps, offset_);
  std::vector<double> sigmas;
  for (double& timestep : timesteps_) {
    timestep = static_cast<float>(timestep);
    sigmas.push_back(table_.at_timestep(timestep));
  }
  if (rule_ != SigmaRule::kTimesteps) {
    sigmas = ruled_sigmas(rule_, sigma_max_.value_or(sigmas.front()), sigma_min_.value_or(sigmas.back()), steps);
    for (size_t i = 0; i < sigmas.size(); ++i) timesteps_[i] = static_cast<float>(table_.timestep_of(sigmas[i]));
  }
  return sigmas;
}

void SigmaScheduler::set_sigmas(const std::vector<double>& sigmas) {
  sigma_ = at::tensor(sigmas).to(at::kFloat);
  sigmas_.clear();
  for (const double sigma : sigmas) sigmas_.push_back(static_cast<float>(sigma));
}

double SigmaScheduler::init_noise_sigma() const {
  if (!sigma_.defined()) return 1;
  const at::Tensor largest = sigma_.max();
  return (spacing_ == "leading" ? (largest.pow(2) + 1).pow(0.5) : largest).item<double>();
}

at::Tensor SigmaScheduler::scale_model_input(const at::Tensor& sample) {
  check_index(index_);
  return sample / (sigma(index_).pow(2) + 1).pow(0.5);
}

at::Tensor SigmaScheduler::original(const at::Tensor& model_output, const at::Tensor& sample, const at::Tensor& sigma) const {
  if (prediction_type_ == "sample") return model_output;
  if (prediction_type_ == "v_prediction") return model_output * (-sigma / (sigma.pow(2) + 1).pow(0.5)) + sample / (sigma.pow(2) + 1);
  return sample - sigma * model_output;
}

at::Tensor SigmaScheduler::add_noise(const at::Tensor& original, const at::Tensor& noise, int64_t index) const {
  check_index(index);
  return original + noise * sigma(index).to(original.options()).view(std::vector<int64_t>(static_cast<size_t>(original.dim()), 1));
}

namespace {

const NoiseScheduleDefaults kSolverNoiseSchedule = {.keeps_last_above_zero = true};

at::Tensor alpha_of(const at::Tensor& sigma) { return (sigma.pow(2) + 1).pow(0.5).reciprocal(); }

}  // namespace

SolverScheduler::SolverScheduler(const SchedulerConfig& config, bool knows_lambda)
    : SchedulerBase(config, kSolverNoiseSchedule, "linspace", {"linspace", "leading", "trailing"}, {"epsilon", "sample", "v_prediction"}),
      table_(alphas_),
      rule_(read_sigma_rule(config, knows_lambda)) {
  config.reject("use_flow_sigmas", "flow matching is not supported");
  config.reject("use_dynamic_shifting", "flow matching is not supported");
  constexpr double kLargest = std::numeric_limits<double>::max();
  sigma_min_ = config.optional_number("sigma_min", 0, kLargest);
  sigma_max_ = config.optional_number("sigma_max", 0, kLargest);
  order_ = config.integer("solver_order", 2, 1, 3);
  lower_order_final_ = config.boolean("lower_order_final", true);
  ends_at_zero_ = config.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
  limits_.read_thresholding(config);
}

void SolverScheduler::space_sigmas(int64_t steps, int64_t last, bool rounds, bool last_sigma_of_rule) {
  begin(steps);
  timesteps_ = solver_timesteps(spacing_, train_steps(), last, steps, offset_);
  std::vector<double> sigmas;
  if (rule_ == SigmaRule::kTimesteps) {
    if (spacing_ == "leading" && last / (steps + 1) == 0)
      fail(ExitCode::kBadInput, "{} cannot make {} steps with leading spacing; allowed is 1 to {}", class_name(), steps, last - 1);
    for (const double timestep : timesteps_) sigmas.push_back(table_.at_timestep(timestep));
  } else {
    sigmas = ruled_sigmas(rule_, sigma_max_.value_or(table_.values().back()), sigma_min_.value_or(table_.values().front()), steps);
    timesteps_.clear();
    for (const double sigma : sigmas) {
      const double timestep = table_.timestep_of(sigma);
      timesteps_.push_back(std::trunc(rounds && rule_ != SigmaRule::kExponential ? std::nearbyint(timestep) : timestep));
    }
  }
  const bool from_rule = last_sigma_of_rule && rule_ != SigmaRule::kTimesteps;
  sigmas.push_back(ends_at_zero_ ? 0 : from_rule ? sigmas.back() : table_.values().front());
  sigma_ = at::tensor(sigmas).to(at::kFloat);
  sigmas_.clear();
  for (const double sigma : sigmas) sigmas_.push_back(static_cast<float>(sigma));
}

SolverScheduler::Level SolverScheduler::level(int64_t index) const {
  const at::Tensor alpha = alpha_of(sigma_[index]), sigma = sigma_[index] * alpha;
  return {alpha, sigma, alpha.log() - sigma.log()};
}

at::Tensor SolverScheduler::original(const at::Tensor& model_output, const at::Tensor& sample, const Level& level) const {
  if (prediction_type_ == "sample") return limits_.apply(model_output);
  if (prediction_type_ == "v_prediction") return limits_.apply(level.alpha * sample - level.sigma * model_output);
  return limits_.apply((sample - level.sigma * model_output) / level.alpha);
}

at::Tensor SolverScheduler::epsilon(const at::Tensor& model_output, const at::Tensor& sample, const Level& level) const {
  if (prediction_type_ == "sample") return (sample - level.alpha * model_output) / level.sigma;
  if (prediction_type_ == "v_prediction") return level.alpha * model_output + level.sigma * sample;
  return model_output;
}

at::Tensor SolverScheduler::add_noise(const at::Tensor& original, const at::Tensor& noise, int64_t index) const {
  check_index(index);
  const at::Tensor sigma = sigma_[index].to(original.options()).view(std::vector<int64_t>(static_cast<size_t>(original.dim()), 1));
  const at::Tensor alpha = alpha_of(sigma);
  return alpha * original + sigma * alpha * noise;
}

}  // namespace attelier
