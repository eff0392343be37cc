// Muon for matrices and kernels, AdamW for the rest, with warm-up, cosine decay, gradient clipping and an exponential moving average of the weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/nn/module.h"
#include "core/weights/tensor_file.h"

namespace attelier {

struct OptimizerConfig {
  double learning_rate = 2e-4;
  double minimum_rate = 0.02;  // of learning_rate, reached at the last step
  int64_t warm_up = 200;
  double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, weight_decay = 0.01;
  double clip_norm = 1;
  /// Above zero: weights of two and more axes are stepped by Muon at this rate instead (Jordan et al. 2024, "Muon: an optimizer for hidden layers").
  double muon_rate = 0;
  double muon_momentum = 0.95;
  double ema_decay = 0.999;
};

/// Owns the moments and the average of every parameter of a module (float32). Buffers (running statistics) are no parameters: they are kept, and their
/// average is what they are. The learning rate is a function of the step alone, so a resumed run
/// continues as if it had not stopped.
class Optimizer {
 public:
  Optimizer(nn::Module& module, const OptimizerConfig& config);

  /// Applies the gradients that backward() left in the parameters, then clears them. Returns their norm before clipping.
  double step(int64_t step, int64_t total_steps);
  double learning_rate(int64_t step, int64_t total_steps) const;

  /// Exchanges the weights with their average (call again to exchange back).
  void swap_average();

  /// "model.NAME", "average.NAME" and, of parameters, "moment1.NAME", "moment2.NAME" and "step.NAME", how often AdamW has stepped it.
  NamedTensors state() const;
  int64_t state_bytes() const;
  /// The name of a parameter that holds NaN or Inf, empty if all are finite.
  std::string not_finite() const;
  /// `step`: of the run. Throws Error(kModel) when a tensor is missing or has another shape.
  void restore(const TensorSource& source, int64_t step);

 private:
  struct Slot {
    std::string name;
    nn::Parameter* parameter;
    at::Tensor average, moment1, moment2, step;
  };
  bool is_matrix(const Slot& slot) const;
  void step_muon(Slot& slot, double rate) const;

  OptimizerConfig config_;
  std::vector<Slot> slots_;
};

}  // namespace attelier
