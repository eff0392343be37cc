// The operators behind PyTorch's own compiled graphs (aten/src/ATen/native/mkldnn); they have no C++ header and are found by name.
#include "core/nn/prepared_weights.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace attelier::nn {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;
using Text = std::optional<std::string_view>;
using Optional = std::optional<at::Tensor>;

template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

Optional optional(const at::Tensor& tensor) { return tensor.defined() ? Optional(tensor) : std::nullopt; }

}  // namespace

bool can_prepare(const at::Tensor& weight) {
  if (!weight.defined() || !weight.is_cpu() || weight.is_mkldnn() || weight.numel() == 0 || !at::hasMKLDNN() || !at::globalContext().userEnabledMkldnn()) return false;
  return weight.scalar_type() == at::kFloat || (weight.scalar_type() == at::kBFloat16 && at::get_cpu_capability().starts_with("AVX512"));
}

at::Tensor prepare_linear(const at::Tensor& weight) {
  static const auto reorder = find<at::Tensor(const at::Tensor&, std::optional<int64_t>)>("mkldnn::_reorder_linear_weight");
  return reorder.call(weight.contiguous(), std::nullopt);
}

at::Tensor prepare_convolution(const at::Tensor& weight, const ConvolutionOptions& options) {
  const auto& [stride, padding, dilation, groups, with_bias] = options;
  static const auto reorder =
      find<at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t, at::OptionalIntArrayRef)>("mkldnn::_reorder_convolution_weight");
  return reorder.call(weight.contiguous(), {padding, padding}, {stride, stride}, {dilation, dilation}, groups, std::nullopt);
}

// oneDNN can add a tensor in the same call, but does so slower than a second pass (Zen 4: 10 ms against 1 ms on [2, 320, 64, 64] in bfloat16).
at::Tensor prepared_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& addend) {
  static const auto linear = find<at::Tensor(const at::Tensor&, const at::Tensor&, const Optional&, std::string_view, Scalars, Text)>("mkldnn::_linear_pointwise");
  at::Tensor y = linear.call(x, weight, optional(bias), "none", Scalars(), std::nullopt);
  return addend.defined() ? y.add_(addend) : y;
}

at::Tensor prepared_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const ConvolutionOptions& options, const at::Tensor& addend) {
  const auto& [stride, padding, dilation, groups, with_bias] = options;
  static const auto convolution = find<at::Tensor(const at::Tensor&, const at::Tensor&, const Optional&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t,
                                                  std::string_view, Scalars, Text)>("mkldnn::_convolution_pointwise");
  at::Tensor y = convolution.call(x.contiguous(at::MemoryFormat::ChannelsLast), weight, optional(bias), {padding, padding}, {stride, stride}, {dilation, dilation}, groups,
                                  "none", Scalars(), std::nullopt);
  return addend.defined() ? y.add_(addend) : y;
}

at::Tensor prepared_pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& addend) {
  const at::Tensor rows = x.contiguous(at::MemoryFormat::ChannelsLast).permute({0, 2, 3, 1});
  return prepared_linear(rows, weight, bias, addend.defined() ? addend.permute({0, 2, 3, 1}) : addend).permute({0, 3, 1, 2});
}

}  // namespace attelier::nn
