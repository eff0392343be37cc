// Weights that the scripts of tests/parity draw as well, so that fixtures hold results and no weights.
#pragma once

#include <cmath>
#include <map>
#include <string>

#include "core/base/context.h"
#include "core/nn/module.h"

namespace attelier {

/// Every parameter in the order of its name: norms near 1, biases near 0, weights by their fan in.
inline void fill_seeded(nn::Module& module, uint64_t seed) {
  const at::Generator generator = make_generator(seed);
  std::map<std::string, nn::Parameter*> sorted;
  for (const auto& [name, parameter] : module.named_parameters()) sorted[name] = parameter;
  for (const auto& [name, parameter] : sorted) {
    at::Tensor value = at::randn(parameter->shape, generator, at::TensorOptions().dtype(at::kFloat));
    if (value.dim() > 1)
      value = value / std::sqrt(static_cast<double>(value.numel() / value.size(0)));
    else
      value = value * 0.1 + (name.ends_with("weight") ? 1 : 0);
    parameter->value = value;
  }
}

}  // namespace attelier
