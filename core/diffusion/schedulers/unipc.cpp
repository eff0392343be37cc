// UniPC, a predictor and corrector of any order (Zhao et al. 2023): UniPCMultistepScheduler.
#include "core/base/error.h"
#include "core/diffusion/schedulers/families.h"
#include "core/diffusion/schedulers/scheduler_base.h"

namespace attelier {
namespace {

class UniPc : public SolverScheduler {
 public:
  explicit UniPc(const SchedulerConfig& config)
      : SolverScheduler(config, /*knows_lambda=*/false),
        predicts_original_(config.boolean("predict_x0", true)),
        // The solver types of sibling classes stand for bh2, as in diffusers.
        bh1_(config.choice("solver_type", "bh2", {"bh1", "bh2", "midpoint", "heun", "logrho"}) == "bh1"),
        uncorrected_(config.numbers("disable_corrector")) {
    config.reject("solver_p", "the predictor is UniPC's own");
  }

  void set_timesteps(int64_t steps) override { space_sigmas(steps, train_steps(), /*rounds=*/true, /*last_sigma_of_rule=*/true); }

  void set_begin_index(int64_t index) override {
    index_ = index;
    outputs_.clear();
    last_sample_ = at::Tensor();
    seen_ = this_order_ = 0;
  }

  at::Tensor step(const at::Tensor& model_output, const at::Tensor& sample, const NoiseSource&) override {
    enter_step(model_output, sample);
    const bool corrects =
        index_ > 0 && last_sample_.defined() && std::find(uncorrected_.begin(), uncorrected_.end(), static_cast<double>(index_ - 1)) == uncorrected_.end();
    const Level here = level(index_);
    predicted_original_ = original(model_output, sample, here);
    const at::Tensor converted = predicts_original_ ? predicted_original_ : epsilon(model_output, sample, here);
    const at::Tensor x = corrects ? update(last_sample_, index_ - 1, this_order_, converted) : sample;
    outputs_.insert(outputs_.begin(), converted);
    if (static_cast<int64_t>(outputs_.size()) > order_) outputs_.pop_back();
    const int64_t left = static_cast<int64_t>(timesteps_.size()) - index_;
    this_order_ = std::min(lower_order_final_ ? std::min(order_, left) : order_, seen_ + 1);
    last_sample_ = x;
    const at::Tensor result = update(x, index_, this_order_, {});
    if (seen_ < order_) ++seen_;
    ++index_;
    return result;
  }

 private:
  /// From the level `from` to the next one with `order` known predictions, outputs_[0] being that at `from`. `arrived` is the prediction at the next
  /// level (corrector), or undefined (predictor).
  at::Tensor update(const at::Tensor& x, int64_t from, int64_t order, const at::Tensor& arrived) const {
    const Level t = level(from + 1), s = level(from);
    const at::Tensor h = t.lambda - s.lambda;
    const at::Tensor& m = outputs_[0];
    std::vector<float> places;
    std::vector<at::Tensor> differences;
    for (int64_t i = 1; i < order; ++i) {
      const at::Tensor place = (level(from - i).lambda - s.lambda) / h;
      places.push_back(place.item<float>());
      differences.push_back((outputs_[static_cast<size_t>(i)] - m) / place);
    }
    places.push_back(1);
    const at::Tensor signed_h = predicts_original_ ? -h : h, first = at::expm1(signed_h), scale = bh1_ ? signed_h : first;
    const at::Tensor weights = solve(places, signed_h, scale, order, arrived.defined()).to(x.options());
    at::Tensor sum;
    if (!differences.empty()) sum = at::einsum("k,bkc...->bc...", {weights.slice(0, 0, order - 1), at::stack(differences, 1)});
    if (arrived.defined()) {
      const at::Tensor change = weights[-1] * (arrived - m);
      sum = sum.defined() ? sum + change : change;
    }
    const at::Tensor& factor = predicts_original_ ? t.alpha : t.sigma;
    at::Tensor result = (predicts_original_ ? t.sigma / s.sigma : t.alpha / s.alpha) * x - factor * first * m;
    if (sum.defined()) result = result - factor * scale * sum;
    return result.to(x.scalar_type());
  }

  /// The weights rho of the differences (eq. 9 of the paper): one per place for the corrector, one fewer for the predictor.
  static at::Tensor solve(const std::vector<float>& places, const at::Tensor& h, const at::Tensor& scale, int64_t order, bool corrector) {
    if (corrector ? order == 1 : order <= 2) return at::tensor({0.5f});
    const at::Tensor rk = at::tensor(places);
    std::vector<at::Tensor> rows, right;
    at::Tensor phi = at::expm1(h) / h - 1;
    int64_t factorial = 1;
    for (int64_t i = 1; i <= order; ++i) {
      rows.push_back(at::pow(rk, i - 1));
      right.push_back(phi * factorial / scale);
      factorial *= i + 1;
      phi = phi / h - 1.0 / static_cast<double>(factorial);
    }
    const at::Tensor matrix = at::stack(rows), b = at::stack(right);
    return corrector ? at::linalg_solve(matrix, b) : at::linalg_solve(matrix.slice(0, 0, -1).slice(1, 0, -1), b.slice(0, 0, -1));
  }

  bool predicts_original_, bh1_;
  std::vector<double> uncorrected_;   // steps whose result is not corrected
  std::vector<at::Tensor> outputs_;   // converted predictions, the newest first
  at::Tensor last_sample_;
  int64_t seen_ = 0, this_order_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_unipc(const SchedulerConfig& config) { return std::make_unique<UniPc>(config); }

}  // namespace attelier
