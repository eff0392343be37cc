// What the objectives share: drawn pictures as tensors, the random numbers of a step, validation photographs and contact sheets.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/base/parameters.h"
#include "core/scenes/small_world.h"

namespace attelier {

/// A picture as bytes [3, size, size]; a world scene has a caption, a texture picture none.
struct DrawnPicture {
  at::Tensor pixels;
  std::string caption;
};

/// Picture `number` of the run: a scene of the small world with probability `world_share`, otherwise a texture picture.
DrawnPicture draw_picture(uint64_t seed, int64_t number, int64_t size, double world_share);

/// Colours (size x size x 3, row major, [0, 1]) as uint8 [3, size, size].
at::Tensor to_bytes(std::vector<float>& rgb, int64_t size);

/// Bytes [.., 3, H, W] to float32 in [-1, 1].
at::Tensor to_signed(const at::Tensor& bytes);

/// Independent numbers for (seed, step, micro), the same on every machine.
std::mt19937_64 step_random(uint64_t seed, int64_t step, int64_t micro);

/// Photographs (a list of files, relative to `base`), cropped to squares and resized: name and float32 [1, 3, size, size] in [-1, 1].
std::vector<std::pair<std::string, at::Tensor>> validation_pictures(const Json& names, const std::filesystem::path& base, int64_t size);

/// Peak signal-to-noise ratio in dB of pictures in [-1, 1], both clamped.
double psnr(const at::Tensor& a, const at::Tensor& b);

/// Tiles pictures [3, S, S] in [-1, 1] row by row into [3, H, W] in [0, 1].
at::Tensor contact_sheet(const std::vector<at::Tensor>& pictures, int64_t columns);

}  // namespace attelier
