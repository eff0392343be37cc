#include "core/training/optimizer.h"

#include <c10/core/GradMode.h>

#include <cmath>
#include <numbers>

#include "core/base/error.h"
#include "core/training/autocast.h"

namespace attelier {
namespace {

/// The nearest orthogonal matrix, roughly: five Newton-Schulz steps with the quintic of Muon, which brings every singular value into [0.7, 1.2]. In
/// bfloat16, as its authors do it, where that is fast: the direction needs no more.
at::Tensor orthogonalised(const at::Tensor& matrix) {
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = tall ? matrix.t() : matrix;
  x = (x / (x.norm() + 1e-7)).to(multiplies_bfloat16(matrix.device().type()) ? at::kBFloat16 : at::kFloat).contiguous();
  for (int i = 0; i < 5; ++i) {
    const at::Tensor a = at::mm(x, x.t());
    x = at::addmm(x, at::addmm(a, a, a, -4.7750, 2.0315), x, 3.4445);
  }
  return (tall ? x.t() : x).to(at::kFloat);
}

}  // namespace

Optimizer::Optimizer(nn::Module& module, const OptimizerConfig& config) : config_(config) {
  for (const auto& [name, parameter] : module.named_parameters()) {
    parameter->value.set_requires_grad(!parameter->is_buffer);
    const at::Tensor plain = parameter->value.detach();
    Slot slot{name, parameter, plain.clone(), {}, {}, {}};
    if (!parameter->is_buffer) slot.moment1 = at::zeros_like(plain), slot.moment2 = at::zeros_like(plain), slot.step = at::zeros({}, plain.options());
    slots_.push_back(std::move(slot));
  }
}

double Optimizer::learning_rate(int64_t step, int64_t total_steps) const {
  const double warm = std::min(1.0, (static_cast<double>(step) + 1) / static_cast<double>(std::max<int64_t>(config_.warm_up, 1)));
  const double progress = std::min(1.0, static_cast<double>(step) / static_cast<double>(std::max<int64_t>(total_steps, 1)));
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return config_.learning_rate * warm * (config_.minimum_rate + (1 - config_.minimum_rate) * cosine);
}

// A table of vectors is no matrix.
bool Optimizer::is_matrix(const Slot& slot) const {
  return config_.muon_rate > 0 && slot.parameter->shape.size() >= 2 && !slot.name.ends_with("embedding.weight");
}

void Optimizer::step_muon(Slot& slot, double rate) const {
  const at::Tensor& gradient = slot.parameter->value.grad();
  slot.moment1.lerp_(gradient, 1 - config_.muon_momentum);
  const at::Tensor direction = gradient.lerp(slot.moment1, config_.muon_momentum).flatten(1);
  // Kernels [out, in, k, k] count as matrices [out, in k k]; the factor keeps the size of the outputs' change independent of the shape.
  const double shape_factor = std::sqrt(std::max(1.0, static_cast<double>(direction.size(0)) / static_cast<double>(direction.size(1))));
  slot.parameter->value.mul_(1 - rate * config_.weight_decay).add_(orthogonalised(direction).reshape(slot.parameter->value.sizes()), -rate * shape_factor);
}

double Optimizer::step(int64_t step, int64_t total_steps) {
  c10::NoGradGuard no_grad;
  std::vector<at::Tensor> parameters, gradients, first, second, steps;
  double squares = 0;
  for (Slot& slot : slots_) {
    const at::Tensor& gradient = slot.parameter->value.grad();
    if (!gradient.defined()) continue;
    squares += gradient.pow(2).sum().item<double>();
    if (is_matrix(slot)) continue;
    parameters.push_back(slot.parameter->value);
    gradients.push_back(gradient);
    first.push_back(slot.moment1);
    second.push_back(slot.moment2);
    steps.push_back(slot.step);
  }
  const double norm = std::sqrt(squares);
  if (std::isfinite(norm)) {
    // Muon's direction has the same size whatever the gradient's, so only AdamW's share is clipped.
    if (!parameters.empty()) {  // a LoRA has matrices alone
      if (config_.clip_norm > 0 && norm > config_.clip_norm) at::_foreach_mul_(gradients, config_.clip_norm / (norm + 1e-6));
      at::_foreach_add_(steps, 1);
      at::_fused_adamw_(parameters, gradients, first, second, /*max_exp_avg_sqs=*/{}, steps, learning_rate(step, total_steps), config_.beta1,
                        config_.beta2, config_.weight_decay, config_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
    }
    // The average follows faster at the start, when the weights still move far.
    const double decay = std::min(config_.ema_decay, (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step)));
    for (Slot& slot : slots_) {
      if (slot.parameter->is_buffer) slot.average.copy_(slot.parameter->value);
      if (!slot.parameter->value.grad().defined()) continue;
      if (is_matrix(slot)) step_muon(slot, learning_rate(step, total_steps) * config_.muon_rate / config_.learning_rate);
      slot.average.lerp_(slot.parameter->value, 1 - decay);
    }
  }
  for (Slot& slot : slots_) slot.parameter->value.mutable_grad().reset();
  return norm;
}

void Optimizer::swap_average() {
  c10::NoGradGuard no_grad;
  for (Slot& slot : slots_) {
    const at::Tensor weights = slot.parameter->value.detach().clone();
    slot.parameter->value.detach().copy_(slot.average);
    slot.average.copy_(weights);
  }
}

NamedTensors Optimizer::state() const {
  NamedTensors tensors;
  for (const Slot& slot : slots_) {
    tensors.emplace_back("model." + slot.name, slot.parameter->value.detach());
    tensors.emplace_back("average." + slot.name, slot.average);
    if (slot.parameter->is_buffer) continue;
    tensors.emplace_back("moment1." + slot.name, slot.moment1);
    tensors.emplace_back("moment2." + slot.name, slot.moment2);
    tensors.emplace_back("step." + slot.name, slot.step);
  }
  return tensors;
}

int64_t Optimizer::state_bytes() const {
  int64_t bytes = 0;
  for (const Slot& slot : slots_) bytes += 4 * static_cast<int64_t>(slot.average.nbytes());
  return bytes;
}

std::string Optimizer::not_finite() const {
  for (const Slot& slot : slots_)
    if (!at::isfinite(slot.parameter->value.detach()).all().item<bool>()) return slot.name;
  return "";
}

void Optimizer::restore(const TensorSource& source, int64_t step) {
  c10::NoGradGuard no_grad;
  const auto load = [&](const std::string& name, const at::Tensor& target) {
    const auto found = source.tensors().find(name);
    if (found == source.tensors().end() || found->second.shape != target.sizes().vec())
      fail(ExitCode::kModel, "{}: tensor {} is missing or has another shape than the configuration asks for; start again without --resume",
           source.path().string(), name);
    target.copy_(source.read(name));
  };
  for (Slot& slot : slots_) {
    load("model." + slot.name, slot.parameter->value.detach());
    load("average." + slot.name, slot.average);
    if (slot.parameter->is_buffer) continue;
    load("moment1." + slot.name, slot.moment1);
    load("moment2." + slot.name, slot.moment2);
    // A parameter that a step has no gradient for is not stepped: the text layers of an SDXL LoRA where every caption of the batch was dropped. States
    // written before this was kept have the run's steps alone.
    if (source.tensors().contains("step." + slot.name)) load("step." + slot.name, slot.step);
    else slot.step.fill_(static_cast<double>(step));
  }
}

}  // namespace attelier
