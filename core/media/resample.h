// Pillow's Image.resize with its filters, bit for bit: antialiased, horizontal pass first, rounded to 8 bits, then vertical.
#pragma once

#include "core/media/image.h"

namespace attelier {

enum class Resampling { kBilinear, kBicubic /* a = -0.5 */, kLanczos };

/// Colours of pictures with alpha are weighted by it. Throws Error(kBadInput) for empty pictures and impossible sizes.
Image resize(const Image& image, int64_t width, int64_t height, Resampling resampling);

}  // namespace attelier
