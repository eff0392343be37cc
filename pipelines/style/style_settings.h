// The parameters of `style`, described once, and read with the version's defaults filled in.
#pragma once

#include "pipelines/method.h"
#include "pipelines/style/style_program.h"

namespace attelier {

const ParameterDescriptions& style_parameters();

struct StyleSettings {
  bool official = true;  // version A of the authors' code; otherwise their diffusers version B
  StyleStrength strength;
  int64_t steps = 50, start_step = 49;
  int64_t width = 512, height = 512;
  bool initial_adain = true, injection = true, sample_posterior = false, cache = true;
  uint64_t seed = 22;
  StyleMix mix;
};

/// Checks what one parameter cannot say alone, and reads the masks. Throws Error(kBadInput) with the JSON pointer.
StyleSettings read_style_settings(const MethodJob& job);

/// f32 [1, 3, H, W] in [-1, 1]: the largest part of the target's shape from the picture's middle, resized with Pillow's Lanczos.
at::Tensor read_style_picture(const std::filesystem::path& path, int64_t width, int64_t height);

}  // namespace attelier
