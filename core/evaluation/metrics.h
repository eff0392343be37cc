// How near a picture is to a truth, and pictures to each other. Pictures are f32 [1, 3, H, W] in [0, 1] unless stated.
#pragma once

#include <ATen/ATen.h>

namespace attelier {

/// Peak signal-to-noise ratio in dB; 120 for equal pictures.
double psnr_between(const at::Tensor& a, const at::Tensor& b);

/// The same of the luma of 8-bit pictures, as super-resolution is measured: both rounded, `border` pixels left out at every edge, luma 65.481 R + 128.553 G +
/// 24.966 B + 16, peak 255.
double luma_psnr_between(const at::Tensor& a, const at::Tensor& b, int64_t border);

/// Mean structural similarity of the luminance (Wang et al. 2004): Gaussian window of 11 pixels, deviation 1.5, whole windows only. Sides of at least 11.
double ssim_between(const at::Tensor& a, const at::Tensor& b);

/// How strongly the luminance changes, [H, W] in [0, 1]: 1 from a step of 0.15 between neighbours but one on, after a blur of 1 pixel in 256.
at::Tensor edge_strength(const at::Tensor& picture);

/// Pearson correlation of two maps of edges [H, W], each blurred by 2 pixels in 256 so that an edge may be a little off: 1 the same, 0 unrelated. 0 where a
/// map is constant.
double edge_agreement(const at::Tensor& a, const at::Tensor& b);

/// Distance of two pictures' colour statistics: 100 times the 2-Wasserstein distance of the normal distributions with their means and covariances in Oklab
/// (Ottosson 2020), so that a whole shift in lightness from black to white is 100.
double colour_distance(const at::Tensor& a, const at::Tensor& b);

/// Pearson correlation of two maps of the same shape; 0 where one is constant.
double correlation(const at::Tensor& a, const at::Tensor& b);

/// Log depth in metres [H, W] on a grid of h x w cells; the sky (0) counts as 200 metres.
at::Tensor depth_on_grid(const at::Tensor& metres, int64_t height, int64_t width);

/// Mean of 1 - SSIM over all pairs of pictures [N, 3, H, W], reduced to 64 x 64: 0 for copies.
double diversity(const at::Tensor& pictures);

}  // namespace attelier
