#include "core/nn/module.h"

#include <c10/core/GradMode.h>

#include <cmath>

#include "kernels/convolution.h"

namespace attelier::nn {
namespace {

/// A child without a name shares its parent's path.
std::string join(const std::string& prefix, const std::string& name) { return prefix.empty() ? name : name.empty() ? prefix : prefix + "." + name; }

}  // namespace

at::Tensor Parameter::dense() const {
  if (!is_prepared()) return value;
  return is_packed() ? kernels::unpack_3x3(value, shape) : value.to_dense().view(shape);
}

void Module::visit(const std::function<void(const std::string&, Module&)>& visitor, const std::string& path) {
  visitor(path, *this);
  for (const auto& [name, child] : children_) child->visit(visitor, join(path, name));
}

std::vector<NamedParameter> Module::named_parameters(const std::string& prefix) {
  std::vector<NamedParameter> all;
  visit([&](const std::string& path, Module& module) {
    for (const auto& [name, parameter] : module.parameters_) all.push_back({join(path, name), parameter});
  }, prefix);
  return all;
}

int64_t Module::parameter_count() {
  int64_t count = 0;
  for (const auto& [name, parameter] : named_parameters()) count += c10::multiply_integers(parameter->shape);
  return count;
}

void Module::to(at::Device device, at::ScalarType dtype) {
  for (const auto& [name, parameter] : named_parameters()) {
    at::Tensor& value = parameter->value;
    if (value.defined()) value = parameter->dense().to(device, dtype);
  }
}

void Module::prepare_for_inference() {
  c10::NoGradGuard no_grad;
  visit([](const std::string&, Module& module) { module.prepare_own(); });
}

void Module::initialise(at::Generator generator) {
  c10::NoGradGuard no_grad;
  visit([&](const std::string&, Module& module) { module.initialise_own(generator); });
}

void Module::initialise_own(at::Generator& generator) {
  double bound = 0;
  for (const auto& [name, parameter] : parameters_) {
    parameter->value = at::empty(parameter->shape, at::kFloat);
    if (parameter->shape.size() > 1) {
      const int64_t fan_in = c10::multiply_integers(parameter->shape) / parameter->shape[0];
      bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
    }
    parameter->value.uniform_(-bound, bound, generator);
  }
}

}  // namespace attelier::nn
