// Ancestral sampling (Ho et al. 2020): DDPMScheduler with fixed variances.
#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"

namespace attelier {
namespace {

class Ddpm : public AlphaScheduler {
 public:
  explicit Ddpm(const SchedulerConfig& config)
      : AlphaScheduler(config, {.more_schedules = {"sigmoid"}}, "leading", {"linspace", "leading", "trailing"}, {"epsilon", "sample", "v_prediction"}),
        variance_type_(config.choice("variance_type", "fixed_small", {"fixed_small", "fixed_small_log", "fixed_large"})) {
    final_alpha_ = at::scalar_tensor(1.0, at::kFloat);
    limits_.read_clipping(config, true);
    limits_.read_thresholding(config);
  }

  void set_timesteps(int64_t steps) override { space_timesteps(steps); }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource& noise) override {
    const int64_t timestep = enter_step(model_output, sample);
    const auto following = static_cast<size_t>(index_) + 1;
    const at::Tensor here = alpha(timestep), next = alpha(following < timesteps_.size() ? static_cast<int64_t>(timesteps_[following]) : -1);
    const at::Tensor step_alpha = here / next, step_beta = 1 - step_alpha;
    predicted_original_ = limits_.apply(estimate(model_output, sample, here).original);
    const at::Tensor original_share = next.pow(0.5) * step_beta / (1 - here);
    const at::Tensor sample_share = step_alpha.pow(0.5) * (1 - next) / (1 - here);
    at::Tensor result = original_share * predicted_original_ + sample_share * sample;
    if (timestep > 0) result = result + deviation((1 - next) / (1 - here) * step_beta, step_beta) * draw(noise, model_output);
    ++index_;
    return result;
  }

 private:
  at::Tensor deviation(const at::Tensor& posterior_variance, const at::Tensor& step_beta) const {
    if (variance_type_ == "fixed_small_log") return (0.5 * posterior_variance.clamp_min(1e-20).log()).exp();
    if (variance_type_ == "fixed_large") return step_beta.pow(0.5);
    return posterior_variance.clamp_min(1e-20).pow(0.5);
  }

  std::string variance_type_;
  SampleLimits limits_;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddpm(const SchedulerConfig& config) { return std::make_unique<Ddpm>(config); }

}  // namespace attelier
