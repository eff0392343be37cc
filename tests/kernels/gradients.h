// Gradients against differences of values.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace attelier {

/// Every derivative of a fixed random mix of f's results with respect to the float64 inputs, against central differences.
inline void expect_gradients(const std::vector<at::Tensor>& inputs, const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f, double tolerance = 1e-7) {
  at::AutoGradMode gradients(true);
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().set_requires_grad(true));
  const at::Tensor result = f(leaves), weights = at::randn(result.sizes(), result.options()).detach();
  (result * weights).sum().backward();
  constexpr double kStep = 1e-5;
  at::NoGradGuard values_only;
  for (size_t n = 0; n < leaves.size(); ++n) {
    ASSERT_TRUE(leaves[n].grad().defined()) << "input " << n;
    const at::Tensor flat = leaves[n].data().view(-1), gradient = leaves[n].grad().reshape(-1);
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const double before = flat[i].item<double>();
      const auto value_at = [&](double x) {
        flat[i] = x;
        return (f(leaves) * weights).sum().item<double>();
      };
      const double slope = (value_at(before + kStep) - value_at(before - kStep)) / (2 * kStep);
      flat[i] = before;
      EXPECT_NEAR(gradient[i].item<double>(), slope, tolerance * std::max(1.0, std::abs(slope))) << "input " << n << ", element " << i;
    }
  }
}

}  // namespace attelier
