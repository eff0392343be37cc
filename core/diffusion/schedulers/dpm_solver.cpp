// DPM-Solver and DPM-Solver++ (Lu et al. 2022), ODE and SDE, first to third order: DPMSolverMultistepScheduler. Steps are made in float32.
#include <limits>

#include "core/base/error.h"
#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"

namespace attelier {
namespace {

/// With fewer steps than this, lower_order_final acts (Lu et al. 2022, appendix D).
constexpr size_t kFewSteps = 15;

class DpmSolver : public SolverScheduler {
 public:
  explicit DpmSolver(const SchedulerConfig& config) : SolverScheduler(config, /*knows_lambda=*/true) {
    // diffusers reads the algorithm and solver types of sibling classes as its own defaults.
    const std::string algorithm = config.choice("algorithm_type", "dpmsolver++", {"dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver", "deis"});
    predicts_original_ = algorithm == "dpmsolver++" || algorithm == "sde-dpmsolver++" || algorithm == "deis";
    stochastic_ = algorithm == "sde-dpmsolver++" || algorithm == "sde-dpmsolver";
    heun_ = config.choice("solver_type", "midpoint", {"midpoint", "heun", "logrho", "bh1", "bh2"}) == "heun";
    euler_at_final_ = config.boolean("euler_at_final", false);
    config.choice("variance_type", "", {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"});
    rounds_ = config.choice("beta_schedule", "linear", {"linear", "scaled_linear", "squaredcos_cap_v2"}) != "squaredcos_cap_v2";
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const double clipped = config.number("lambda_min_clipped", -kInfinity, -kInfinity, kInfinity);
    const at::Tensor lambda = alphas_.sqrt().log() - (1 - alphas_).sqrt().log();
    last_ = train_steps() - at::searchsorted(lambda.flip(0), clipped).item<int64_t>();
    if (last_ < 1) fail(ExitCode::kModel, "scheduler config: lambda_min_clipped of {} is {}; it leaves no timestep", class_name(), clipped);
    if (!predicts_original_ && ends_at_zero_)
      fail(ExitCode::kModel, "scheduler config: final_sigmas_type of {} is zero; allowed with algorithm_type {} is sigma_min", class_name(), algorithm);
    if (!predicts_original_ && stochastic_ && order_ == 3)
      fail(ExitCode::kModel, "scheduler config: solver_order of {} is 3; allowed with algorithm_type sde-dpmsolver is 1 or 2", class_name());
  }

  void set_timesteps(int64_t steps) override { space_sigmas(steps, last_, rounds_, /*last_sigma_of_rule=*/false); }

  void set_begin_index(int64_t index) override {
    index_ = index;
    outputs_.clear();
    seen_ = 0;
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource& noise) override {
    enter_step(model_output, sample);
    const size_t count = timesteps_.size(), here = static_cast<size_t>(index_);
    const bool few = lower_order_final_ && count < kFewSteps;
    const bool first_at_end = here + 1 == count && (euler_at_final_ || few || ends_at_zero_);
    const bool second_at_end = here + 2 == count && few;
    const at::Tensor converted = convert(model_output, sample);
    outputs_.insert(outputs_.begin(), converted);
    if (static_cast<int64_t>(outputs_.size()) > order_) outputs_.pop_back();
    const at::Tensor x = sample.to(at::kFloat);
    const at::Tensor drawn = stochastic_ ? draw(noise, converted.to(at::kFloat)) : at::Tensor();
    at::Tensor result;
    if (order_ == 1 || seen_ < 1 || first_at_end)
      result = first_order(x, drawn);
    else if (order_ == 2 || seen_ < 2 || second_at_end)
      result = second_order(x, drawn);
    else
      result = third_order(x, drawn);
    if (seen_ < order_) ++seen_;
    ++index_;
    return result.to(converted.scalar_type());
  }

 private:
  /// The clean sample for the ++ algorithms, else the noise.
  at::Tensor convert(const at::Tensor& model_output, const at::Tensor& sample) {
    const Level here = level(index_);
    predicted_original_ = original(model_output, sample, here);
    if (predicts_original_) return predicted_original_;
    const at::Tensor noise = epsilon(model_output, sample, here);
    return limits_.thresholds() ? (sample - here.alpha * limits_.apply((sample - here.sigma * noise) / here.alpha)) / here.sigma : noise;
  }

  at::Tensor first_order(const at::Tensor& x, const at::Tensor& noise) const {
    const Level t = level(index_ + 1), s = level(index_);
    const at::Tensor h = t.lambda - s.lambda;
    const at::Tensor& m = outputs_[0];
    if (predicts_original_) {
      if (!stochastic_) return t.sigma / s.sigma * x - t.alpha * (at::exp(-h) - 1.0) * m;
      return t.sigma / s.sigma * at::exp(-h) * x + t.alpha * (1 - at::exp(-2.0 * h)) * m + t.sigma * at::sqrt(1.0 - at::exp(-2 * h)) * noise;
    }
    if (!stochastic_) return t.alpha / s.alpha * x - t.sigma * (at::exp(h) - 1.0) * m;
    return t.alpha / s.alpha * x - 2.0 * (t.sigma * (at::exp(h) - 1.0)) * m + t.sigma * at::sqrt(at::exp(2 * h) - 1.0) * noise;
  }

  at::Tensor second_order(const at::Tensor& x, const at::Tensor& noise) const {
    const Level t = level(index_ + 1), s = level(index_), s1 = level(index_ - 1);
    const at::Tensor h = t.lambda - s.lambda, r = (s.lambda - s1.lambda) / h;
    const at::Tensor& d0 = outputs_[0];
    const at::Tensor d1 = r.reciprocal() * (outputs_[0] - outputs_[1]);
    if (predicts_original_ && !stochastic_) {
      const at::Tensor base = t.sigma / s.sigma * x - t.alpha * (at::exp(-h) - 1.0) * d0;
      if (heun_) return base + t.alpha * ((at::exp(-h) - 1.0) / h + 1.0) * d1;
      return base - 0.5 * (t.alpha * (at::exp(-h) - 1.0)) * d1;
    }
    if (predicts_original_) {
      const at::Tensor base = t.sigma / s.sigma * at::exp(-h) * x + t.alpha * (1 - at::exp(-2.0 * h)) * d0;
      const at::Tensor spread = t.sigma * at::sqrt(1.0 - at::exp(-2 * h)) * noise;
      if (heun_) return base + t.alpha * ((1.0 - at::exp(-2.0 * h)) / (-2.0 * h) + 1.0) * d1 + spread;
      return base + 0.5 * (t.alpha * (1 - at::exp(-2.0 * h))) * d1 + spread;
    }
    if (!stochastic_) {
      const at::Tensor base = t.alpha / s.alpha * x - t.sigma * (at::exp(h) - 1.0) * d0;
      if (heun_) return base - t.sigma * ((at::exp(h) - 1.0) / h - 1.0) * d1;
      return base - 0.5 * (t.sigma * (at::exp(h) - 1.0)) * d1;
    }
    const at::Tensor base = t.alpha / s.alpha * x - 2.0 * (t.sigma * (at::exp(h) - 1.0)) * d0;
    const at::Tensor spread = t.sigma * at::sqrt(at::exp(2 * h) - 1.0) * noise;
    if (heun_) return base - 2.0 * (t.sigma * ((at::exp(h) - 1.0) / h - 1.0)) * d1 + spread;
    return base - t.sigma * (at::exp(h) - 1.0) * d1 + spread;
  }

  at::Tensor third_order(const at::Tensor& x, const at::Tensor& noise) const {
    const Level t = level(index_ + 1), s = level(index_), s1 = level(index_ - 1), s2 = level(index_ - 2);
    const at::Tensor h = t.lambda - s.lambda, r0 = (s.lambda - s1.lambda) / h, r1 = (s1.lambda - s2.lambda) / h;
    const at::Tensor& d0 = outputs_[0];
    const at::Tensor d10 = r0.reciprocal() * (outputs_[0] - outputs_[1]), d11 = r1.reciprocal() * (outputs_[1] - outputs_[2]);
    const at::Tensor d1 = d10 + r0 / (r0 + r1) * (d10 - d11), d2 = (r0 + r1).reciprocal() * (d10 - d11);
    if (predicts_original_ && !stochastic_)
      return t.sigma / s.sigma * x - t.alpha * (at::exp(-h) - 1.0) * d0 + t.alpha * ((at::exp(-h) - 1.0) / h + 1.0) * d1 -
             t.alpha * ((at::exp(-h) - 1.0 + h) / h.pow(2) - 0.5) * d2;
    if (predicts_original_)
      return t.sigma / s.sigma * at::exp(-h) * x + t.alpha * (1.0 - at::exp(-2.0 * h)) * d0 + t.alpha * ((1.0 - at::exp(-2.0 * h)) / (-2.0 * h) + 1.0) * d1 +
             t.alpha * ((1.0 - at::exp(-2.0 * h) - 2.0 * h) / (2.0 * h).pow(2) - 0.5) * d2 + t.sigma * at::sqrt(1.0 - at::exp(-2 * h)) * noise;
    return t.alpha / s.alpha * x - t.sigma * (at::exp(h) - 1.0) * d0 - t.sigma * ((at::exp(h) - 1.0) / h - 1.0) * d1 -
           t.sigma * ((at::exp(h) - 1.0 - h) / h.pow(2) - 0.5) * d2;
  }

  bool predicts_original_ = true, stochastic_ = false, heun_ = false, euler_at_final_ = false, rounds_ = true;
  int64_t last_ = 1000;
  std::vector<at::Tensor> outputs_;  // converted predictions, the newest first
  int64_t seen_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_dpm_solver(const SchedulerConfig& config) { return std::make_unique<DpmSolver>(config); }

}  // namespace attelier
