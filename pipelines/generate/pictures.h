// The pictures that `generate` reads, prepared as diffusers' image processors do.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <vector>

#include "pipelines/generate/settings.h"

namespace attelier {

/// A part of a picture, in pixels; right and bottom exclusive.
struct CropBox {
  int64_t left = 0, top = 0, right = 0, bottom = 0;
  int64_t width() const { return right - left; }
  int64_t height() const { return bottom - top; }
};

/// The part around everything that is not black in `mask` (gray), with `margin`, widened to the shape width : height where the picture allows it.
/// Throws Error(kBadInput) for a black mask.
CropBox mask_crop_box(const Image& mask, int64_t width, int64_t height, int64_t margin);

/// The whole picture inside width x height, centred; its edge rows or columns fill the rest.
Image resize_and_fill(const Image& image, int64_t width, int64_t height);

struct GeneratePictures {
  at::Tensor picture;                 // f32 [1, 3, H, W] in [-1, 1]; undefined for text to image
  at::Tensor mask;                    // f32 [1, 1, H, W], 1 = repaint; undefined without a mask
  std::vector<at::Tensor> controls;   // f32 [1, 3, H, W] in [0, 1]
  /// The finished picture: with Crop to mask put back into the input picture, with Keep pixels the input's own pixels outside the mask.
  Image finish(const Image& painted) const;

  Image original, original_mask;      // what finish() needs; empty otherwise
  std::optional<CropBox> crop;
};

GeneratePictures read_generate_pictures(const MethodJob& job, const GenerateSettings& settings);

}  // namespace attelier
