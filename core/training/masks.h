// Random masks that an inpainting network learns from.
#pragma once

#include <ATen/ATen.h>

#include <random>
#include <string>
#include <vector>

namespace attelier {

enum class MaskKind { kRectangle, kStroke, kObject, kAll };

/// "rectangle", "stroke", "object", "all".
const std::vector<std::string>& mask_names();
MaskKind mask_named(const std::string& name);

/// float32 [1, size, size] of 0 (keep) and 1 (repaint), never empty.
///   rectangle  one to three, sides 15 to 60 % of the picture
///   stroke     one to four bent brush strokes
///   object     a thing of the instance mask int32 [size, size], a little enlarged; a rectangle where there is none
///   all        everything
at::Tensor random_mask(MaskKind kind, int64_t size, const at::Tensor& instances, std::mt19937_64& random);

}  // namespace attelier
