// Pictures with the statistics of photographs and no meaning: dead leaves with 1/f textures, gradients, stripes, shadows and sensor noise.
#pragma once

#include <cstdint>

namespace attelier {

/// Draws into `rgb` (size x size x 3, row major, values in [0, 1]); the same seed gives the same picture everywhere.
void draw_texture_picture(uint64_t seed, int64_t size, float* rgb);

}  // namespace attelier
