#include "core/nn/layers.h"

#include <cmath>

#include "core/nn/prepared_weights.h"
#include "kernels/convolution.h"
#include "kernels/layers.h"

namespace attelier::nn {
namespace {

constexpr double kRunningMomentum = 0.1;  // of PyTorch

}  // namespace

Linear::Linear(int64_t in, int64_t out, bool with_bias) {
  weight.shape = {out, in};
  add("weight", weight);
  if (!with_bias) return;
  bias.shape = {out};
  add("bias", bias);
}

at::Tensor Linear::forward(const at::Tensor& x, const at::Tensor& addend) const {
  at::Tensor y;
  if (weight.value.is_mkldnn()) {
    y = prepared_linear(x, weight.value, bias.value, addend);
  } else {
    y = at::linear(x, weight.value, bias.value);
    if (addend.defined()) y = y + addend;
  }
  for (const LowRank& adapter : low_rank) y = y + adapter.scale * at::linear(at::linear(x, adapter.down), adapter.up);
  return y;
}

void Linear::prepare_own() {
  if (can_prepare(weight.value)) weight.value = prepare_linear(weight.value);
}

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding) : Conv2d(in, out, kernel, {.stride = stride, .padding = padding}) {}

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, const ConvolutionOptions& options) : options_(options) {
  weight.shape = {out, in / options.groups, kernel, kernel};
  add("weight", weight);
  if (!options.bias) return;
  bias.shape = {out};
  add("bias", bias);
}

at::Tensor Conv2d::convolve(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& shift) const {
  const auto& [stride, padding, dilation, groups, with_bias] = options_;
  return at::conv2d(x, kernel, shift, {stride, stride}, {padding, padding}, {dilation, dilation}, groups);
}

at::Tensor Conv2d::forward(const at::Tensor& x, const at::Tensor& addend) const {
  at::Tensor y;
  if (weight.is_packed()) {
    y = kernels::convolve_3x3(x, weight.value, weight.shape, bias.value, addend);
  } else if (!weight.value.is_mkldnn()) {
    y = convolve(x, weight.value, bias.value);
    if (addend.defined()) y = y + addend;
  } else if (is_pointwise()) {
    y = prepared_pointwise(x, weight.value, bias.value, addend);
  } else {
    y = prepared_convolution(x, weight.value, bias.value, options_, addend);
  }
  for (const LowRank& adapter : low_rank) y = y + adapter.scale * at::conv2d(convolve(x, adapter.down, {}), adapter.up);
  return y;
}

void Conv2d::prepare_own() {
  if (weight.is_prepared()) return;
  const auto& [stride, padding, dilation, groups, with_bias] = options_;
  if (stride == 1 && padding == 1 && dilation == 1 && groups == 1 && kernels::can_pack_3x3(weight.value)) weight.value = kernels::pack_3x3(weight.value);
  else if (can_prepare(weight.value)) weight.value = is_pointwise() ? prepare_linear(weight.value.flatten(1)) : prepare_convolution(weight.value, options_);
}

bool Conv2d::is_pointwise() const {
  return weight.shape[2] == 1 && weight.shape[3] == 1 && options_.stride == 1 && options_.padding == 0 && options_.groups == 1;
}

BatchNorm2d::BatchNorm2d(int64_t channels, double epsilon) : epsilon_(epsilon) {
  for (Parameter* parameter : {&weight, &bias, &running_mean, &running_var}) parameter->shape = {channels};
  running_mean.is_buffer = running_var.is_buffer = true;
  add("weight", weight);
  add("bias", bias);
  add("running_mean", running_mean);
  add("running_var", running_var);
}

at::Tensor BatchNorm2d::forward(const at::Tensor& x, bool training) const {
  return at::batch_norm(x, weight.value, bias.value, running_mean.value, running_var.value, training, kRunningMomentum, epsilon_, false);
}

at::Tensor BatchNorm2d::forward_silu(at::Tensor x, bool training) const {
  if (training) return at::silu(forward(x, training));
  return kernels::batch_norm_silu(std::move(x), running_mean.value, running_var.value, weight.value, bias.value, epsilon_);
}

void BatchNorm2d::initialise_own(at::Generator&) {
  weight.value = at::ones(weight.shape, at::kFloat);
  bias.value = at::zeros(bias.shape, at::kFloat);
  running_mean.value = at::zeros(running_mean.shape, at::kFloat);
  running_var.value = at::ones(running_var.shape, at::kFloat);
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double epsilon) : groups_(groups), epsilon_(epsilon) {
  weight.shape = bias.shape = {channels};
  add("weight", weight);
  add("bias", bias);
}

at::Tensor GroupNorm::forward(const at::Tensor& x) const { return kernels::group_norm(x, groups_, weight.value, bias.value, epsilon_); }

at::Tensor GroupNorm::forward_silu(const at::Tensor& x, const at::Tensor& shift) const {
  return kernels::group_norm(x, groups_, weight.value, bias.value, epsilon_, shift, true);
}

void GroupNorm::initialise_own(at::Generator&) {
  weight.value = at::ones(weight.shape, at::kFloat);
  bias.value = at::zeros(bias.shape, at::kFloat);
}

LayerNorm::LayerNorm(int64_t channels, double epsilon) : epsilon_(epsilon) {
  weight.shape = bias.shape = {channels};
  add("weight", weight);
  add("bias", bias);
}

at::Tensor LayerNorm::forward(const at::Tensor& x) const { return at::layer_norm(x, weight.shape, weight.value, bias.value, epsilon_); }

void LayerNorm::initialise_own(at::Generator&) {
  weight.value = at::ones(weight.shape, at::kFloat);
  bias.value = at::zeros(bias.shape, at::kFloat);
}

Embedding::Embedding(int64_t count, int64_t width) {
  weight.shape = {count, width};
  add("weight", weight);
}

at::Tensor Embedding::forward(const at::Tensor& ids) const { return at::embedding(weight.value, ids); }

void Embedding::initialise_own(at::Generator& generator) { weight.value = at::empty(weight.shape, at::kFloat).normal_(0, 0.02, generator); }

at::Tensor sinusoidal_embedding(const at::Tensor& t, int64_t width) {
  const int64_t half = width / 2;
  const at::Tensor k = at::arange(half, at::TensorOptions().dtype(at::kFloat).device(t.device()));
  const at::Tensor frequency = at::exp(-std::log(10000.0) * k / static_cast<double>(half));
  const at::Tensor angle = t.to(at::kFloat).unsqueeze(1) * frequency.unsqueeze(0);  // [B, half]
  return at::cat({at::cos(angle), at::sin(angle)}, 1);
}

}  // namespace attelier::nn
