#include "pipelines/recognize/preparation.h"

#include <cmath>

#include "core/base/error.h"
#include "core/base/files.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr double kMostPixels = 1 << 26;
constexpr uint64_t kLargestSideFile = uint64_t{1} << 24;

[[noreturn]] void refuse(const char* key, const Json& value, const char* allowed) {
  fail(ExitCode::kModel, "the model's preprocessor_config.json: \"{}\" is {}; {}", key,
       value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 200), allowed);
}

std::array<double, 3> three_numbers(const Json& processor, const char* key, const std::array<double, 3>& fallback) {
  const auto found = processor.find(key);
  if (found == processor.end()) return fallback;
  if (!found->is_array() || found->size() != 3 || !std::all_of(found->begin(), found->end(), [](const Json& value) { return value.is_number(); }))
    refuse(key, *found, "three numbers are needed");
  return found->get<std::array<double, 3>>();
}

/// Half to even, as Python rounds.
int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

}  // namespace

std::string read_beside(const fs::path& model, const std::string& name) {
  std::error_code error;
  const fs::path folder = fs::is_directory(model, error) ? model : model.parent_path();
  for (const fs::path& place : {folder / "backbone" / name, folder / name})
    if (fs::is_regular_file(place, error)) return read_file(place, kLargestSideFile);
  return "";
}

Json processor_beside(const fs::path& model) {
  const std::string text = read_beside(model, "preprocessor_config.json");
  if (text.empty()) return nullptr;
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) fail(ExitCode::kModel, "{}: its preprocessor_config.json is no JSON object; fetch the file again, or take it away", model.string());
  return json;
}

Preparation Preparation::of_model(const Json& config, const Json& processor, int64_t side) {
  Preparation p;
  p.side = side;
  const std::string architecture = config.contains("architecture") && config["architecture"].is_string() ? config["architecture"].get<std::string>() : "";
  if (architecture.starts_with("vitaev2")) p.crop_ratio = 0.9;
  if (const auto ratio = config.find("crop_pct"); ratio != config.end()) {
    if (!ratio->is_number() || !(*ratio > 0.1 && *ratio <= 1))
      fail(ExitCode::kModel, "the model's config.json: \"crop_pct\" is {}; allowed are numbers above 0.1 up to 1", ratio->dump());
    p.crop_ratio = ratio->get<double>();
  }
  // A "crop_pct" is of timm or of `attelier train`, which feed every backbone as ImageNet's are fed.
  const bool transformers = !config.contains("crop_pct") && (config.contains("architectures") || architecture == "vit");
  if (transformers) {  // the defaults of ViTImageProcessor
    p.crop_ratio = 0;
    p.resampling = Resampling::kBilinear;
    p.mean = p.deviation = {0.5, 0.5, 0.5};
  }
  if (!processor.is_object()) return p;
  if (const auto filter = processor.find("resample"); filter != processor.end()) {
    if (*filter == 1) p.resampling = Resampling::kLanczos;
    else if (*filter == 2) p.resampling = Resampling::kBilinear;
    else if (*filter == 3) p.resampling = Resampling::kBicubic;
    else refuse("resample", *filter, "known are 1 (Lanczos), 2 (bilinear) and 3 (bicubic)");
  }
  p.mean = three_numbers(processor, "image_mean", p.mean);
  p.deviation = three_numbers(processor, "image_std", p.deviation);
  for (const double deviation : p.deviation)
    if (!(deviation > 0)) refuse("image_std", processor["image_std"], "numbers above 0 are needed");
  return p;
}

std::array<int64_t, 2> PreparedPicture::place_of(int64_t x, int64_t y) const {
  if (x < 0 || y < 0 || x >= original[0] || y >= original[1])
    fail(ExitCode::kBadInput, "/params/at is {}, {}, outside the picture of {} x {} pixels", x, y, original[0], original[1]);
  const auto place = [](int64_t pixel, double scale, int64_t before) {
    return static_cast<int64_t>(std::floor((static_cast<double>(pixel) + 0.5) * scale)) - before;
  };
  const int64_t column = place(x, scale_x, left), row = place(y, scale_y, top);
  if (column >= 0 && row >= 0 && column < image.width && row < image.height) return {column, row};
  const auto first = [](int64_t before, double scale) { return static_cast<int64_t>(std::ceil(static_cast<double>(before) / scale)); };
  fail(ExitCode::kBadInput,
       "/params/at is {}, {}, which the model does not see: it sees the pixels from {}, {} to {}, {}; choose one of them, or --no-crop", x, y,
       first(left, scale_x), first(top, scale_y), first(left + image.width, scale_x) - 1, first(top + image.height, scale_y) - 1);
}

PreparedPicture prepare(const Image& picture, const Preparation& p) {
  const Image rgb = to_rgb(picture);
  const auto width = static_cast<double>(rgb.width), height = static_cast<double>(rgb.height), shorter = std::min(width, height);
  int64_t new_width = p.side, new_height = p.side;
  if (p.whole) {
    const auto fitted = [&](double side) {
      return std::max<int64_t>(p.multiple, rounded(side * static_cast<double>(p.side) / shorter / static_cast<double>(p.multiple)) * p.multiple);
    };
    new_width = fitted(width);
    new_height = fitted(height);
  } else if (p.crop_ratio > 0) {
    const auto short_side = static_cast<int64_t>(static_cast<double>(p.side) / p.crop_ratio);
    const auto fitted = [&](double side) { return side == shorter ? short_side : static_cast<int64_t>(static_cast<double>(short_side) * side / shorter); };
    new_width = fitted(width);
    new_height = fitted(height);
  }
  if (static_cast<double>(new_width) * static_cast<double>(new_height) > kMostPixels)
    fail(ExitCode::kBadInput, "the picture of {} x {} pixels would be resized to {} x {}, which is too large; crop it, or choose a smaller --size",
         rgb.width, rgb.height, new_width, new_height);
  PreparedPicture prepared;
  prepared.original = {rgb.width, rgb.height};
  prepared.scale_x = static_cast<double>(new_width) / width;
  prepared.scale_y = static_cast<double>(new_height) / height;
  const Image resized = resize(rgb, new_width, new_height, p.resampling);
  if (p.whole || p.crop_ratio == 0) {
    prepared.image = resized;
    return prepared;
  }
  prepared.left = rounded(static_cast<double>(new_width - p.side) / 2);
  prepared.top = rounded(static_cast<double>(new_height - p.side) / 2);
  prepared.image = crop(resized, prepared.left, prepared.top, p.side, p.side);
  return prepared;
}

at::Tensor to_input(const Image& prepared, const Preparation& p) {
  const auto numbers = [](const std::array<double, 3>& values) {
    return at::tensor(at::ArrayRef<double>(values.data(), values.size()), at::kFloat).view({1, 3, 1, 1});
  };
  return (to_tensor(prepared) - numbers(p.mean)) / numbers(p.deviation);
}

}  // namespace attelier
