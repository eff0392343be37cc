#include "core/base/error.h"
#include "core/diffusion/scheduler.h"

namespace attelier {
namespace {

at::Tensor draw(at::IntArrayRef shape, const at::Generator& generator, const at::Tensor& like) {
  return at::randn(shape, generator, like.options().device(at::kCPU));
}

}  // namespace

NoiseSource generator_noise(at::Generator generator) {
  return [generator](const at::Tensor& like) { return draw(like.sizes(), generator, like).to(like.device()); };
}

NoiseSource generator_noise(std::vector<at::Generator> generators) {
  if (generators.size() == 1) return generator_noise(generators.front());
  return [generators](const at::Tensor& like) {
    if (like.dim() < 1 || like.size(0) != static_cast<int64_t>(generators.size()))
      fail(ExitCode::kBadInput, "{} generators draw noise of shape [{}]; there must be one per row", generators.size(), fmt::join(like.sizes(), ", "));
    std::vector<int64_t> shape = like.sizes().vec();
    shape[0] = 1;
    std::vector<at::Tensor> rows;
    for (const at::Generator& generator : generators) rows.push_back(draw(shape, generator, like));
    return at::cat(rows).to(like.device());
  };
}

}  // namespace attelier
