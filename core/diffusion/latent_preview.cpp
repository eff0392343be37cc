#include "core/diffusion/latent_preview.h"

namespace attelier {
namespace {

constexpr int64_t kCells = 16;

/// [B, C, h, w] -> [B h w, C + 1], the last column 1.
at::Tensor rows(const at::Tensor& latent) {
  const at::Tensor flat = latent.to(at::kCPU, at::kFloat).permute({0, 2, 3, 1}).reshape({-1, latent.size(1)});
  return at::cat({flat, at::ones({flat.size(0), 1})}, 1);
}

/// Smooth random colours over the whole range, [1, 3, side, side] in [0, 1].
at::Tensor colours(int64_t side) {
  const at::Tensor coarse = at::randn({1, 3, 6, 6}, make_generator(5), at::TensorOptions().dtype(at::kFloat));
  return at::sigmoid(at::upsample_bicubic2d(coarse, {side, side}, /*align_corners=*/true) * 2);
}

}  // namespace

LatentPreview::LatentPreview(DiffusionModel& model, const ForwardContext& context) : map_(model.preview_map()) {
  if (map_.defined()) return;
  const int64_t factor = model.vae().config().factor();
  const at::Tensor picture = colours(kCells * factor);
  const at::Tensor a = rows(model.encode(picture * 2 - 1, {}, context));
  const at::Tensor b = at::avg_pool2d(picture, {factor, factor}).permute({0, 2, 3, 1}).reshape({-1, 3});
  const at::Tensor ridge = at::eye(a.size(1)) * 1e-3;
  map_ = model.preview_map() = at::linalg_solve(at::matmul(a.t(), a) + ridge, at::matmul(a.t(), b));
}

at::Tensor LatentPreview::operator()(const at::Tensor& latent) const {
  return at::matmul(rows(latent), map_).view({latent.size(0), latent.size(2), latent.size(3), 3}).permute({0, 3, 1, 2}).clamp(0, 1);
}

}  // namespace attelier
