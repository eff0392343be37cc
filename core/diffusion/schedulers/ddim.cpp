// DDIM (Song et al. 2021) and its inversion: DDIMScheduler and DDIMInverseScheduler.
#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"
#include "core/diffusion/schedulers/timestep_spacing.h"

namespace attelier {
namespace {

const std::vector<std::string> kPredictionTypes = {"epsilon", "sample", "v_prediction"};

class Ddim : public AlphaScheduler {
 public:
  explicit Ddim(const SchedulerConfig& config)
      : AlphaScheduler(config, {}, "leading", {"linspace", "leading", "trailing"}, kPredictionTypes), eta_(config.number("eta", 0, 0, 1)) {
    read_final_alpha(config, true);
    limits_.read_clipping(config, true);
    limits_.read_thresholding(config);
  }

  void set_timesteps(int64_t steps) override { space_timesteps(steps); }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource& noise) override {
    const int64_t timestep = enter_step(model_output, sample);
    const at::Tensor here = alpha(timestep), next = alpha(timestep - train_steps() / steps());
    const auto [original, epsilon] = estimate(model_output, sample, here);
    predicted_original_ = limits_.apply(original);
    const at::Tensor variance = (1 - next) / (1 - here) * (1 - here / next);
    const at::Tensor deviation = eta_ * variance.pow(0.5);
    // The noise is the raw prediction also where the clean sample was limited.
    const at::Tensor direction = (1 - next - deviation.pow(2)).pow(0.5) * epsilon;
    at::Tensor result = next.pow(0.5) * predicted_original_ + direction;
    if (eta_ > 0) result = result + deviation * draw(noise, model_output);
    ++index_;
    return result;
  }

 private:
  double eta_;
  SampleLimits limits_;
};

/// Rising timesteps; the model is called with the timestep that the step leads to.
class DdimInverse : public AlphaScheduler {
 public:
  explicit DdimInverse(const SchedulerConfig& config) : AlphaScheduler(config, {}, "leading", {"leading", "trailing"}, kPredictionTypes) {
    read_final_alpha(config, true);
    limits_.read_clipping(config, true);
  }

  void set_timesteps(int64_t steps) override {
    space_timesteps(steps);
    std::reverse(timesteps_.begin(), timesteps_.end());
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource&) override {
    const int64_t timestep = enter_step(model_output, sample);
    const at::Tensor here = alpha(timestep - train_steps() / steps()), next = alpha(timestep);
    const auto [original, epsilon] = estimate(model_output, sample, here);
    predicted_original_ = limits_.apply(original);
    const at::Tensor direction = (1 - next).pow(0.5) * epsilon;
    ++index_;
    return next.pow(0.5) * predicted_original_ + direction;
  }

 private:
  SampleLimits limits_;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config) { return std::make_unique<Ddim>(config); }
std::unique_ptr<Scheduler> make_ddim_inverse(const SchedulerConfig& config) { return std::make_unique<DdimInverse>(config); }

}  // namespace attelier
