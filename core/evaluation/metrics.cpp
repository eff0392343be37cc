#include "core/evaluation/metrics.h"

#include <algorithm>
#include <cmath>

namespace attelier {
namespace {

/// [1, 1, H, W].
at::Tensor luminance(const at::Tensor& picture) {
  const at::Tensor weights = at::tensor({0.299f, 0.587f, 0.114f}).view({1, 3, 1, 1});
  return (picture.to(at::kFloat) * weights).sum(1, true);
}

/// A Gaussian's samples at -reach .. reach, summing to 1.
at::Tensor gaussian(double deviation, int64_t reach) {
  const at::Tensor x = at::arange(-reach, reach + 1, at::kDouble);
  const at::Tensor kernel = at::exp(-0.5 * (x / deviation).pow(2));
  return (kernel / kernel.sum()).to(at::kFloat);
}

/// [N, 1, H, W] convolved along both axes; the picture shrinks by the kernel's reach.
at::Tensor smoothed(const at::Tensor& maps, const at::Tensor& kernel) {
  return at::conv2d(at::conv2d(maps, kernel.view({1, 1, -1, 1})), kernel.view({1, 1, 1, -1}));
}

/// [1, 1, H, W] of the same size, edges repeated.
at::Tensor blurred(const at::Tensor& map, double deviation) {
  const int64_t reach = std::min(static_cast<int64_t>(std::ceil(3 * deviation)), std::min(map.size(2), map.size(3)));
  return smoothed(at::replication_pad2d(map, {reach, reach, reach, reach}), gaussian(deviation, reach));
}

double scale_of(const at::Tensor& map) { return static_cast<double>(map.size(-1)) / 256; }

/// Oklab of sRGB pixels: [3, pixels], float64.
at::Tensor oklab(const at::Tensor& picture) {
  const at::Tensor display = picture.to(at::kDouble).clamp(0, 1)[0].flatten(1);
  const at::Tensor linear = at::where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055).pow(2.4));
  const at::Tensor cones = at::tensor({0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566, 0.0883024619, 0.2817188376, 0.6299787005}, at::kDouble).view({3, 3});
  const at::Tensor mixed = at::tensor({0.2104542553, 0.7936177850, -0.0040720468, 1.9779984951, -2.4285922050, 0.4505937099, 0.0259040371, 0.7827717662, -0.8086757660}, at::kDouble).view({3, 3});
  return at::mm(mixed, at::mm(cones, linear).pow(1.0 / 3));
}

/// The square root of a symmetric matrix without negative eigenvalues.
at::Tensor root(const at::Tensor& matrix) {
  const auto [values, vectors] = at::linalg_eigh(matrix);
  return at::mm(vectors * values.clamp_min(0).sqrt(), vectors.t());
}

}  // namespace

double psnr_between(const at::Tensor& a, const at::Tensor& b) {
  const double error = (a.to(at::kDouble) - b.to(at::kDouble)).pow(2).mean().item<double>();
  return -10 * std::log10(std::max(error, 1e-12));
}

double luma_psnr_between(const at::Tensor& a, const at::Tensor& b, int64_t border) {
  const auto inner = [&](const at::Tensor& x) { return x.slice(2, border, x.size(2) - border).slice(3, border, x.size(3) - border).to(at::kDouble).clamp(0, 1).mul(255).round(); };
  const at::Tensor weights = at::tensor({65.481 / 255, 128.553 / 255, 24.966 / 255}, at::kDouble).view({1, 3, 1, 1});
  const double error = ((inner(a) - inner(b)) * weights).sum(1).pow(2).mean().item<double>();
  return std::min(120.0, -10 * std::log10(error / (255.0 * 255.0)));
}

double ssim_between(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = luminance(a), y = luminance(b), kernel = gaussian(1.5, 5);
  const at::Tensor means = smoothed(at::cat({x, y, x * x, y * y, x * y}), kernel);
  const at::Tensor mx = means[0], my = means[1], vx = means[2] - mx * mx, vy = means[3] - my * my, covariance = means[4] - mx * my;
  constexpr double kLight = 0.01 * 0.01, kContrast = 0.03 * 0.03;
  return ((2 * mx * my + kLight) * (2 * covariance + kContrast) / ((mx * mx + my * my + kLight) * (vx + vy + kContrast))).mean().item<double>();
}

at::Tensor edge_strength(const at::Tensor& picture) {
  const at::Tensor y = at::replication_pad2d(blurred(luminance(picture), scale_of(picture)), {1, 1, 1, 1});
  const at::Tensor dx = y.slice(3, 2).slice(2, 1, -1) - y.slice(3, 0, -2).slice(2, 1, -1), dy = y.slice(2, 2).slice(3, 1, -1) - y.slice(2, 0, -2).slice(3, 1, -1);
  return ((dx * dx + dy * dy).sqrt() / 0.15).clamp_max(1)[0][0];
}

double correlation(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble).flatten() - a.to(at::kDouble).mean(), y = b.to(at::kDouble).flatten() - b.to(at::kDouble).mean();
  const double norm = std::sqrt(x.dot(x).item<double>() * y.dot(y).item<double>());
  return norm > 1e-12 ? x.dot(y).item<double>() / norm : 0;
}

double edge_agreement(const at::Tensor& a, const at::Tensor& b) {
  const auto prepared = [](const at::Tensor& map) { return blurred(map.view({1, 1, map.size(0), map.size(1)}), 2 * scale_of(map)); };
  return correlation(prepared(a), prepared(b));
}

double colour_distance(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = oklab(a), y = oklab(b);
  const at::Tensor shift = x.mean(1) - y.mean(1), cx = at::cov(x, 0), cy = at::cov(y, 0), rx = root(cx);
  const at::Tensor spread = cx.trace() + cy.trace() - 2 * root(at::mm(at::mm(rx, cy), rx)).trace();
  return 100 * std::sqrt(std::max(0.0, shift.dot(shift).item<double>() + spread.item<double>()));
}

at::Tensor depth_on_grid(const at::Tensor& metres, int64_t height, int64_t width) {
  const at::Tensor logs = at::where(metres > 0, metres, at::full({}, 200.0f)).clamp(0.1, 200).log();
  return at::adaptive_avg_pool2d(logs.view({1, 1, metres.size(0), metres.size(1)}), {height, width})[0][0];
}

double diversity(const at::Tensor& pictures) {
  const at::Tensor small = at::adaptive_avg_pool2d(pictures, {64, 64});
  double sum = 0;
  int64_t pairs = 0;
  for (int64_t i = 0; i < small.size(0); ++i)
    for (int64_t j = i + 1; j < small.size(0); ++j, ++pairs) sum += 1 - ssim_between(small.slice(0, i, i + 1), small.slice(0, j, j + 1));
  return pairs > 0 ? sum / static_cast<double>(pairs) : 0;
}

}  // namespace attelier
