#include "pipelines/upscale/picture_upscaler.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/error.h"
#include "core/weights/model_files.h"
#include "core/weights/model_store.h"
#include "pipelines/upscale/attention_drawing.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kShortestSide = 16;         // that RGT takes
constexpr int64_t kTileBytes = 700'000'000;   // of the model's work on one tile
constexpr int64_t kMapsInFlight = 11;         // maps of all channels that a block holds at once
constexpr int64_t kLongestTile = 1024;
constexpr int64_t kOverlap = 64, kFade = 8;
constexpr int64_t kCubicMargin = 4;           // pixels that bicubic interpolation sees around its place
constexpr const char* kShipped = "mini-rgt";

bool is_model(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) || fs::is_regular_file(path / "config.json", error);
}

/// Rows [top, bottom) of channel `channel` as f32 [bottom - top, W] in [0, 1].
at::Tensor plane(const WidePicture& picture, int64_t channel, int64_t top, int64_t bottom) {
  at::Tensor rows = at::empty({bottom - top, picture.width}, at::kFloat);
  float* target = rows.mutable_data_ptr<float>();
  const float unit = 1.0F / static_cast<float>((1 << picture.bits) - 1);
  const uint16_t* source = picture.samples.data() + top * picture.width * picture.channels + channel;
  for (int64_t i = 0; i < rows.numel(); ++i) target[i] = static_cast<float>(source[i * picture.channels]) * unit;
  return rows;
}

/// Rows [top, bottom) of the enlarged alpha, f32 [1, bottom - top, s W].
at::Tensor alpha_rows(const WidePicture& picture, int64_t scale, int64_t top, int64_t bottom) {
  const int64_t first = std::max<int64_t>(0, top / scale - kCubicMargin), last = std::min(picture.height, (bottom + scale - 1) / scale + kCubicMargin);
  const at::Tensor small = plane(picture, 3, first, last).view({1, 1, last - first, picture.width});
  const at::Tensor large = at::upsample_bicubic2d(small, {scale * (last - first), scale * picture.width}, false);
  return large[0].slice(1, top - scale * first, bottom - scale * first);
}

}  // namespace

fs::path find_upscaler(const fs::path& path, std::optional<int64_t> scale) {
  if (is_model(path)) {
    const ModelFiles files(path);
    if (!files.has("upscaler"))
      fail(ExitCode::kModel, "{}: is no upscaler; it has {}; give with --model the authors' file of RGT (RGT_S_x4.pth) or a folder with config.json and weights", path.string(), fmt::join(files.components(), ", "));
    return path;
  }
  std::vector<std::string> offered;
  for (const int64_t one : {2, 3, 4})
    if (is_model(path / fmt::format("x{}", one))) offered.push_back(fmt::format("x{}", one));
  const std::string wanted = fmt::format("x{}", scale.value_or(4));
  if (std::find(offered.begin(), offered.end(), wanted) != offered.end()) return path / wanted;
  if (!offered.empty() && !scale) return path / offered.back();
  if (!offered.empty()) fail(ExitCode::kModel, "{}: has upscalers {}, none for {}; choose one of these with --scale, or another --model", path.string(), fmt::join(offered, ", "), wanted);
  fail(ExitCode::kModel, "{}: is no upscaler; give with --model the authors' file of RGT (RGT_S_x4.pth) or a folder with config.json and weights", path.string());
}

PictureUpscaler::PictureUpscaler(const fs::path& path, const UpscaleSettings& settings, const Context& context)
    : model_(load_upscaler(path, context.device, context.dtype)), settings_(settings) {
  tile_ = [this](const at::Tensor& tile) { return model_->forward(tile.to(model_->device(), model_->dtype()), forward_, settings_.recursions); };
  if (settings.ensemble) tile_ = self_ensemble(tile_);
}

UpscaleTiles PictureUpscaler::tiles() const {
  const RgtConfig& config = model_->config();
  UpscaleTiles tiles;
  // Where tiles begin, windows and the cells of the representative map must begin too: so they lie as in the whole picture.
  tiles.alignment = std::lcm(std::max(config.split_size[0], config.split_size[1]), kShortestSide);
  const auto aligned = [&](int64_t size) { return std::max<int64_t>(1, size / tiles.alignment) * tiles.alignment; };
  tiles.overlap = (kOverlap + tiles.alignment - 1) / tiles.alignment * tiles.alignment;
  tiles.fade = kFade;
  const double area = static_cast<double>(kTileBytes) / static_cast<double>(4 * kMapsInFlight * config.embed_dim);
  const int64_t fitting = std::min(kLongestTile, static_cast<int64_t>(std::sqrt(area))) - 2 * tiles.overlap;
  tiles.side = aligned(settings_.tile.value_or(fitting));
  return tiles;
}

void PictureUpscaler::rows(const WidePicture& picture, const std::function<void(std::span<const uint16_t> samples)>& sink, const Context& context) const {
  const c10::InferenceMode inference;
  forward_.stop = context.stop;
  const bool gray = picture.channels == 1, transparent = picture.channels == 4;
  const UpscaleSource source{picture.height, picture.width, [&](int64_t top, int64_t bottom) {
                               if (gray) return plane(picture, 0, top, bottom).unsqueeze(0).expand({3, -1, -1});
                               return at::stack({plane(picture, 0, top, bottom), plane(picture, 1, top, bottom), plane(picture, 2, top, bottom)});
                             }};
  const double unit = static_cast<double>((1 << picture.bits) - 1);
  const at::Tensor luma = at::tensor({0.299, 0.587, 0.114}, at::kDouble).to(at::kFloat).view({3, 1, 1});
  std::vector<uint16_t> samples;
  int64_t at = 0;
  upscale_rows(source, scale(), tiles(), kShortestSide, tile_, [&](const at::Tensor& colours) {
    const int64_t count = colours.size(1);
    at::Tensor rows = gray ? (colours * luma).sum(0, true) : colours;
    if (transparent) rows = at::cat({rows, alpha_rows(picture, scale(), at, at + count)});
    at += count;
    const at::Tensor values = rows.clamp(0, 1).mul(unit).round_().to(at::kInt).permute({1, 2, 0}).contiguous();
    const int32_t* const numbers = values.const_data_ptr<int32_t>();
    samples.assign(numbers, numbers + values.numel());
    sink(samples);
  }, context);
}

Image PictureUpscaler::upscale(const Image& picture, const Context& context) const {
  const WidePicture wide{picture.width, picture.height, picture.channels, 8, {picture.pixels.begin(), picture.pixels.end()}};
  Image result{scale() * picture.width, scale() * picture.height, picture.channels, {}};
  rows(wide, [&](std::span<const uint16_t> samples) { result.pixels.insert(result.pixels.end(), samples.begin(), samples.end()); }, context);
  return result;
}

PictureUpscaler::PixelFinding PictureUpscaler::look(const Image& picture, int64_t x, int64_t y, const std::optional<std::string>& layer, const Context& context) const {
  const c10::InferenceMode inference;
  if (x < 0 || y < 0 || x >= picture.width || y >= picture.height)
    fail(ExitCode::kBadInput, "/params/at is {},{}; the picture has {} x {} pixels", x, y, picture.width, picture.height);
  const UpscaleTiles tiles = this->tiles();
  const int64_t most = tiles.side + 2 * tiles.overlap;
  const auto begin = [&](int64_t place, int64_t size) { return size <= most ? 0 : std::clamp<int64_t>(place - most / 2, 0, size - most) / tiles.alignment * tiles.alignment; };
  const int64_t left = begin(x, picture.width), top = begin(y, picture.height);
  const Image part = crop(to_rgb(picture), left, top, std::min(most, picture.width - left), std::min(most, picture.height - top));
  ForwardContext forward;
  forward.stop = context.stop;
  const at::Tensor seen = to_tensor(part).to(model_->device(), model_->dtype());
  const std::vector<CellAttention> layers = attention_of_pixel(*model_, seen, forward, settings_.recursions, x - left, y - top);
  if (layers.empty()) fail(ExitCode::kBadInput, "the upscaler has no layer that attends to the whole picture");
  const auto drawn = layer ? std::find_if(layers.begin(), layers.end(), [&](const CellAttention& one) { return one.layer == *layer; }) : layers.end() - 1;
  if (drawn == layers.end()) {
    std::vector<std::string> there;
    for (const CellAttention& one : layers) there.push_back(one.layer);
    fail(ExitCode::kBadInput, "/params/layer is {}; there are {}", Json(*layer).dump(-1, ' ', false, Json::error_handler_t::replace), fmt::join(there, ", "));
  }
  const std::vector<AttentionWindow> windows = windows_around(model_->config(), part.height, part.width, x - left, y - top);
  Json json = attention_json(layers, windows, x - left, y - top);
  json["part"] = {left, top, part.width, part.height};
  return {draw_pixel_attention(part, *drawn, windows, x - left, y - top), std::move(json)};
}

ParameterDescriptions with_final_upscale(ParameterDescriptions parameters) {
  using enum ParameterType;
  parameters.push_back({.name = "upscale", .label = "Upscale", .help = "Enlarges the finished picture by this factor; absent = not.", .type = kInteger, .default_value = nullptr,
                        .minimum = 2, .maximum = 4});
  parameters.push_back({.name = "upscale_model", .label = "Upscaler", .help = "Name or path of the upscaler.", .type = kModels, .default_value = Json::array({kShipped}), .choices = {"upscaler"}, .advanced = true});
  return parameters;
}

FinalUpscale::FinalUpscale(const Json& params, const Context& context) {
  if (params["upscale"].is_null()) return;
  const Json& names = params["upscale_model"];
  if (names.size() != 1) fail(ExitCode::kBadInput, "/params/upscale_model names {} upscalers; give one", names.size());
  const int64_t scale = params["upscale"];
  upscaler_ = std::make_unique<PictureUpscaler>(find_upscaler(resolve_model(names[0]), scale), UpscaleSettings{}, context);
  if (upscaler_->scale() != scale) fail(ExitCode::kModel, "/params/upscale is {}, but {} enlarges by {}; choose another --upscale-model", scale, names[0].get<std::string>(), upscaler_->scale());
}

Image FinalUpscale::operator()(Image picture, const Context& context) const { return upscaler_ ? upscaler_->upscale(picture, context) : std::move(picture); }

}  // namespace attelier
