#include "kernels/layers.h"

#include <ATen/core/grad_mode.h>

#include <array>
#include <cmath>

#include "kernels/cpu/level.h"
#include "kernels/parallel.h"

namespace attelier::kernels {
namespace {

constexpr int64_t kElementsPerThread = 1 << 15;

bool has_own_kernel(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && !(at::GradMode::is_enabled() && x.requires_grad()) && x.numel() > 0;
}

/// True for memory that nobody else holds, in a tensor of which no gradient is wanted. Without InferenceMode a reshaped result keeps the tensor it came from.
bool is_expendable(const at::Tensor& x) {
  if (x.use_count() != 1 || (at::GradMode::is_enabled() && x.requires_grad())) return false;
  return x.is_view() ? x.storage().use_count() == 2 && x._base().use_count() == 1 : x.storage().use_count() == 1;
}

cpu::Element element_of(const at::Tensor& x) { return x.scalar_type() == at::kFloat ? cpu::Element::kFloat32 : cpu::Element::kBFloat16; }

}  // namespace

at::Tensor group_norm(const at::Tensor& x, int64_t groups, const at::Tensor& weight, const at::Tensor& bias, double epsilon, const at::Tensor& shift, bool silu) {
  const bool has_gradient = at::GradMode::is_enabled() && (weight.requires_grad() || (shift.defined() && shift.requires_grad()));
  if (!has_own_kernel(x) || has_gradient || x.dim() != 4 || !x.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    const at::Tensor y = at::group_norm(shift.defined() ? x + shift.unsqueeze(2).unsqueeze(3) : x, groups, weight, bias, epsilon);
    return silu ? at::silu(y) : y;
  }
  const at::Tensor wide_weight = weight.to(at::kFloat), wide_bias = bias.to(at::kFloat);
  const at::Tensor wide_shift = shift.defined() ? shift.to(at::kFloat).expand({x.size(0), x.size(1)}).contiguous() : shift;
  at::Tensor y = at::empty_like(x);
  cpu::GroupNormCall call{};
  call.x = x.const_data_ptr();
  call.y = y.mutable_data_ptr();
  call.element = element_of(x);
  call.batches = x.size(0);
  call.channels = x.size(1);
  call.positions = x.size(2) * x.size(3);
  call.groups = groups;
  call.weight = wide_weight.const_data_ptr<float>();
  call.bias = wide_bias.const_data_ptr<float>();
  call.shift = wide_shift.defined() ? wide_shift.const_data_ptr<float>() : nullptr;
  call.epsilon = static_cast<float>(epsilon);
  call.silu = silu;
  // Chunks depend on the shape alone, so the thread count changes nothing.
  call.chunk = std::max<int64_t>(64, (call.positions + 127) / 128);
  call.chunks = (call.positions + call.chunk - 1) / call.chunk;
  const at::Tensor sums = at::empty({call.batches, call.chunks, 2, call.channels}, at::kFloat), factors = at::empty({call.batches, 2, call.channels}, at::kFloat);
  call.sums = sums.mutable_data_ptr<float>();
  call.factors = factors.mutable_data_ptr<float>();
  const cpu::LayerKernels& kernels = cpu::layer_kernels_of(cpu::current_level());
  const int64_t grain = std::max<int64_t>(1, kElementsPerThread / (call.chunk * call.channels));
  parallel_ranges(call.batches * call.chunks, grain, [&](int64_t begin, int64_t end) { kernels.group_norm_sums(call, begin, end); });
  parallel_ranges(call.batches, 1, [&](int64_t begin, int64_t end) { kernels.group_norm_factors(call, begin, end); });
  parallel_ranges(call.batches * call.chunks, grain, [&](int64_t begin, int64_t end) { kernels.group_norm_apply(call, begin, end); });
  return y;
}

at::Tensor gelu(at::Tensor x) { return is_expendable(x) ? at::gelu_(x) : at::gelu(x); }

at::Tensor batch_norm_silu(at::Tensor x, const at::Tensor& mean, const at::Tensor& variance, const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  const bool has_gradient = at::GradMode::is_enabled() && (weight.requires_grad() || bias.requires_grad());
  if (!has_own_kernel(x) || has_gradient || x.dim() != 4 || !x.is_contiguous(at::MemoryFormat::ChannelsLast))
    return at::silu(at::batch_norm(x, weight, bias, mean, variance, false, 0, epsilon, false));
  const int64_t channels = x.size(1);
  at::Tensor wide[4];
  const float* numbers[4];
  for (size_t i = 0; i < 4; ++i) {
    wide[i] = std::array{mean, variance, weight, bias}[i].to(at::kFloat).contiguous();
    numbers[i] = wide[i].const_data_ptr<float>();
  }
  std::vector<float> factors(static_cast<size_t>(2 * channels));
  for (int64_t c = 0; c < channels; ++c) {
    const double factor = static_cast<double>(numbers[2][c]) / std::sqrt(static_cast<double>(numbers[1][c]) + epsilon);
    factors[static_cast<size_t>(c)] = static_cast<float>(factor);
    factors[static_cast<size_t>(channels + c)] = static_cast<float>(static_cast<double>(numbers[3][c]) - static_cast<double>(numbers[0][c]) * factor);
  }
  // The last step of group normalisation, all pictures as one.
  const at::Tensor y = is_expendable(x) ? x : at::empty_like(x);
  cpu::GroupNormCall call{};
  call.x = x.const_data_ptr();
  call.y = y.mutable_data_ptr();
  call.element = element_of(x);
  call.batches = 1;
  call.channels = channels;
  call.positions = x.size(0) * x.size(2) * x.size(3);
  call.silu = true;
  call.factors = factors.data();
  call.chunk = std::max<int64_t>(1, kElementsPerThread / channels);
  call.chunks = (call.positions + call.chunk - 1) / call.chunk;
  const cpu::LayerKernels& kernels = cpu::layer_kernels_of(cpu::current_level());
  parallel_ranges(call.chunks, 1, [&](int64_t begin, int64_t end) { kernels.group_norm_apply(call, begin, end); });
  return y;
}

at::Tensor gated_gelu(const at::Tensor& x) {
  if (!has_own_kernel(x) || !x.is_contiguous()) {
    const std::vector<at::Tensor> halves = x.chunk(2, -1);
    return halves[0] * at::gelu(halves[1]);
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() /= 2;
  at::Tensor y = at::empty(shape, x.options());
  const cpu::GatedGeluCall call{x.const_data_ptr(), y.mutable_data_ptr(), element_of(x), shape.back()};
  const cpu::LayerKernels& kernels = cpu::layer_kernels_of(cpu::current_level());
  parallel_ranges(y.numel() / call.width, std::max<int64_t>(1, kElementsPerThread / call.width), [&](int64_t begin, int64_t end) { kernels.gated_gelu(call, begin, end); });
  return y;
}

}  // namespace attelier::kernels
