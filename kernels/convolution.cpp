#include "kernels/convolution.h"

#include <ATen/Parallel.h>

#include "kernels/cpu/level.h"
#include "kernels/parallel.h"

namespace attelier::kernels {
namespace {

/// Transformed inputs of a chunk: 8 MiB, which the last cache holds. A chunk has at least so many tiles that transforming the weights for it costs little.
constexpr int64_t kChunkFloats = 1 << 21, kLeastTiles = 2 * cpu::kBlock;

/// Rounding outputs up may add this part of them: much less than Winograd's form saves.
constexpr double kMostPadding = 0.25;

/// Tiles of a group, the unit of work for one panel: so many that each thread gets several, in whole blocks.
int64_t group_size(int64_t tiles, int64_t panels) {
  const int64_t groups = (8 * at::get_num_threads() + panels - 1) / panels, blocks = (tiles + cpu::kBlock - 1) / cpu::kBlock;
  return std::max<int64_t>(1, (blocks + groups - 1) / groups) * cpu::kBlock;
}

}  // namespace

bool can_pack_3x3(const at::Tensor& weight) {
  if (!weight.defined() || !weight.is_cpu() || weight.layout() != at::kStrided || weight.scalar_type() != at::kFloat || weight.dim() != 4 || weight.numel() == 0) return false;
  const auto outputs = static_cast<double>(weight.size(0)), rounded = static_cast<double>(cpu::rounded(weight.size(0)));
  return weight.size(2) == 3 && weight.size(3) == 3 && weight.size(1) >= cpu::kChannelUnit && rounded <= (1 + kMostPadding) * outputs;
}

at::Tensor pack_3x3(const at::Tensor& weight) {
  const at::Tensor whole = at::constant_pad_nd(weight, {0, 0, 0, 0, 0, 0, 0, cpu::rounded(weight.size(0)) - weight.size(0)});
  std::vector<at::Tensor> panels;
  for (const at::Tensor& panel : whole.split(cpu::kPanel)) panels.push_back(panel.permute({1, 2, 3, 0}).reshape({-1}));
  return at::cat(panels);
}

at::Tensor unpack_3x3(const at::Tensor& packed, at::IntArrayRef shape) {
  std::vector<at::Tensor> panels;
  for (const at::Tensor& panel : packed.split(cpu::kPanel * shape[1] * cpu::kTaps)) panels.push_back(panel.view({shape[1], 3, 3, -1}).permute({3, 0, 1, 2}));
  const at::Tensor whole = at::cat(panels);
  TORCH_CHECK(whole.size(0) == cpu::rounded(shape[0]));
  return whole.slice(0, 0, shape[0]);
}

at::Tensor convolve_3x3(const at::Tensor& x, const at::Tensor& packed, at::IntArrayRef shape, const at::Tensor& bias, const at::Tensor& addend) {
  const at::Tensor input = x.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t batches = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3), outputs = shape[0];
  TORCH_CHECK(x.scalar_type() == at::kFloat && channels == shape[1] && cpu::rounded(outputs) * channels * cpu::kTaps == packed.numel(), "convolve_3x3: ", channels,
              " channels do not fit a packed weight of shape ", shape);
  at::Tensor y = at::empty({batches, outputs, height, width}, x.options(), at::MemoryFormat::ChannelsLast);
  if (y.numel() == 0) return y;
  const at::Tensor added = addend.defined() ? addend.expand_as(y).contiguous(at::MemoryFormat::ChannelsLast) : addend;
  cpu::ConvolutionCall call{};
  call.x = input.const_data_ptr<float>();
  call.weight = packed.const_data_ptr<float>();
  call.bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  call.addend = added.defined() ? added.const_data_ptr<float>() : nullptr;
  call.y = y.mutable_data_ptr<float>();
  call.height = height;
  call.width = width;
  call.channels = channels;
  call.outputs = outputs;
  const int64_t tiles = batches * call.tiles_of_a_picture();
  const int64_t chunk = std::min(tiles, std::max(kLeastTiles, kChunkFloats / (cpu::kPoints * channels) / cpu::kBlock * cpu::kBlock));
  const at::Tensor transformed = at::empty({cpu::kPoints, chunk + cpu::kSpareRows, channels}, at::kFloat);
  call.transformed = transformed.mutable_data_ptr<float>();
  const cpu::ConvolutionKernels& kernels = cpu::convolution_kernels_of(cpu::current_level());
  for (call.first_tile = 0; call.first_tile < tiles; call.first_tile += chunk) {
    call.tiles = std::min(chunk, tiles - call.first_tile);
    call.group = group_size(call.tiles, call.panels());
    const auto multiplications = static_cast<double>(cpu::kPoints * call.tiles * channels) * static_cast<double>(outputs);
    run_in_parallel(call.tiles, 0, static_cast<double>(100 * call.tiles * channels), [&](int64_t begin, int64_t end, void*) { kernels.inputs(call, begin, end); });
    run_in_parallel(call.panels() * call.groups(), call.workspace() * static_cast<int64_t>(sizeof(float)), 2 * multiplications,
                         [&](int64_t begin, int64_t end, void* workspace) { kernels.outputs(call, begin, end, static_cast<float*>(workspace)); });
  }
  return y;
}

}  // namespace attelier::kernels
