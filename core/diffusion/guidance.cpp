#include "core/diffusion/guidance.h"

#include <numeric>

#include "core/base/error.h"

namespace attelier {

at::Tensor guide(const at::Tensor& prediction, double scale, double rescale) {
  if (prediction.dim() < 1 || prediction.size(0) % 2 != 0)
    fail(ExitCode::kBadInput, "guidance needs an unconditional and a conditional prediction per picture; there are {} rows", prediction.dim() < 1 ? 0 : prediction.size(0));
  const std::vector<at::Tensor> halves = prediction.chunk(2);
  const at::Tensor &unconditional = halves[0], &conditional = halves[1];
  const at::Tensor guided = unconditional + scale * (conditional - unconditional);
  if (rescale <= 0) return guided;
  std::vector<int64_t> dimensions(static_cast<size_t>(prediction.dim() - 1));
  std::iota(dimensions.begin(), dimensions.end(), 1);
  const auto deviation = [&](const at::Tensor& tensor) { return tensor.std(dimensions, /*unbiased=*/true, /*keepdim=*/true); };
  const at::Tensor rescaled = guided * (deviation(conditional) / deviation(guided));
  return rescale * rescaled + (1 - rescale) * guided;
}

}  // namespace attelier
