// Linear multistep method of fourth order: LMSDiscreteScheduler.
#include <cmath>
#include <deque>

#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"

namespace attelier {
namespace {

constexpr int64_t kOrder = 4;

class Lms : public SigmaScheduler {
 public:
  explicit Lms(const SchedulerConfig& config) : SigmaScheduler(config, {.rescales = false}, {"epsilon", "sample", "v_prediction"}) {
    rule_ = read_sigma_rule(config, false);
  }

  void set_timesteps(int64_t steps) override {
    std::vector<double> sigmas = space_sigmas(steps);
    sigmas.push_back(0);
    set_sigmas(sigmas);
  }

  void set_begin_index(int64_t index) override {
    index_ = index;
    derivatives_.clear();
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource&) override {
    enter_step(model_output, sample);
    predicted_original_ = original(model_output, sample, sigma(index_));
    derivatives_.push_front((sample - predicted_original_) / sigma(index_));
    if (static_cast<int64_t>(derivatives_.size()) > kOrder) derivatives_.pop_back();
    // Begun in the middle, the order counts the levels above and not the derivatives seen, as in diffusers.
    const int64_t order = std::min(index_ + 1, kOrder);
    at::Tensor sum;
    for (size_t j = 0; j < derivatives_.size(); ++j) {
      const at::Tensor term = coefficient(order, static_cast<int64_t>(j)) * derivatives_[j];
      sum = sum.defined() ? sum + term : term;
    }
    ++index_;
    return sample + sum;
  }

 private:
  double level(int64_t age) const { return sigmas_[static_cast<size_t>(index_ - age)]; }

  /// Integral of Lagrange's polynomial `j` over the step; two-point Gauss-Legendre is exact for cubics.
  double coefficient(int64_t order, int64_t j) const {
    const double from = level(0), to = level(-1), middle = (from + to) / 2, half = (to - from) / 2;
    const auto polynomial = [&](double tau) {
      double product = 1;
      for (int64_t k = 0; k < order; ++k)
        if (k != j) product *= (tau - level(k)) / (level(j) - level(k));
      return product;
    };
    const double offset = half / std::sqrt(3.0);
    return half * (polynomial(middle - offset) + polynomial(middle + offset));
  }

  std::deque<at::Tensor> derivatives_;  // the newest first
};

}  // namespace

std::unique_ptr<Scheduler> make_lms(const SchedulerConfig& config) { return std::make_unique<Lms>(config); }

}  // namespace attelier
