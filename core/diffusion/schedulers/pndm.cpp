// Pseudo numerical methods (Liu et al. 2022): PNDMScheduler, with its Runge-Kutta start or, with skip_prk_steps, multistep alone (PLMS).
#include <cmath>
#include <deque>

#include "core/base/error.h"
#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"
#include "core/diffusion/schedulers/timestep_spacing.h"

namespace attelier {
namespace {

constexpr int64_t kOrder = 4;

class Pndm : public AlphaScheduler {
 public:
  explicit Pndm(const SchedulerConfig& config)
      : AlphaScheduler(config, {.rescales = false}, "leading", {"linspace", "leading", "trailing"}, {"epsilon", "v_prediction"}),
        skips_runge_kutta_(config.boolean("skip_prk_steps", false)) {
    read_final_alpha(config, false);
  }

  void set_timesteps(int64_t steps) override {
    space_timesteps(steps);
    runge_kutta_.clear();
    std::vector<double>& t = timesteps_;
    if (skips_runge_kutta_) {
      if (steps > 1) t.insert(t.begin() + 1, t[1]);
      return;
    }
    if (steps < kOrder)
      fail(ExitCode::kBadInput, "PNDMScheduler without skip_prk_steps cannot make {} steps; allowed is {} to {}", steps, kOrder, train_steps());
    // The lowest order's worth of the falling list, each with the place half a step above; all but both ends twice.
    const double half = static_cast<double>(train_steps() / steps / 2);
    std::vector<double> places;
    for (int64_t i = 0; i < kOrder; ++i) {
      const double timestep = t[static_cast<size_t>(i)];
      if (i > 0) places.insert(places.end(), 2, timestep + half);
      places.insert(places.end(), i == 0 || i == kOrder - 1 ? 1 : 2, timestep);
    }
    for (const double place : places) runge_kutta_.push_back(static_cast<int64_t>(place));
    places.insert(places.end(), t.begin() + kOrder - 1, t.end());
    t = places;
    check_timesteps();
  }

  /// The counter of the method does not know where a run begins: it starts with a repeated step also in the middle, as in diffusers.
  void set_begin_index(int64_t index) override {
    index_ = index;
    counter_ = 0;
    history_.clear();
    weighted_ = kept_ = at::Tensor();
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource&) override {
    const int64_t timestep = enter_step(model_output, sample);
    const bool starting = !skips_runge_kutta_ && counter_ < static_cast<int64_t>(runge_kutta_.size());
    const at::Tensor result = starting ? runge_kutta(model_output, timestep, sample) : multistep(model_output, timestep, sample);
    ++counter_;
    ++index_;
    return result;
  }

 private:
  at::Tensor runge_kutta(at::Tensor output, int64_t timestep, const at::Tensor& sample) {
    const int64_t next = timestep - (counter_ % 2 != 0 ? 0 : train_steps() / steps() / 2);
    const int64_t from = runge_kutta_[static_cast<size_t>(counter_ / 4 * 4)];
    switch (counter_ % 4) {
      case 0:
        weighted_ = 1.0 / 6 * output;
        history_.push_back(output);
        kept_ = sample;
        break;
      case 1:
      case 2:
        weighted_ = weighted_ + 1.0 / 3 * output;
        break;
      default:
        output = weighted_ + 1.0 / 6 * output;
    }
    return transfer(kept_, from, next, output);
  }

  at::Tensor multistep(at::Tensor output, int64_t timestep, at::Tensor sample) {
    if (!skips_runge_kutta_ && history_.size() < 3)
      fail(ExitCode::kBadInput, "PNDMScheduler without skip_prk_steps cannot begin after its first {} evaluations; set skip_prk_steps", runge_kutta_.size());
    const int64_t stride = train_steps() / steps();
    int64_t next = timestep - stride;
    if (counter_ != 1) {
      if (history_.size() > 3) history_.pop_front();
      history_.push_back(output);
    } else {
      next = timestep;
      timestep += stride;
    }
    const auto past = [this](size_t age) { return history_[history_.size() - age]; };
    if (history_.size() == 1 && counter_ == 0) {
      kept_ = sample;
    } else if (history_.size() == 1) {
      output = (output + past(1)) / 2;
      sample = kept_;
    } else if (history_.size() == 2) {
      output = (3 * past(1) - past(2)) / 2;
    } else if (history_.size() == 3) {
      output = (23 * past(1) - 16 * past(2) + 5 * past(3)) / 12;
    } else {
      output = 1.0 / 24 * (55 * past(1) - 59 * past(2) + 37 * past(3) - 9 * past(4));
    }
    return transfer(sample, timestep, next, output);
  }

  /// Eq. 11 of the paper.
  at::Tensor transfer(const at::Tensor& sample, int64_t from, int64_t to, at::Tensor epsilon) {
    const at::Tensor here = alpha(std::min(from, train_steps() - 1)), next = alpha(to);
    if (prediction_type_ == "v_prediction") epsilon = here.pow(0.5) * epsilon + (1 - here).pow(0.5) * sample;
    predicted_original_ = (sample - (1 - here).pow(0.5) * epsilon) / here.pow(0.5);
    const at::Tensor denominator = here * (1 - next).pow(0.5) + (here * (1 - here) * next).pow(0.5);
    return (next / here).pow(0.5) * sample - (next - here) * epsilon / denominator;
  }

  bool skips_runge_kutta_;
  std::vector<int64_t> runge_kutta_;  // timesteps of the first 12 evaluations
  int64_t counter_ = 0;
  std::deque<at::Tensor> history_;  // at most four predictions, the oldest first
  at::Tensor weighted_, kept_;
};

}  // namespace

std::unique_ptr<Scheduler> make_pndm(const SchedulerConfig& config) { return std::make_unique<Pndm>(config); }

}  // namespace attelier
