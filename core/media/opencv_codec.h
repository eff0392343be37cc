// JPEG, WebP, TIFF, BMP and PNM through OpenCV.
#pragma once

#include <string>
#include <string_view>

#include "core/media/image.h"

namespace attelier {

/// 1, 3 or 4 channels of 8 bits; 16 bits are rounded. Orientation tags are not applied (except by TIFF's own decoder).
/// Throws Error(kBadInput) naming `name`. The caller has checked the size against its limits.
Image decode_with_opencv(std::string_view bytes, const std::string& name);

/// The bytes of a JPEG (quality 95, alpha over white) or WebP (quality 95) file, by `extension` (".jpg", ".jpeg", ".webp").
std::string encode_with_opencv(const Image& image, const std::string& extension);

}  // namespace attelier
