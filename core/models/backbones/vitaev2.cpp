#include "core/models/backbones/vitaev2.h"

#include <cmath>
#include <deque>

#include "core/base/error.h"
#include "core/models/backbones/vitaev2_config.h"
#include "core/models/backbones/vsa_attention.h"
#include "core/nn/layers.h"
#include "kernels/layers.h"

namespace attelier {
namespace {

constexpr double kNormalEpsilon = 1e-6, kReductionEpsilon = 1e-5;

at::Tensor as_map(const at::Tensor& rows) { return rows.permute({0, 3, 1, 2}); }
/// [B,C,h,w] -> [B,h,w,C], dense; no copy for channels-last maps.
at::Tensor as_rows(const at::Tensor& map) { return map.permute({0, 2, 3, 1}).contiguous(); }

VsaStyle style_of(const ViTAEv2Config& config) { return config.detection ? VsaStyle::kDetection : VsaStyle::kClassification; }

nn::ConvolutionOptions depthwise(int64_t channels, int64_t kernel) { return {.padding = kernel / 2, .groups = channels}; }

/// What the cells of one forward pass share.
struct CellCall {
  WindowCall attention;
  bool training = false;
};

/// fc2(gelu(fc1(x))) + addend; names of the checkpoint's "mlp".
struct Mlp : nn::Module {
  Mlp(int64_t width, int64_t hidden) : fc1(width, hidden), fc2(hidden, width) {
    add("fc1", fc1);
    add("fc2", fc2);
  }
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend) const { return fc2.forward(kernels::gelu(fc1.forward(x)), addend); }

  nn::Linear fc1, fc2;
};

/// The parallel convolutions ("PCM"): three grouped 3x3, normalised and SiLU between them.
struct ParallelConvolutions : nn::Module {
  struct Sizes {
    int64_t in, first, second, out, groups;
    int64_t strides[3] = {1, 1, 1};
  };
  explicit ParallelConvolutions(const Sizes& s)
      : conv1(s.in, s.first, 3, options(s, 0)), norm1(s.first), conv2(s.first, s.second, 3, options(s, 1)), norm2(s.second),
        conv3(s.second, s.out, 3, options(s, 2)) {
    add("0", conv1);
    add("1", norm1);
    add("3", conv2);
    add("4", norm2);
    add("6", conv3);
  }
  static nn::ConvolutionOptions options(const Sizes& s, int i) { return {.stride = s.strides[i], .padding = 1, .groups = s.groups}; }

  at::Tensor forward(const at::Tensor& map, const at::Tensor& addend, bool training) const {
    at::Tensor x = norm1.forward_silu(conv1.forward(map), training);
    x = conv2.forward(x);
    return conv3.forward(norm2.forward_silu(std::move(x), training), addend);
  }

  nn::Conv2d conv1;
  nn::BatchNorm2d norm1;
  nn::Conv2d conv2;
  nn::BatchNorm2d norm2;
  nn::Conv2d conv3;
};

/// The pyramid of dilated convolutions ("PRM"): [B,C,H,W] -> [B,H/r,W/r,pyramid dims], channels of one dilation side by side.
struct PyramidReduction : nn::Module {
  explicit PyramidReduction(const ViTAEv2Stage& stage) : concatenates(stage.concatenates) {
    for (const int64_t dilation : stage.dilations) {
      const int64_t margin = (stage.kernel_size - 1) * dilation + 1 - stage.downsample_ratio;
      const std::string name = fmt::format("convs.{}.0", convolutions.size());
      const nn::ConvolutionOptions options{.stride = stage.downsample_ratio, .padding = (margin + 1) / 2, .dilation = dilation};
      add(name, convolutions.emplace_back(stage.in_channels, stage.embed_dims, stage.kernel_size, options));
    }
  }

  at::Tensor forward(const at::Tensor& map) const {
    std::vector<at::Tensor> scales;
    for (const nn::Conv2d& convolution : convolutions) {
      at::Tensor scale = as_rows(convolution.forward(map));
      scales.push_back(kernels::gelu(std::move(scale)));
    }
    if (concatenates) return at::cat(scales, 3);
    at::Tensor sum = scales[0];
    for (size_t i = 1; i < scales.size(); ++i) sum = sum + scales[i];
    return sum;
  }

  bool concatenates;
  std::deque<nn::Conv2d> convolutions;
};

/// Either kind of windows under the names of one checkpoint prefix.
struct WindowedAttention : nn::Module {
  struct Sizes {
    int64_t in, out, heads, window;
  };
  WindowedAttention(const Sizes& s, WindowKind kind, const ViTAEv2Config& config, bool identity, bool qkv_bias, std::optional<double> scale) {
    if (kind == WindowKind::kLearned)
      add("", *(learned = std::make_unique<VsaAttention>(s.in, s.out, s.heads, s.window, style_of(config), identity)));
    else
      add("", *(plain = std::make_unique<WindowAttention>(s.in, s.out, s.heads, s.window, qkv_bias,
                                                          scale.value_or(1 / std::sqrt(static_cast<double>(s.out / s.heads))), config.relative_pos)));
  }
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend, const WindowCall& call) const {
    return learned ? learned->forward(x, addend, call) : plain->forward(x, addend, call);
  }

  std::unique_ptr<VsaAttention> learned;
  std::unique_ptr<WindowAttention> plain;
};

/// The depthwise convolution that tells the attention where things are ("pos"): x + conv(x), or x.
struct PositionEncoding : nn::Module {
  PositionEncoding(int64_t channels, int64_t window, const ViTAEv2Config& config)
      : convolution(channels, channels, config.cpe_kernel(window), depthwise(channels, config.cpe_kernel(window))), skipped(config.skip_cpe) {
    add("", convolution);
  }
  at::Tensor forward(const at::Tensor& rows) const { return skipped ? rows : as_rows(convolution.forward(as_map(rows), as_map(rows))); }

  nn::Conv2d convolution;
  bool skipped;
};

/// ReductionCell: [B,C,H,W] -> [B,H/r,W/r,token dims].
struct ReductionCell : nn::Module {
  ReductionCell(const ViTAEv2Stage& stage, const ViTAEv2Config& config)
      : pyramid(stage), convolutions(sizes(stage)), norm1(stage.pyramid_dims(), kReductionEpsilon),
        attention({stage.pyramid_dims(), stage.token_dims, stage.rc_heads, config.rc_window()}, stage.rc_windows, config, stage.identity_windows, true,
                  std::nullopt),
        norm2(stage.token_dims, kReductionEpsilon), mlp(stage.token_dims, stage.token_dims) {
    const bool learned = stage.rc_windows == WindowKind::kLearned;
    add("PCM", convolutions);
    add("PRM", pyramid);
    // Plain windows came first, as a transformer block of its own name.
    const std::string block = learned ? "" : "attn.";
    add(block + "norm1", norm1);
    if (learned && config.cpe) add("pos", *(position = std::make_unique<PositionEncoding>(stage.pyramid_dims(), config.rc_window(), config)));
    add(block + "attn", attention);
    add(block + "norm2", norm2);
    add(block + "mlp", mlp);
  }

  static ParallelConvolutions::Sizes sizes(const ViTAEv2Stage& stage) {
    ParallelConvolutions::Sizes sizes{stage.in_channels, stage.convolution_dims(), stage.convolution_dims(), stage.token_dims, stage.rc_groups};
    for (int64_t i = 0, left = stage.downsample_ratio / 2; i < 3; ++i, left /= 2) sizes.strides[i] = left > 0 ? 2 : 1;
    return sizes;
  }

  at::Tensor forward(const at::Tensor& map, const CellCall& call) const {
    at::Tensor x = pyramid.forward(map);
    if (position) x = position->forward(x);
    x = norm1.forward(x);
    x = attention.forward(x, {}, call.attention);
    x = as_rows(convolutions.forward(map, as_map(x), call.training));
    return mlp.forward(norm2.forward(x), x);
  }

  PyramidReduction pyramid;
  ParallelConvolutions convolutions;
  nn::LayerNorm norm1;
  std::unique_ptr<PositionEncoding> position;
  WindowedAttention attention;
  nn::LayerNorm norm2;
  Mlp mlp;
};

/// NormalCell: [B,h,w,C] -> the same.
struct NormalCell : nn::Module {
  NormalCell(const ViTAEv2Stage& stage, const ViTAEv2Config& config)
      : norm1(stage.token_dims, kNormalEpsilon), attention({stage.token_dims, stage.token_dims, stage.nc_heads, config.window_size}, stage.nc_windows, config,
                                                           stage.identity_windows, stage.qkv_bias, stage.qk_scale),
        norm2(stage.token_dims, kNormalEpsilon), mlp(stage.token_dims, stage.hidden_dims()),
        convolutions({stage.token_dims, stage.hidden_dims(), stage.token_dims, stage.token_dims, stage.nc_groups}) {
    add("norm1", norm1);
    if (stage.nc_windows == WindowKind::kLearned && config.cpe)
      add("pos", *(position = std::make_unique<PositionEncoding>(stage.token_dims, config.window_size, config)));
    add("attn", attention);
    add("norm2", norm2);
    add("mlp", mlp);
    add("PCM", convolutions);
  }

  at::Tensor forward(const at::Tensor& x, const CellCall& call) const {
    // The residual is x itself; what the position encoding adds is for the attention alone.
    at::Tensor y = norm1.forward(position ? position->forward(x) : x);
    y = attention.forward(y, x, call.attention);
    y = as_rows(convolutions.forward(as_map(x), as_map(y), call.training));
    return mlp.forward(norm2.forward(y), y);
  }

  nn::LayerNorm norm1;
  std::unique_ptr<PositionEncoding> position;
  WindowedAttention attention;
  nn::LayerNorm norm2;
  Mlp mlp;
  ParallelConvolutions convolutions;
};

struct Stage : nn::Module {
  Stage(const ViTAEv2Stage& stage, const ViTAEv2Config& config) : reduction(stage, config) {
    add("RC", reduction);
    for (int64_t i = 0; i < stage.nc_depth; ++i) add(fmt::format("NC.{}", i), cells.emplace_back(stage, config));
  }

  ReductionCell reduction;
  std::deque<NormalCell> cells;
};

/// [B,heads,windows,4] in pixels.
at::Tensor rectangles(const LearnedWindows& windows, int64_t stride) {
  const kernels::RegionGrid& grid = windows.grid;
  const auto centres = [&](int64_t count, int64_t size, int64_t before) {
    return at::arange(count, windows.offsets.options()) * size + static_cast<double>(size - 1) / 2 - static_cast<double>(before);
  };
  const at::Tensor across = centres(grid.columns, grid.width, grid.left).view({1, -1}).expand({grid.rows, grid.columns}).reshape({-1});
  const at::Tensor down = centres(grid.rows, grid.height, grid.top).view({-1, 1}).expand({grid.rows, grid.columns}).reshape({-1});
  const double pixels = static_cast<double>(stride);
  const at::Tensor centre = (windows.offsets + at::stack({across, down}, 1) + 0.5) * pixels - 0.5,
                   half = windows.scales * (static_cast<double>(grid.width) / 2 * pixels);
  return at::cat({centre, half}, 3).to(at::kFloat);
}

class ViTAEv2 : public Backbone {
 public:
  explicit ViTAEv2(const ViTAEv2Config& config) : config_(config), head_(config.stages.back().token_dims, std::max<int64_t>(1, config.num_classes)) {
    for (size_t i = 0; i < config.stages.size(); ++i) add(fmt::format("layers.{}", i), stages_.emplace_back(config.stages[i], config));
    if (config.num_classes > 0) add("head", head_);
  }

  BackboneOutputs forward(const at::Tensor& image, const ForwardContext& context, bool with_records) const override {
    check(image);
    BackboneOutputs outputs;
    at::Tensor map = image.contiguous(at::MemoryFormat::ChannelsLast);
    int64_t stride = 1;
    for (size_t i = 0; i < stages_.size(); ++i) {
      stride *= config_.stages[i].downsample_ratio;
      LearnedWindows windows;
      const CellCall call{{[this](const auto&... arguments) { return forms().attend_regions(arguments...); }, with_records ? &windows : nullptr},
                          is_training()};
      at::Tensor x;
      const auto finish = [&](const std::string& cell) {
        context.check_stop();
        if (windows.offsets.defined()) record(outputs, fmt::format("{}.{}", i, cell), windows, stride, x.size(1), x.size(2));
        windows = {};
      };
      x = stages_[i].reduction.forward(map, call);
      finish("RC");
      for (size_t j = 0; j < stages_[i].cells.size(); ++j) {
        x = stages_[i].cells[j].forward(x, call);
        finish(fmt::format("NC.{}", j));
      }
      outputs.features.push_back(map = as_map(x));
    }
    if (config_.num_classes > 0) outputs.logits = head_.forward(map.mean({2, 3}));
    return outputs;
  }

  double multiply_adds(int64_t height, int64_t width) const override { return config_.multiply_adds(height, width); }
  int64_t picture_size() const override { return config_.img_size; }

  std::vector<std::string> computed_buffers() const override {
    if (config_.num_classes > 0) return {"relative_position_index"};
    return {"relative_position_index", "head.weight", "head.bias"};
  }

 private:
  void check(const at::Tensor& image) const {
    const int64_t channels = config_.stages[0].in_channels, reduction = config_.reduction();
    if (image.dim() != 4 || image.size(1) != channels)
      fail(ExitCode::kBadInput, "the picture of a ViTAEv2 has shape [{}]; it must be [B,{},H,W]", fmt::join(image.sizes(), ","), channels);
    // Learned windows must fit into the map.
    int64_t smallest = reduction, stride = 1;
    for (const ViTAEv2Stage& stage : config_.stages) {
      stride *= stage.downsample_ratio;
      if (stage.identity_windows) continue;
      if (stage.rc_windows == WindowKind::kLearned) smallest = std::max(smallest, config_.rc_window() * stride);
      if (stage.nc_windows == WindowKind::kLearned && stage.nc_depth > 0) smallest = std::max(smallest, config_.window_size * stride);
    }
    smallest = (smallest + reduction - 1) / reduction * reduction;
    for (const int64_t side : {image.size(2), image.size(3)})
      if (side % reduction != 0 || side < smallest)
        fail(ExitCode::kBadInput,
             "the picture of a ViTAEv2 has {} x {} pixels; both sides must be multiples of {} and at least {}: resize, crop or pad it first", image.size(3),
             image.size(2), reduction, smallest);
    if (image.size(0) < 1) fail(ExitCode::kBadInput, "the batch of a ViTAEv2 is empty; give at least one picture");
  }

  static void record(BackboneOutputs& outputs, const std::string& cell, const LearnedWindows& windows, int64_t stride, int64_t rows, int64_t columns) {
    const kernels::RegionGrid& grid = windows.grid;
    outputs.records.emplace_back("windows." + cell, rectangles(windows, stride));
    outputs.records.emplace_back("window_offsets." + cell, windows.raw_offsets.to(at::kFloat).contiguous());
    outputs.records.emplace_back("window_scales." + cell, windows.raw_scales.to(at::kFloat).contiguous());
    outputs.records.emplace_back("window_grid." + cell,
                                 at::tensor({grid.rows, grid.columns, grid.width, grid.top, grid.left, stride, rows, columns}, at::kLong));
  }

  ViTAEv2Config config_;
  std::deque<Stage> stages_;
  nn::Linear head_;
};

}  // namespace

std::unique_ptr<Backbone> make_vitaev2(const nlohmann::json& config) { return std::make_unique<ViTAEv2>(ViTAEv2Config::from_json(config)); }

}  // namespace attelier
