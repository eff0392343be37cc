// Pictures in memory and on disk.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attelier {

/// 8-bit interleaved picture: 1 (gray), 3 (RGB) or 4 (RGBA) channels.
struct Image {
  int64_t width = 0, height = 0, channels = 3;
  std::vector<uint8_t> pixels;  // row-major, height * width * channels
};

/// Limits that a load checks from the header, before decoding.
struct ImageLimits {
  int64_t maximum_side = 65536;
  int64_t maximum_pixels = int64_t{1} << 28;  // 268 million
};

/// Any file that stb_image, libpng or OpenCV reads: PNG (8 and 16 bit), JPEG, WebP, BMP, TIFF, ... EXIF orientation is applied; 16 bits are rounded
/// to 8; alpha is kept. CMYK JPEGs, truncated and foreign files are Error(kBadInput) naming the file and what to do.
Image load_image(const std::filesystem::path& path, const ImageLimits& limits = {});
Image decode_image(std::string_view bytes, const std::string& name, const ImageLimits& limits = {});

/// RGB of any image: gray is repeated, alpha is composed over white.
Image to_rgb(const Image& image);

/// Text entries of a PNG: keyword -> UTF-8 text.
using PngTexts = std::map<std::string, std::string>;

/// PNG bytes with text entries (tEXt for ASCII, iTXt otherwise). Keywords 1..79 Latin-1 bytes, texts at most 1 MiB.
std::string encode_png(const Image& image, const PngTexts& texts = {});
/// Atomic write of encode_png (.png), or JPEG/WebP through OpenCV by extension (no texts there).
void save_image(const std::filesystem::path& path, const Image& image, const PngTexts& texts = {});
/// Text entries of a PNG file or bytes; bounded, never trusts lengths. Throws Error(kBadInput) if it is not a PNG.
PngTexts read_png_texts(std::string_view bytes, const std::string& name);
/// The same PNG without its texts, EXIF block and time stamp; every other byte stays. Throws Error(kBadInput) if it is not a whole PNG.
std::string strip_png_texts(std::string_view bytes, const std::string& name);

/// 16-bit gray PNG from f32 [H, W] in [0, 1].
void save_gray16(const std::filesystem::path& path, const at::Tensor& values);

/// Pillow's Lanczos resampling, bit for bit: horizontal pass first, rounded to 8 bits, then vertical.
Image resize_lanczos(const Image& image, int64_t width, int64_t height);
/// The square centre crop of StyleID: side min(w, h), offsets rounded half to even.
Image centre_crop_square(const Image& image);
Image crop(const Image& image, int64_t x, int64_t y, int64_t width, int64_t height);

/// f32 [1, C, H, W] in [0, 1] and back; `to_image` clamps and rounds half to even (or truncates: StyleID version A).
at::Tensor to_tensor(const Image& image);
Image to_image(const at::Tensor& tensor, bool truncate = false);
/// Pillow's luma: (19595 R + 38470 G + 7471 B + 32768) >> 16.
Image to_gray(const Image& image);

}  // namespace attelier
