#include "pipelines/generate/pictures.h"

#include <algorithm>

#include "core/diffusion/latents.h"
#include "core/media/edges.h"

namespace attelier {
namespace {

/// A mask of any mode as gray at this size: resized as it is stored, then gray. Alpha is not looked at.
Image read_mask(const Image& mask, int64_t width, int64_t height) {
  return mask.channels == 3 ? to_gray(resize_lanczos(mask, width, height)) : resize_lanczos(to_gray(mask), width, height);
}

/// Copies `part` into `target` with its corner at (left, top); what lies outside is left out. Equal channels.
void paste(const Image& part, int64_t left, int64_t top, Image& target) {
  const int64_t from = std::max<int64_t>(0, -left), to = std::min(part.width, target.width - left);
  for (int64_t y = std::max<int64_t>(0, -top); y < std::min(part.height, target.height - top) && from < to; ++y) {
    const auto* source = part.pixels.data() + (y * part.width + from) * part.channels;
    std::copy_n(source, (to - from) * part.channels, target.pixels.data() + ((y + top) * target.width + left + from) * target.channels);
  }
}

Image blank(int64_t width, int64_t height, int64_t channels) {
  return {width, height, channels, std::vector<uint8_t>(static_cast<size_t>(width * height * channels))};
}

/// Fills width x height with the picture's middle.
Image resize_and_crop(const Image& image, int64_t width, int64_t height) {
  const double ratio = static_cast<double>(width) / static_cast<double>(height), own = static_cast<double>(image.width) / static_cast<double>(image.height);
  const int64_t wide = ratio > own ? width : image.width * height / image.height;
  const int64_t tall = ratio <= own ? height : image.height * width / image.width;
  Image result = blank(width, height, image.channels);
  paste(resize_lanczos(image, wide, tall), width / 2 - wide / 2, height / 2 - tall / 2, result);
  return result;
}

/// `painted` where the mask is white, `original` where it is black.
Image blend(const Image& original, const Image& painted, const Image& mask) {
  Image result = original;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    const int share = mask.pixels[i];
    for (size_t c = 3 * i; c < 3 * i + 3; ++c) result.pixels[c] = static_cast<uint8_t>((original.pixels[c] * (255 - share) + painted.pixels[c] * share + 127) / 255);
  }
  return result;
}

}  // namespace

CropBox mask_crop_box(const Image& mask, int64_t width, int64_t height, int64_t margin) {
  CropBox box{mask.width, mask.height, 0, 0};
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      if (mask.pixels[static_cast<size_t>(y * mask.width + x)] == 0) continue;
      box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x + 1), std::max(box.bottom, y + 1)};
    }
  }
  if (box.right == 0) fail(ExitCode::kBadInput, "/inputs/mask is black everywhere; white is what is repainted");
  box = {std::max<int64_t>(box.left - margin, 0), std::max<int64_t>(box.top - margin, 0), std::min(box.right + margin, mask.width), std::min(box.bottom + margin, mask.height)};
  const double wanted = static_cast<double>(width) / static_cast<double>(height);
  // Grows one axis evenly on both sides, moved inside the picture and cut where it is too small.
  const auto widen = [](int64_t& low, int64_t& high, double length, int64_t limit) {
    const auto more = static_cast<int64_t>(length - static_cast<double>(high - low));
    low -= more / 2;
    high += more - more / 2;
    if (high >= limit) {
      low -= high - limit;
      high = limit;
    }
    if (low < 0) {
      high -= low;
      low = 0;
    }
    high = std::min(high, limit);
  };
  if (static_cast<double>(box.width()) / static_cast<double>(box.height()) > wanted)
    widen(box.top, box.bottom, static_cast<double>(box.width()) / wanted, mask.height);
  else
    widen(box.left, box.right, static_cast<double>(box.height()) * wanted, mask.width);
  return box;
}

Image resize_and_fill(const Image& image, int64_t width, int64_t height) {
  const double ratio = static_cast<double>(width) / static_cast<double>(height), own = static_cast<double>(image.width) / static_cast<double>(image.height);
  const int64_t wide = std::max<int64_t>(1, ratio < own ? width : image.width * height / image.height);
  const int64_t tall = std::max<int64_t>(1, ratio >= own ? height : image.height * width / image.width);
  const Image resized = resize_lanczos(image, wide, tall);
  Image result = blank(width, height, image.channels);
  const int64_t left = width / 2 - wide / 2, top = height / 2 - tall / 2;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t from = std::clamp<int64_t>(y - top, 0, tall - 1) * wide + std::clamp<int64_t>(x - left, 0, wide - 1);
      std::copy_n(resized.pixels.data() + from * image.channels, image.channels, result.pixels.data() + (y * width + x) * image.channels);
    }
  }
  return result;
}

Image GeneratePictures::finish(const Image& painted) const {
  if (original.pixels.empty()) return painted;
  if (!crop) return blend(original, painted, original_mask);
  Image whole = original;
  paste(resize_and_crop(painted, crop->width(), crop->height()), crop->left, crop->top, whole);
  return blend(original, whole, original_mask);
}

GeneratePictures read_generate_pictures(const MethodJob& job, const GenerateSettings& s) {
  GeneratePictures pictures;
  if (s.mode != GenerateMode::kText) {
    Image image = to_rgb(load_image(*job.input("image")));
    if (s.mode == GenerateMode::kInpaint) {
      Image mask = load_image(*job.input("mask"));
      if (s.mask_crop) {
        mask = read_mask(mask, image.width, image.height);
        const CropBox box = mask_crop_box(mask, s.width, s.height, *s.mask_crop);
        pictures.original = image;
        pictures.original_mask = mask;
        pictures.crop = box;
        image = resize_and_fill(attelier::crop(image, box.left, box.top, box.width(), box.height()), s.width, s.height);
        mask = resize_and_fill(attelier::crop(mask, box.left, box.top, box.width(), box.height()), s.width, s.height);
      } else {
        image = resize_lanczos(image, s.width, s.height);
        mask = read_mask(mask, s.width, s.height);
      }
      pictures.mask = binary_mask(to_tensor(mask));
      if (s.keep_pixels && !s.mask_crop) {
        pictures.original = image;
        pictures.original_mask = to_image(pictures.mask);
      }
    }
    pictures.picture = to_tensor(resize_lanczos(image, s.width, s.height)) * 2 - 1;
  }
  for (size_t i = 0; i < s.controls.size(); ++i) {
    const Image control = resize_lanczos(to_rgb(load_image(job.inputs.at("control")[i])), s.width, s.height);
    pictures.controls.push_back(to_tensor(s.canny ? canny_edges(control, s.canny_low, s.canny_high) : control));
  }
  return pictures;
}

}  // namespace attelier
