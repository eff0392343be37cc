#include "core/training/pictures.h"

#include <cmath>

#include "core/base/error.h"
#include "core/media/image.h"
#include "core/scenes/small_world.h"
#include "core/scenes/texture_pictures.h"
#include "core/training/sample.h"

namespace attelier {
namespace {

/// SplitMix64, so that neighbouring numbers give unrelated seeds.
uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

/// float32 [S, S, 3] in [0, 1] to uint8 [3, S, S].
at::Tensor bytes_of(const at::Tensor& rgb) { return rgb.permute({2, 0, 1}).mul(255).round_().clamp_(0, 255).to(at::kByte).contiguous(); }

}  // namespace

DrawnPicture draw_picture(uint64_t seed, int64_t number, int64_t size, double world_share) {
  const uint64_t own = sample_seed(seed, number);
  at::Tensor rgb = at::empty({size, size, 3}, at::kFloat);
  DrawnPicture picture;
  if (static_cast<double>(own >> 11) * 0x1p-53 < world_share) {
    const SceneDescription scene = random_scene(own);
    picture.caption = caption(scene, mix(own));
    StageMaps maps;
    draw_scene(scene, mix(own + 1), size, rgb.data_ptr<float>(), &maps);
    picture.depth = at::from_blob(maps.depth.data(), {size, size}, at::kFloat).clone();
    picture.things = at::from_blob(maps.things.data(), {size, size}, at::kUInt16).to(at::kInt);
  } else {
    draw_texture_picture(own, size, rgb.data_ptr<float>());
    picture.depth = at::zeros({size, size}, at::kFloat);
    picture.things = at::zeros({size, size}, at::kInt);
  }
  picture.pixels = bytes_of(rgb);
  return picture;
}

at::Tensor to_bytes(std::vector<float>& rgb, int64_t size) { return bytes_of(at::from_blob(rgb.data(), {size, size, 3}, at::kFloat)); }

uint64_t sample_seed(uint64_t seed, int64_t number, uint64_t stream) {
  const uint64_t own = mix(seed ^ mix(static_cast<uint64_t>(number)));
  return stream == 0 ? own : mix(own ^ mix(stream ^ 0x57a3));
}

at::Tensor to_signed(const at::Tensor& bytes) { return bytes.to(at::kFloat).mul_(2.0 / 255).sub_(1); }

std::mt19937_64 step_random(uint64_t seed, int64_t step, int64_t micro) {
  return std::mt19937_64(mix(mix(seed ^ 0x5eed) ^ mix(static_cast<uint64_t>(step) * 1024 + static_cast<uint64_t>(micro))));
}

void vary(std::initializer_list<at::Tensor*> pictures, std::mt19937_64& random) {
  const auto all = [&](const auto& change) {
    for (at::Tensor* picture : pictures) *picture = change(*picture);
  };
  if (random() & 1) all([](const at::Tensor& x) { return x.flip(2); });
  if (random() & 1) all([](const at::Tensor& x) { return x.transpose(1, 2); });
  if (random() & 1) {
    const auto shift = 1 + static_cast<int64_t>(random() & 1);
    all([&](const at::Tensor& x) { return x.roll(shift, 0); });
  }
  if (random() & 1) all([](const at::Tensor& x) { return x.flip(0); });
}

at::Tensor resize_bicubic(const at::Tensor& picture, int64_t height, int64_t width) {
  const at::Tensor batch = picture.dim() == 3 ? picture.unsqueeze(0) : picture, resized = at::_upsample_bicubic2d_aa(batch, {height, width}, /*align_corners=*/false);
  return picture.dim() == 3 ? resized[0] : resized;
}

ParameterDescription validation_parameter() {
  return {.name = "validation", .label = "validation", .help = "Photographs that are measured", .type = ParameterType::kTexts, .default_value = Json::array()};
}

void check_validation(const Json& config, const std::filesystem::path& base, ConfigProblems& problems) {
  for (const Json& name : config.at("validation")) {
    std::error_code error;
    const std::filesystem::path file = base / name.get<std::string>();
    if (!std::filesystem::is_regular_file(file, error)) problems.add("/validation", "names {}, and there is no file {}", name.dump(), file.string());
  }
}

std::vector<std::pair<std::string, at::Tensor>> validation_pictures(const Json& names, const std::filesystem::path& base, std::optional<int64_t> size) {
  std::vector<std::pair<std::string, at::Tensor>> pictures;
  for (const Json& entry : names) {
    const std::filesystem::path path = base / entry.get<std::string>();
    Image picture = to_rgb(load_image(path));
    if (size) picture = resize_lanczos(centre_crop_square(picture), *size, *size);
    pictures.emplace_back(path.stem().string(), to_tensor(picture) * 2 - 1);
  }
  return pictures;
}

double psnr(const at::Tensor& a, const at::Tensor& b) {
  const double error = (a.clamp(-1, 1) - b.clamp(-1, 1)).pow(2).mean().item<double>() / 4;
  return -10 * std::log10(std::max(error, 1e-12));
}

at::Tensor contact_sheet(const std::vector<at::Tensor>& pictures, int64_t columns) {
  columns = std::min(columns, static_cast<int64_t>(pictures.size()));
  const int64_t size = pictures.at(0).size(-1), gap = 4;
  const int64_t rows = (static_cast<int64_t>(pictures.size()) + columns - 1) / columns;
  at::Tensor sheet = at::ones({3, rows * (size + gap) - gap, columns * (size + gap) - gap});
  for (size_t i = 0; i < pictures.size(); ++i) {
    const int64_t y = static_cast<int64_t>(i) / columns * (size + gap), x = static_cast<int64_t>(i) % columns * (size + gap);
    sheet.slice(1, y, y + size).slice(2, x, x + size).copy_((pictures[i].to(at::kFloat) + 1).div(2).clamp(0, 1));
  }
  return sheet;
}

}  // namespace attelier
