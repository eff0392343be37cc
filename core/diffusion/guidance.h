// Classifier-free guidance (Ho and Salimans 2022) with the rescaling of Lin et al. 2024, section 3.4.
#pragma once

#include <ATen/ATen.h>

namespace attelier {

/// Rows [unconditional x B, conditional x B] of predictions -> [B, ...]: u + scale * (c - u). `rescale` in 0..1 pulls each picture's standard deviation
/// (unbiased, over all but the first dimension) towards that of the conditional prediction. Throws Error(kBadInput) for an odd number of rows.
at::Tensor guide(const at::Tensor& prediction, double scale, double rescale = 0);

}  // namespace attelier
