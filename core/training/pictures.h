// What the objectives share: drawn pictures as tensors, the random numbers of a step, validation photographs and contact sheets.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/scenes/small_world.h"
#include "core/training/config.h"

namespace attelier {

/// A picture as bytes [3, size, size]; a world scene has a caption, a texture picture none. Depth (float32) and things (int32) are StageMaps, [size, size];
/// a texture picture has neither, they are zero.
struct DrawnPicture {
  at::Tensor pixels;
  std::string caption;
  at::Tensor depth, things;
};

/// Picture `number` of the run: a scene of the small world with probability `world_share`, otherwise a texture picture.
DrawnPicture draw_picture(uint64_t seed, int64_t number, int64_t size, double world_share);

/// Colours (size x size x 3, row major, [0, 1]) as uint8 [3, size, size].
at::Tensor to_bytes(std::vector<float>& rgb, int64_t size);

/// Bytes [.., 3, H, W] to float32 in [-1, 1].
at::Tensor to_signed(const at::Tensor& bytes);

/// Independent numbers for (seed, step, micro), the same on every machine.
std::mt19937_64 step_random(uint64_t seed, int64_t step, int64_t micro);

/// Mirrors and turns pictures [3, S, S] and exchanges their colour channels at random, all of them alike, so that no direction and no hue is rare.
void vary(std::initializer_list<at::Tensor*> pictures, std::mt19937_64& random);

/// float [.., C, H, W] by the cubic kernel with a = -0.5, antialiased where it shrinks, as Pillow and imresize do it. Not clamped.
at::Tensor resize_bicubic(const at::Tensor& picture, int64_t height, int64_t width);

/// "validation": photographs that are measured.
ParameterDescription validation_parameter();
/// A problem for each that is not there.
void check_validation(const Json& config, const std::filesystem::path& base, ConfigProblems& problems);
/// Photographs (a list of files, relative to `base`), cropped to squares and resized: name and float32 [1, 3, size, size] in [-1, 1]. Without a size whole.
std::vector<std::pair<std::string, at::Tensor>> validation_pictures(const Json& names, const std::filesystem::path& base, std::optional<int64_t> size);

/// Peak signal-to-noise ratio in dB of pictures in [-1, 1], both clamped.
double psnr(const at::Tensor& a, const at::Tensor& b);

/// Tiles pictures [3, S, S] in [-1, 1] row by row into [3, H, W] in [0, 1].
at::Tensor contact_sheet(const std::vector<at::Tensor>& pictures, int64_t columns);

}  // namespace attelier
