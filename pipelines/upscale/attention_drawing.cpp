#include "pipelines/upscale/attention_drawing.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "pipelines/recognize/canvas.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

const cv::Scalar kWindowColour(255, 255, 255), kShiftedColour(120, 220, 255), kShadow(0, 0, 0);

/// Asks every RG-SA layer for one row of its weights.
class PixelWatch : public AttentionProgram {
 public:
  PixelWatch(int64_t x, int64_t y, int64_t side) : x_(x), y_(y), side_(side) {}

  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override {
    kernels::AttentionControl control;
    kernels::Probe& row = control.probes.emplace_back();
    row.kind = kernels::ProbeKind::kRows;
    row.rows = std::vector<int64_t>{y_ * call.grid_width + x_};
    row.reduce_heads = kernels::ReduceHeads::kMean;
    return control;
  }
  void observe(const AttentionCall& call, const kernels::AttentionResult& result) override {
    layers.push_back({call.site.path, result.probes.at(0).value.to(at::kCPU, at::kFloat).reshape({call.grid_height / side_, call.grid_width / side_}), side_});
  }

  std::vector<CellAttention> layers;

 private:
  const int64_t x_, y_, side_;
};

/// The window along an axis of `cells` cells that holds `place`: begin and end.
std::pair<int64_t, int64_t> span_around(int64_t place, int64_t cells, int64_t size, int64_t shift) {
  const int64_t begin = place < shift ? 0 : (place - shift) / size * size + shift, end = place < shift ? shift : begin + size;
  return {begin, std::min(end, cells)};
}

Rectangle rectangle_of(const AttentionWindow& window) {
  const double width = static_cast<double>(window.width), height = static_cast<double>(window.height);
  return {static_cast<double>(window.left) + (width - 1) / 2, static_cast<double>(window.top) + (height - 1) / 2, width / 2, height / 2};
}

}  // namespace

std::vector<CellAttention> attention_of_pixel(const Rgt& model, const at::Tensor& picture, const ForwardContext& context, std::optional<int64_t> recursions, int64_t x, int64_t y) {
  const int64_t height = picture.size(2), width = picture.size(3);
  if (x < 0 || y < 0 || x >= width || y >= height) fail(ExitCode::kBadInput, "the pixel ({}, {}) lies outside the {} x {} pixels of the picture", x, y, width, height);
  const int64_t times = recursions.value_or(rgt_recursions(height, width));
  PixelWatch watch(x, y, int64_t{1} << (2 * times));
  ForwardContext watched = context;
  watched.program = &watch;
  model.forward(picture, watched, recursions);
  return std::move(watch.layers);
}

std::vector<AttentionWindow> windows_around(const RgtConfig& config, int64_t height, int64_t width, int64_t x, int64_t y) {
  std::vector<AttentionWindow> windows;
  for (const bool shifted : {false, true})
    for (const size_t half : {0, 1}) {
      const int64_t tall = config.split_size[half], wide = config.split_size[1 - half];
      const auto [top, bottom] = span_around(y, height, tall, shifted ? tall / 2 : 0);
      const auto [left, right] = span_around(x, width, wide, shifted ? wide / 2 : 0);
      windows.push_back({left, top, right - left, bottom - top, shifted});
    }
  return windows;
}

Image draw_pixel_attention(const Image& picture, const CellAttention& layer, const std::vector<AttentionWindow>& windows, int64_t x, int64_t y) {
  Canvas canvas(picture);
  // Many layers spread their attention nearly evenly: colours go from the least weight to the most.
  const double least = layer.weights.min().item<double>(), most = layer.weights.max().item<double>(), side = static_cast<double>(layer.side);
  canvas.colours(layer.weights - least, most - least, side * static_cast<double>(layer.weights.size(1)), side * static_cast<double>(layer.weights.size(0)));
  for (const AttentionWindow& window : windows) {
    canvas.outline(rectangle_of(window), kShadow, 4);
    canvas.outline(rectangle_of(window), window.shifted ? kShiftedColour : kWindowColour, 2);
  }
  canvas.cross(static_cast<double>(x), static_cast<double>(y));
  return canvas.finish(fmt::format("{} at ({}, {}): {:.4g} to {:.4g} on cells of {} pixels; windows white, shifted blue", layer.layer, x, y, least, most, layer.side));
}

Json attention_json(const std::vector<CellAttention>& layers, const std::vector<AttentionWindow>& windows, int64_t x, int64_t y) {
  Json json = {{"at", {x, y}}, {"layers", Json::array()}, {"windows", Json::array()}};
  for (const CellAttention& layer : layers) {
    const at::Tensor weights = layer.weights.contiguous();
    json["layers"].push_back({{"layer", layer.layer},
                              {"pixels_per_cell", layer.side},
                              {"rows", weights.size(0)},
                              {"columns", weights.size(1)},
                              {"weights", std::vector<float>(weights.const_data_ptr<float>(), weights.const_data_ptr<float>() + weights.numel())}});
  }
  for (const AttentionWindow& window : windows)
    json["windows"].push_back({{"left", window.left}, {"top", window.top}, {"width", window.width}, {"height", window.height}, {"shifted", window.shifted}});
  return json;
}

}  // namespace attelier
