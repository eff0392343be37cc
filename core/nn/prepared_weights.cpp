// The operators behind PyTorch's own compiled graphs (aten/src/ATen/native/mkldnn); they have no C++ header and are found by name.
#include "core/nn/prepared_weights.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <array>

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

at::Tensor prepare_convolution(const at::Tensor& weight, int64_t stride, int64_t padding) {
  static const auto reorder =
      find<at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t, at::OptionalIntArrayRef)>("mkldnn::_reorder_convolution_weight");
  return reorder.call(weight.contiguous(), {padding, padding}, {stride, stride}, {1, 1}, 1, std::nullopt);
}

at::Tensor prepared_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& addend) {
  static const auto plain = find<at::Tensor(const at::Tensor&, const at::Tensor&, const Optional&, std::string_view, Scalars, Text)>("mkldnn::_linear_pointwise");
  static const auto with_addend =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const Optional&, std::string_view)>("mkldnn::_linear_pointwise", "binary");
  if (!addend.defined()) return plain.call(x, weight, optional(bias), "none", Scalars(), std::nullopt);
  return with_addend.call(x, addend, weight, optional(bias), "add");
}

at::Tensor prepared_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride, int64_t padding, const at::Tensor& addend) {
  static const auto plain = find<at::Tensor(const at::Tensor&, const at::Tensor&, const Optional&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t,
                                            std::string_view, Scalars, Text)>("mkldnn::_convolution_pointwise");
  static const auto with_addend =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const Optional&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t,
                      std::string_view, std::optional<at::Scalar>, Text, Scalars, Text)>("mkldnn::_convolution_pointwise", "binary");
  const std::array<int64_t, 2> strides = {stride, stride}, paddings = {padding, padding}, dilation = {1, 1};
  const at::Tensor input = x.contiguous(at::MemoryFormat::ChannelsLast);
  const auto convolve = [&] { return plain.call(input, weight, optional(bias), paddings, strides, dilation, 1, "none", Scalars(), std::nullopt); };
  if (!addend.defined()) return convolve();
  if (addend.size(2) * addend.size(3) == 1) return convolve() + addend;  // strides of single pixels are ambiguous, and the fused operator refuses them
  return with_addend.call(input, addend.contiguous(at::MemoryFormat::ChannelsLast), weight, optional(bias), paddings, strides, dilation, 1, "add", std::nullopt,
                          std::nullopt, Scalars(), std::nullopt);
}

}  // namespace attelier::nn
