// Latent consistency models (Luo et al. 2023): LCMScheduler.
#include <cmath>

#include "core/base/error.h"
#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"
#include "core/diffusion/schedulers/timestep_spacing.h"

namespace attelier {
namespace {

class Lcm : public AlphaScheduler {
 public:
  explicit Lcm(const SchedulerConfig& config)
      : AlphaScheduler(config, {0.00085, 0.012, "scaled_linear"}, "leading", {"linspace", "leading", "trailing"}, {"epsilon", "sample", "v_prediction"}),
        original_steps_(config.integer("original_inference_steps", 50, 1, train_steps())),
        timestep_scaling_(config.number("timestep_scaling", 10, 0, 1e6)) {
    read_final_alpha(config, true);
    limits_.read_clipping(config, false);
    limits_.read_thresholding(config);
  }

  /// A subset of the timesteps that the model was distilled at, whatever the spacing says.
  void set_timesteps(int64_t steps) override {
    if (steps > original_steps_)
      fail(ExitCode::kBadInput, "LCMScheduler cannot make {} steps; allowed is 1 to original_inference_steps, {}", steps, original_steps_);
    begin(steps);
    const int64_t stride = train_steps() / original_steps_;
    timesteps_.clear();
    for (const double place : linspace(0, static_cast<double>(original_steps_), steps, /*endpoint=*/false))
      timesteps_.push_back(static_cast<double>((original_steps_ - static_cast<int64_t>(std::floor(place))) * stride - 1));
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource& noise) override {
    const int64_t timestep = enter_step(model_output, sample);
    predicted_original_ = limits_.apply(estimate(model_output, sample, alpha(timestep)).original);
    // The boundary condition of consistency models: at timestep 0 the sample itself. 0.25 is the data's variance.
    const at::Tensor scaled = at::scalar_tensor(static_cast<double>(timestep), at::kFloat) * timestep_scaling_;
    const at::Tensor skip = (scaled.pow(2) + 0.25).reciprocal() * 0.25, out = scaled / (scaled.pow(2) + 0.25).pow(0.5);
    predicted_original_ = out * predicted_original_ + skip * sample;
    ++index_;
    if (index_ == static_cast<int64_t>(timesteps_.size())) return predicted_original_;
    const at::Tensor next = alpha(static_cast<int64_t>(timesteps_[static_cast<size_t>(index_)]));
    return next.sqrt() * predicted_original_ + (1 - next).sqrt() * draw(noise, predicted_original_);
  }

 private:
  int64_t original_steps_;
  double timestep_scaling_;
  SampleLimits limits_;
};

}  // namespace

std::unique_ptr<Scheduler> make_lcm(const SchedulerConfig& config) { return std::make_unique<Lcm>(config); }

}  // namespace attelier
