// Heun's method of second order (Karras et al. 2022, algorithm 1): HeunDiscreteScheduler. Two evaluations per step, one for the last.
#include <limits>

#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"

namespace attelier {
namespace {

const NoiseScheduleDefaults kNoiseSchedule = {.beta_start = 0.00085, .beta_end = 0.012, .more_schedules = {"exp"}, .rescales = false};

/// Every value but the first twice.
std::vector<double> doubled(const std::vector<double>& values) {
  std::vector<double> result = {values.front()};
  for (size_t i = 1; i < values.size(); ++i) result.insert(result.end(), 2, values[i]);
  return result;
}

class Heun : public SigmaScheduler {
 public:
  explicit Heun(const SchedulerConfig& config) : SigmaScheduler(config, kNoiseSchedule, {"epsilon", "sample", "v_prediction"}) {
    rule_ = read_sigma_rule(config, false);
    sigma_min_ = config.optional_number("sigma_min", 0, std::numeric_limits<double>::max());
    sigma_max_ = config.optional_number("sigma_max", 0, std::numeric_limits<double>::max());
    limits_.read_clipping(config, false);
  }

  int64_t order() const override { return 2; }

  void set_timesteps(int64_t steps) override {
    std::vector<double> sigmas = doubled(space_sigmas(steps));
    sigmas.push_back(0);
    set_sigmas(sigmas);
    timesteps_ = doubled(timesteps_);
  }

  void set_begin_index(int64_t index) override {
    index_ = index;
    first_derivative_ = first_sample_ = at::Tensor();
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource&) override {
    enter_step(model_output, sample);
    const bool predicts = !first_derivative_.defined();
    const at::Tensor from = sigma(predicts ? index_ : index_ - 1), to = sigma(predicts ? index_ + 1 : index_);
    predicted_original_ = limits_.apply(original(model_output, sample, predicts ? from : to));
    const at::Tensor derivative = (sample - predicted_original_) / (predicts ? from : to);
    ++index_;
    if (predicts) {
      first_derivative_ = derivative;
      first_sample_ = sample;
      return sample + derivative * (to - from);
    }
    const at::Tensor result = first_sample_ + (first_derivative_ + derivative) / 2 * (to - from);
    first_derivative_ = first_sample_ = at::Tensor();
    return result;
  }

 private:
  SampleLimits limits_;
  at::Tensor first_derivative_, first_sample_;  // defined between the two evaluations of a step
};

}  // namespace

std::unique_ptr<Scheduler> make_heun(const SchedulerConfig& config) { return std::make_unique<Heun>(config); }

}  // namespace attelier
