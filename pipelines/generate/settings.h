// The parameters of `generate`, described once, and read with the model's own defaults filled in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/method.h"

namespace attelier {

const ParameterDescriptions& generate_parameters();

enum class GenerateMode { kText, kImage, kInpaint };

/// One ControlNet: its model, a name or a path, and how it acts.
struct ControlSettings {
  std::string model;
  double scale = 1, start = 0, end = 1;
};

struct GenerateSettings {
  GenerateMode mode = GenerateMode::kText;
  std::string prompt, second_prompt, second_negative;
  std::optional<std::string> negative;
  std::string sampler;  // "model" = what the model was made with
  int64_t steps = 30, count = 1, batch = 1, clip_skip = 0;
  double guidance = 7.5, rescale = 0, eta = 0, strength = 1;
  uint64_t seed = 0;
  int64_t width = 512, height = 512;
  bool prompt_weights = false, long_prompt = false, guess_mode = false, canny = false, keep_pixels = false, keep_latents = false, largest_mask = false;
  std::optional<int64_t> mask_crop;
  double canny_low = 100, canny_high = 200;
  std::vector<ControlSettings> controls;
  std::vector<std::string> loras;
  std::vector<double> lora_weights;
  bool float32_noise = false;
  VaeTiling tiling;
};

/// Checks what one parameter cannot say alone. Throws Error(kBadInput) with the JSON pointer.
GenerateSettings read_generate_settings(const MethodJob& job);

}  // namespace attelier
