#include "core/media/image.h"

#include <cmath>
#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/media/opencv_codec.h"
#include "core/media/picture_header.h"
#include "core/media/png_codec.h"

namespace attelier {
namespace {

constexpr uint64_t kMaximumFile = uint64_t{1} << 31;

// Every public function that takes an Image goes through here: a caller's inconsistent Image is an error, not an overrun.
void check(const Image& image) {
  const bool channels = image.channels == 1 || image.channels == 3 || image.channels == 4;
  constexpr int64_t kMost = int64_t{1} << 30;
  const bool sides = image.width > 0 && image.height > 0 && image.width < kMost && image.height < kMost;
  if (!channels || !sides || image.pixels.size() != static_cast<size_t>(image.width * image.height * image.channels)) {
    fail(ExitCode::kBadInput, "a picture of {}x{} with {} channels and {} bytes is not consistent", image.width, image.height, image.channels,
         image.pixels.size());
  }
}

// Turns the stored picture for display, by the EXIF orientation (2: mirrored, 3: 180 degrees, 4: flipped, 5: transposed, 6: 90 degrees clockwise,
// 7: transposed about the other diagonal, 8: 90 degrees counter-clockwise).
Image oriented(Image image, int orientation) {
  if (orientation <= 1) return image;
  const bool swapped = orientation >= 5;
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;  // of the stored picture
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image result{swapped ? image.height : image.width, swapped ? image.width : image.height, image.channels, {}};
  result.pixels.resize(image.pixels.size());
  uint8_t* target = result.pixels.data();
  for (int64_t y = 0; y < result.height; ++y) {
    for (int64_t x = 0; x < result.width; ++x, target += image.channels) {
      int64_t from_x = swapped ? y : x, from_y = swapped ? x : y;
      if (mirror_x) from_x = image.width - 1 - from_x;
      if (mirror_y) from_y = image.height - 1 - from_y;
      std::memcpy(target, image.pixels.data() + (from_y * image.width + from_x) * image.channels, static_cast<size_t>(image.channels));
    }
  }
  return result;
}

std::string lower_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return extension;
}

}  // namespace

Image decode_image(std::string_view bytes, const std::string& name, const ImageLimits& limits) {
  const PictureHeader header = read_picture_header(bytes, name);
  if (header.width < 1 || header.height < 1) fail(ExitCode::kBadInput, "{}: has no pixels ({}x{})", name, header.width, header.height);
  if (header.width > limits.maximum_side || header.height > limits.maximum_side || header.width > limits.maximum_pixels / header.height) {
    fail(ExitCode::kBadInput, "{}: is {}x{}; sides up to {} and {} pixels in all are read; scale it down first", name, header.width, header.height,
         limits.maximum_side, limits.maximum_pixels);
  }
  Image image = header.kind == PictureKind::kPng ? decode_png(bytes, name) : decode_with_opencv(bytes, name);
  if (image.width > limits.maximum_side || image.height > limits.maximum_side || image.width > limits.maximum_pixels / image.height) {
    fail(ExitCode::kBadInput, "{}: holds {}x{} pixels, more than its header says", name, image.width, image.height);
  }
  return oriented(std::move(image), header.orientation);
}

Image load_image(const std::filesystem::path& path, const ImageLimits& limits) {
  return decode_image(read_file(path, kMaximumFile), path.string(), limits);
}

Image to_rgb(const Image& image) {
  check(image);
  if (image.channels == 3) return image;
  Image result{image.width, image.height, 3, {}};
  result.pixels.resize(static_cast<size_t>(image.width * image.height * 3));
  uint8_t* target = result.pixels.data();
  const uint8_t* end = image.pixels.data() + image.pixels.size();
  for (const uint8_t* pixel = image.pixels.data(); pixel != end; pixel += image.channels, target += 3) {
    for (int c = 0; c < 3; ++c) {
      if (image.channels == 1) {
        target[c] = pixel[0];
      } else {
        target[c] = static_cast<uint8_t>((pixel[c] * pixel[3] + 255 * (255 - pixel[3]) + 127) / 255);
      }
    }
  }
  return result;
}

Image to_gray(const Image& image) {
  check(image);
  if (image.channels == 1) return image;
  Image result{image.width, image.height, 1, {}};
  result.pixels.resize(static_cast<size_t>(image.width * image.height));
  const uint8_t* pixel = image.pixels.data();
  for (uint8_t& gray : result.pixels) {
    gray = static_cast<uint8_t>((19595u * pixel[0] + 38470u * pixel[1] + 7471u * pixel[2] + 32768u) >> 16);
    pixel += image.channels;
  }
  return result;
}

std::string encode_png(const Image& image, const PngTexts& texts) {
  check(image);
  return encode_png_samples(image.pixels.data(), image.width, image.height, image.channels, 8, texts);
}

void save_image(const std::filesystem::path& path, const Image& image, const PngTexts& texts) {
  check(image);
  const std::string extension = lower_extension(path);
  if (extension == ".png") {
    write_file_atomically(path, encode_png(image, texts));
  } else if (extension == ".jpg" || extension == ".jpeg" || extension == ".webp") {
    write_file_atomically(path, encode_with_opencv(image, extension));
  } else {
    fail(ExitCode::kBadInput, "{}: pictures are written as .png, .jpg, .jpeg or .webp; choose one of these extensions", path.string());
  }
}

void save_gray16(const std::filesystem::path& path, const at::Tensor& values) {
  if (values.dim() != 2 || values.numel() == 0)
    fail(ExitCode::kBadInput, "{}: a gray picture needs a tensor [H, W], got {} dimensions", path.string(), values.dim());
  const at::Tensor levels = values.detach().to(at::kCPU, at::kFloat);
  if (!at::isfinite(levels).all().item<bool>()) fail(ExitCode::kNumerical, "{}: the values to save hold NaN or infinity", path.string());
  const at::Tensor rounded = levels.clamp(0, 1).mul(65535).round().to(at::kInt).contiguous();
  const int32_t* level = rounded.const_data_ptr<int32_t>();
  std::vector<uint8_t> samples;
  samples.reserve(static_cast<size_t>(rounded.numel()) * 2);
  for (int64_t i = 0; i < rounded.numel(); ++i) {
    samples.push_back(static_cast<uint8_t>(level[i] >> 8));
    samples.push_back(static_cast<uint8_t>(level[i] & 255));
  }
  write_file_atomically(path, encode_png_samples(samples.data(), values.size(1), values.size(0), 1, 16, {}));
}

Image crop(const Image& image, int64_t x, int64_t y, int64_t width, int64_t height) {
  check(image);
  if (x < 0 || y < 0 || width < 1 || height < 1 || width > image.width || height > image.height || x > image.width - width ||
      y > image.height - height) {
    fail(ExitCode::kBadInput, "a crop of {}x{} at ({}, {}) is not inside the picture of {}x{}", width, height, x, y, image.width, image.height);
  }
  Image result{width, height, image.channels, {}};
  result.pixels.reserve(static_cast<size_t>(width * height * image.channels));
  for (int64_t row = y; row < y + height; ++row) {
    const auto begin = image.pixels.begin() + (row * image.width + x) * image.channels;
    result.pixels.insert(result.pixels.end(), begin, begin + width * image.channels);
  }
  return result;
}

Image centre_crop_square(const Image& image) {
  check(image);
  const int64_t side = std::min(image.width, image.height);
  const auto half = [](int64_t rest) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(rest) / 2));
  };  // half to even, as Python's round
  return crop(image, half(image.width - side), half(image.height - side), side, side);
}

at::Tensor to_tensor(const Image& image) {
  check(image);
  const at::Tensor pixels = at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {1, image.height, image.width, image.channels}, at::kByte);
  return pixels.permute({0, 3, 1, 2}).to(at::kFloat).div(255).contiguous();
}

Image to_image(const at::Tensor& tensor, bool truncate) {
  const at::Tensor single = tensor.dim() == 4 && tensor.size(0) == 1 ? tensor.squeeze(0) : tensor;
  if (single.dim() != 3 || (single.size(0) != 1 && single.size(0) != 3 && single.size(0) != 4) || single.numel() == 0) {
    fail(ExitCode::kBadInput, "a picture needs a tensor [1, C, H, W] with C = 1, 3 or 4, got {}", fmt::join(tensor.sizes(), "x"));
  }
  const at::Tensor values = single.detach().to(at::kCPU, at::kFloat);
  if (!at::isfinite(values).all().item<bool>()) fail(ExitCode::kNumerical, "the picture holds NaN or infinity; try fp32 or another seed");
  const at::Tensor scaled = values.clamp(0, 1).mul(255);
  const at::Tensor levels = (truncate ? scaled.trunc() : scaled.round()).to(at::kByte).permute({1, 2, 0}).contiguous();
  Image image{levels.size(1), levels.size(0), levels.size(2), {}};
  image.pixels.assign(levels.const_data_ptr<uint8_t>(), levels.const_data_ptr<uint8_t>() + levels.numel());
  return image;
}

}  // namespace attelier
