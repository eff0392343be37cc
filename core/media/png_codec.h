// PNG through libpng: 8 and 16 bits in, 8 bits (with texts) and 16-bit gray out.
#pragma once

#include <png.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/media/image.h"

namespace attelier {

/// 1, 3 or 4 channels of 8 bits: palettes and low depths are expanded, 16 bits rounded, tRNS becomes alpha, gray with alpha becomes RGBA.
/// Throws Error(kBadInput) naming `name` on any damage. The caller has checked the size against its limits.
Image decode_png(std::string_view bytes, const std::string& name);

/// The entries that libpng writes for `texts`, which must outlive them. Throws Error(kBadInput) for texts that no PNG holds.
std::vector<png_text> png_text_entries(const PngTexts& texts);

/// `rows` of `channels` samples of 8 or 16 (big-endian) bits, encoded deterministically.
std::string encode_png_samples(const uint8_t* samples, int64_t width, int64_t height, int64_t channels, int bits, const PngTexts& texts);

}  // namespace attelier
