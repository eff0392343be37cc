#include "pipelines/style/style_adain.h"

namespace attelier {
namespace {

/// [1, C, 1, 1] each.
struct Moments {
  explicit Moments(const at::Tensor& z) : mean(z.mean({2, 3}, true)), deviation(z.std(at::IntArrayRef({2, 3}), /*unbiased=*/true, /*keepdim=*/true)) {}
  at::Tensor mean, deviation;
};

}  // namespace

at::Tensor style_adain(const at::Tensor& content, const std::vector<at::Tensor>& styles, const StyleMix& mix, double epsilon) {
  const Moments own(content);
  const at::Tensor deviation = own.deviation + epsilon;
  const at::Tensor normal = (content - own.mean) / at::where(deviation == 0, at::ones_like(deviation), deviation);
  const auto moved = [&](const at::Tensor& style) {
    const Moments target(style);
    return normal * target.deviation + target.mean;
  };
  if (styles.size() == 1 && mix.masks.empty()) return moved(styles[0]);
  at::Tensor sum = at::zeros_like(content), weight = at::zeros({1, 1, content.size(2), content.size(3)}, content.options()), covered = weight;
  for (size_t i = 0; i < styles.size(); ++i) {
    const at::Tensor map = mix.masks.empty() ? at::ones_like(weight) : mix.masks[i].view(weight.sizes()).to(content.device());
    sum = sum + mix.weights[i] * map * moved(styles[i]);
    weight = weight + mix.weights[i] * map;
    covered = at::maximum(covered, map);
  }
  return covered * sum / weight.clamp_min(1e-12) + (1 - covered) * content;
}

}  // namespace attelier
