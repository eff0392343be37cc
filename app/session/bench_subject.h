// What a benchmark of kernels measures: one operator, computed in several ways.
#pragma once

#include <ATen/ATen.h>

#include <functional>

namespace attelier {

/// Empty functions: the operator has no such form.
struct BenchSubject {
  std::function<at::Tensor()> ours;
  std::function<at::Tensor()> plain;  // our own plain attention over as many keys
  std::function<at::Tensor()> eager;  // as the official codes do, the softmax of the whole matrix
  std::function<at::Tensor()> torch;  // with libtorch's fused operators
  double operations = 0, bytes = 0;   // that the operator needs
};

}  // namespace attelier
