#include "core/models/upscalers/rgt.h"

#include <ATen/core/grad_mode.h>

#include <array>
#include <cmath>
#include <deque>

#include "core/base/error.h"
#include "core/models/upscalers/rgt_blocks.h"
#include "core/nn/recompute.h"
#include "core/weights/load.h"
#include "core/weights/model_files.h"

namespace attelier {
namespace {

constexpr int64_t kFeatures = 64;             // between the body and the last convolution
constexpr int64_t kShortestSide = 16;
constexpr double kSlope = 0.01;
constexpr std::array kMean = {0.4488, 0.4371, 0.4040};  // of the training pictures, red, green and blue
/// Pixels of the result that the last layers make at once: all features of x4 take about 1 KiB for each.
constexpr int64_t kStripPixels = int64_t{1} << 18;
/// Rows beyond a strip that its pixels need, even so that the tiles of the convolutions lie alike.
constexpr int64_t kHalo = 2;

struct Group : nn::Module {
  Group(const RgtConfig& config, size_t group, int64_t& index) : conv(config) {
    for (int64_t b = 0; b < config.depth[group]; ++b) {
      blocks.emplace_back(config, group, b, index);
      if (b % 2 == 1) ++index;
      add(fmt::format("blocks.{}", b), blocks.back());
    }
    add("conv", conv);
  }
  at::Tensor forward(const at::Tensor& x, int64_t recursions, const ForwardContext& context) const {
    at::Tensor y = x;
    for (const RgtBlock& block : blocks) {
      const auto run = [&block, recursions, context](const at::Tensor& map) { return block.forward(map, recursions, context); };
      y = context.recompute ? nn::recomputed([run](const std::vector<at::Tensor>& inputs) { return run(inputs[0]); }, {y}) : run(y);
    }
    context.check_stop();
    return as_map(conv.forward(as_picture(y), as_picture(x)));
  }
  std::deque<RgtBlock> blocks;
  ResidualConvolution conv;
};

}  // namespace

struct Rgt::Layers {
  explicit Layers(const RgtConfig& c)
      : conv_first(c.in_chans, c.embed_dim, 3, 1, 1), before(c.embed_dim), norm(c.embed_dim), conv_after_body(c), conv_before_upsample(c.embed_dim, kFeatures, 3, 1, 1),
        conv_last(kFeatures, c.in_chans, 3, 1, 1) {
    int64_t index = 0;
    for (size_t g = 0; g < c.depth.size(); ++g) groups.emplace_back(c, g, index);
    const int64_t factor = c.upscale == 3 ? 3 : 2;
    for (int64_t scale = 1; scale < c.upscale; scale *= factor) upsample.emplace_back(kFeatures, factor * factor * kFeatures, 3, 1, 1);
  }

  /// The features of the body [B,64,H,W] -> [B,3,sH,sW].
  at::Tensor enlarge(const at::Tensor& features, int64_t factor) const {
    at::Tensor y = features;
    for (const nn::Conv2d& conv : upsample) y = at::pixel_shuffle(conv.forward(y), factor);
    return conv_last.forward(y);
  }

  nn::Conv2d conv_first;
  nn::LayerNorm before;
  std::deque<Group> groups;
  nn::LayerNorm norm;
  ResidualConvolution conv_after_body;
  nn::Conv2d conv_before_upsample;
  std::deque<nn::Conv2d> upsample;
  nn::Conv2d conv_last;
};

Rgt::Rgt(const RgtConfig& config) : config_(config), layers_(std::make_unique<Layers>(config)) {
  Layers& l = *layers_;
  add("conv_first", l.conv_first);
  add("before_RG.1", l.before);
  for (size_t g = 0; g < l.groups.size(); ++g) add(fmt::format("layers.{}", g), l.groups[g]);
  add("norm", l.norm);
  add("conv_after_body", l.conv_after_body);
  add("conv_before_upsample.0", l.conv_before_upsample);
  for (size_t i = 0; i < l.upsample.size(); ++i) add(fmt::format("upsample.{}", 2 * i), l.upsample[i]);
  add("conv_last", l.conv_last);
}
Rgt::~Rgt() = default;

at::Device Rgt::device() const { return layers_->conv_last.bias.value.device(); }
at::ScalarType Rgt::dtype() const { return layers_->conv_last.bias.value.scalar_type(); }

std::vector<std::string> Rgt::computed_buffers() { return {".attn_mask_0", ".attn_mask_1", ".rpe_biases", ".relative_position_index"}; }

double Rgt::multiply_adds(int64_t height, int64_t width) const {
  const RgtConfig& c = config_;
  const auto channels = static_cast<double>(c.embed_dim), narrow = static_cast<double>(c.representative_width()), half = std::floor(channels * c.mlp_ratio) / 2;
  const int64_t multiple = std::max(c.split_size[0], c.split_size[1]), window = c.split_size[0] * c.split_size[1];
  const auto padded = [multiple](int64_t n) { return static_cast<double>((n + multiple - 1) / multiple * multiple); };
  const double pixels = static_cast<double>(height) * static_cast<double>(width), cells = padded(height) * padded(width);
  const double mlp = pixels * (2 * channels * half + 9 * half + half * channels);
  const double local = pixels * (4 * channels * channels + 9 * channels) + cells * 2 * static_cast<double>(window) * channels;
  double reductions = 0, keys = 0;
  for (int64_t t = 0, h = height, w = width; t < rgt_recursions(height, width); ++t) {
    h /= 4, w /= 4;
    keys = static_cast<double>(h) * static_cast<double>(w);
    reductions += 16 * channels * keys;
  }
  const double recursive = reductions + keys * (18 * channels + 2 * channels * narrow + narrow * narrow) + pixels * (channels * narrow + channels * channels + keys * (narrow + channels));
  const double residual = pixels * (c.resi_connection == "1conv" ? 9 * channels * channels : 4.5 * channels * channels + channels * channels / 16);
  double sum = residual + pixels * 9 * channels * static_cast<double>(c.in_chans + kFeatures);
  for (const int64_t blocks : c.depth) sum += residual + static_cast<double>((blocks + 1) / 2) * local + static_cast<double>(blocks / 2) * recursive + static_cast<double>(blocks) * mlp;
  const int64_t factor = c.upscale == 3 ? 3 : 2;
  int64_t scale = 1;
  for (; scale < c.upscale; scale *= factor) sum += pixels * static_cast<double>(scale * scale * factor * factor * kFeatures * kFeatures * 9);
  return sum + pixels * static_cast<double>(scale * scale * kFeatures * c.in_chans * 9);
}

at::Tensor Rgt::forward(const at::Tensor& image, const ForwardContext& context, std::optional<int64_t> wanted) const {
  if (image.dim() != 4 || image.size(0) < 1 || image.size(1) != config_.in_chans)
    fail(ExitCode::kBadInput, "the upscaler got a picture of shape [{}]; it takes [B,{},H,W]", fmt::join(image.sizes(), ","), config_.in_chans);
  const int64_t height = image.size(2), width = image.size(3), shorter = std::min(height, width);
  if (shorter < kShortestSide)
    fail(ExitCode::kBadInput, "the upscaler got a picture of {} x {} pixels; both sides must be at least {}: mirror its edges to enlarge it", width, height, kShortestSide);
  const int64_t recursions = wanted.value_or(rgt_recursions(height, width));
  if (recursions < 1 || recursions > 15 || (int64_t{1} << (2 * recursions)) > shorter)
    fail(ExitCode::kBadInput, "recursions = {} for a picture of {} x {} pixels; at least 1 are needed, and 4^recursions must not be more than the shorter side", recursions, width, height);
  if (!at::isfinite(image).all().item<bool>()) fail(ExitCode::kNumerical, "the picture for the upscaler holds NaN or Inf; values must be numbers, usually in [0, 1]");

  const Layers& l = *layers_;
  const at::Tensor mean = at::tensor({kMean[0], kMean[1], kMean[2]}, at::kDouble).to(image.options()).view({1, 3, 1, 1});
  const at::Tensor first = l.conv_first.forward((image - mean) * config_.img_range);
  at::Tensor map = l.before.forward(as_map(first).contiguous());
  for (const Group& group : l.groups) map = group.forward(map, recursions, context);
  at::Tensor features = l.conv_after_body.forward(as_picture(l.norm.forward(map)), first);
  map = at::Tensor();
  features = at::leaky_relu(l.conv_before_upsample.forward(features), kSlope);

  const int64_t scale = config_.upscale, factor = scale == 3 ? 3 : 2;
  const auto finish = [&](const at::Tensor& y) { return y / config_.img_range + mean; };
  int64_t strip = std::max<int64_t>(8, kStripPixels / (scale * scale * width * image.size(0)));
  strip -= strip % 2;
  if (strip >= height || at::GradMode::is_enabled()) {
    context.check_stop();
    return finish(l.enlarge(features, factor));
  }
  // The result never needs the features of more than one strip of rows.
  const at::Tensor result = at::empty({image.size(0), config_.in_chans, scale * height, scale * width}, image.options());
  for (int64_t top = 0; top < height; top += strip) {
    context.check_stop();
    const int64_t bottom = std::min(top + strip, height), begin = std::max<int64_t>(0, top - kHalo), end = std::min(height, bottom + kHalo);
    const at::Tensor rows = l.enlarge(features.slice(2, begin, end), factor);
    result.slice(2, scale * top, scale * bottom).copy_(finish(rows.slice(2, scale * (top - begin), scale * (bottom - begin))));
  }
  return result;
}

std::unique_ptr<Rgt> load_upscaler(const std::filesystem::path& path, at::Device device, at::ScalarType dtype) {
  const ModelFiles files(path);
  if (!files.has("upscaler")) fail(ExitCode::kModel, "{}: is no upscaler; it has {}", path.string(), fmt::join(files.components(), ", "));
  auto model = std::make_unique<Rgt>(RgtConfig::from_json(files.config("upscaler")));
  load_weights(*model, *files.weights("upscaler"), device, dtype, "", Rgt::computed_buffers());
  model->prepare_for_inference();
  return model;
}

}  // namespace attelier
