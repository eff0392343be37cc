// What a picture file says about itself before anything is decoded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace attelier {

enum class PictureKind { kPng, kJpeg, kWebp, kBmp, kTiff, kPnm };

struct PictureHeader {
  PictureKind kind = PictureKind::kPng;
  int64_t width = 0, height = 0;  // as stored: before the orientation is applied
  int orientation = 1;            // EXIF 1..8: how the stored picture is turned for display
};

/// Kind, size and orientation, from bounds-checked reads of the header alone. For JPEG the segments are walked to the end marker, so that a truncated
/// file is found before the decoder fills it with gray. Throws Error(kBadInput) for empty, foreign, truncated and CMYK files, naming `name`.
PictureHeader read_picture_header(std::string_view bytes, const std::string& name);

/// The orientation tag (0x0112) of a TIFF block as EXIF stores it; 1 if it is absent or malformed.
int exif_orientation(std::string_view tiff);

}  // namespace attelier
