// Euler's method on the probability flow ODE and its ancestral variant (Karras et al. 2022, algorithm 2): EulerDiscreteScheduler and
// EulerAncestralDiscreteScheduler. Steps are made in float32 and rounded to the prediction's dtype.
#include <cmath>
#include <limits>

#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"

namespace attelier {
namespace {

const NoiseScheduleDefaults kNoiseSchedule = {.keeps_last_above_zero = true};
constexpr double kLargest = std::numeric_limits<double>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Euler : public SigmaScheduler {
 public:
  explicit Euler(const SchedulerConfig& config) : SigmaScheduler(config, kNoiseSchedule, {"epsilon", "sample", "v_prediction"}) {
    rule_ = read_sigma_rule(config, false);
    sigma_min_ = config.optional_number("sigma_min", 0, kLargest);
    sigma_max_ = config.optional_number("sigma_max", 0, kLargest);
    log_linear_ = config.choice("interpolation_type", "linear", {"linear", "log_linear"}) == "log_linear";
    if (log_linear_) {
      sigma_min_ = sigma_min_.value_or(table_.values().front());
      sigma_max_ = sigma_max_.value_or(table_.values().back());
    }
    ends_at_zero_ = config.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
    continuous_ = config.choice("timestep_type", "discrete", {"discrete", "continuous"}) == "continuous" && prediction_type_ == "v_prediction";
    churn_ = config.number("s_churn", 0, 0, kLargest);
    churn_from_ = config.number("s_tmin", 0, 0, kInfinity);
    churn_to_ = config.number("s_tmax", kInfinity, 0, kInfinity);
    churn_noise_ = config.number("s_noise", 1, 0, kLargest);
  }

  void set_timesteps(int64_t steps) override {
    std::vector<double> sigmas = space_sigmas(steps);
    if (log_linear_ && rule_ == SigmaRule::kTimesteps) {
      // One more than the timesteps, as diffusers counts.
      const std::vector<float>& logarithms = table_.logarithms();
      const at::Tensor levels = at::linspace(logarithms.back(), logarithms.front(), steps + 1, at::kFloat).exp();
      sigmas.assign(levels.const_data_ptr<float>(), levels.const_data_ptr<float>() + levels.numel());
    }
    sigmas.push_back(ends_at_zero_ ? 0 : table_.values().front());
    set_sigmas(sigmas);
    if (!continuous_) return;
    timesteps_.clear();
    for (int64_t i = 0; i + 1 < static_cast<int64_t>(sigmas.size()); ++i) timesteps_.push_back((0.25 * sigma(i).log()).item<double>());
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource& noise) override {
    enter_step(model_output, sample);
    const at::Tensor level = sigma(index_);
    const double value = sigmas_[static_cast<size_t>(index_)];
    const double gamma = value >= churn_from_ && value <= churn_to_ ? std::min(churn_ / static_cast<double>(sigmas_.size() - 1), std::sqrt(2.0) - 1) : 0;
    const at::Tensor raised = level * (gamma + 1);
    at::Tensor x = sample.to(at::kFloat);
    if (gamma > 0) x = x + draw(noise, model_output) * churn_noise_ * (raised.pow(2) - level.pow(2)).pow(0.5);
    // diffusers raises sigma for noise predictions and not for velocities.
    predicted_original_ = original(model_output, x, prediction_type_ == "epsilon" ? raised : level);
    const at::Tensor derivative = (x - predicted_original_) / raised;
    const at::Tensor result = x + derivative * (sigma(index_ + 1) - raised);
    ++index_;
    return result.to(model_output.scalar_type());
  }

 private:
  bool log_linear_ = false, ends_at_zero_ = true, continuous_ = false;
  double churn_ = 0, churn_from_ = 0, churn_to_ = 0, churn_noise_ = 1;
};

class EulerAncestral : public SigmaScheduler {
 public:
  explicit EulerAncestral(const SchedulerConfig& config) : SigmaScheduler(config, kNoiseSchedule, {"epsilon", "v_prediction"}) {}

  void set_timesteps(int64_t steps) override {
    std::vector<double> sigmas = space_sigmas(steps);
    sigmas.push_back(0);
    set_sigmas(sigmas);
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource& noise) override {
    enter_step(model_output, sample);
    const at::Tensor from = sigma(index_), to = sigma(index_ + 1), x = sample.to(at::kFloat);
    predicted_original_ = original(model_output, x, from);
    const at::Tensor up = (to.pow(2) * (from.pow(2) - to.pow(2)) / from.pow(2)).pow(0.5);
    const at::Tensor down = (to.pow(2) - up.pow(2)).pow(0.5);
    const at::Tensor derivative = (x - predicted_original_) / from;
    const at::Tensor result = x + derivative * (down - from) + draw(noise, model_output) * up;
    ++index_;
    return result.to(model_output.scalar_type());
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_euler(const SchedulerConfig& config) { return std::make_unique<Euler>(config); }
std::unique_ptr<Scheduler> make_euler_ancestral(const SchedulerConfig& config) { return std::make_unique<EulerAncestral>(config); }

}  // namespace attelier
