// The latent from which StyleID paints.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "pipelines/style/style_program.h"

namespace attelier {

/// Latent AdaIN (Huang and Belongie 2017) per channel, unbiased deviation: content [1, C, h, w] with the style's mean and deviation. `epsilon` is added to
/// the content's deviation (0 in version A, where a constant channel keeps deviation 0; 1e-4 in version B). Several styles share by weight and, with
/// masks, place by place; where no mask reaches the content stays.
at::Tensor style_adain(const at::Tensor& content, const std::vector<at::Tensor>& styles, const StyleMix& mix, double epsilon);

}  // namespace attelier
