// Pictures in the depth of their file, and PNG files written row by row: what is too precise or too large for Image.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "core/media/image.h"

namespace attelier {

/// Interleaved samples of 8 or 16 bits, each in 0 .. 2^bits - 1: 1 (gray), 3 (RGB) or 4 (RGBA) channels.
struct WidePicture {
  int64_t width = 0, height = 0, channels = 3;
  int bits = 8;
  std::vector<uint16_t> samples;  // row-major, height * width * channels
};

/// As load_image(), but 16 bits of PNG, TIFF and PNM files stay.
WidePicture load_wide_picture(const std::filesystem::path& path, const ImageLimits& limits = {});

/// A PNG of which only a few rows are in memory at a time.
class PngRows {
 public:
  /// Creates the file, 8 or 16 bits. Throws Error(kBadInput) naming it and the system's reason.
  PngRows(const std::filesystem::path& path, int64_t width, int64_t height, int64_t channels, int bits, const PngTexts& texts);
  ~PngRows();
  /// The next rows, whole ones.
  void write(std::span<const uint16_t> samples);
  /// After the last row. Without it the file is no PNG.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attelier
