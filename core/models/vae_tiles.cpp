#include "core/models/vae_tiles.h"

#include <algorithm>
#include <vector>

namespace attelier {
namespace {

/// Cross-fades the first rows (dim 2) or columns (dim 3) of `tile` with the last ones of `before`, in place.
void fade(const at::Tensor& before, const at::Tensor& tile, int64_t dim, int64_t extent) {
  extent = std::min({extent, before.size(dim), tile.size(dim)});
  if (extent == 0) return;
  at::Tensor ramp = at::arange(extent, at::kFloat).div_(static_cast<double>(extent)).to(tile.device(), tile.scalar_type());
  ramp = dim == 2 ? ramp.view({1, 1, extent, 1}) : ramp.view({1, 1, 1, extent});
  const at::Tensor start = tile.narrow(dim, 0, extent);
  start.copy_(before.narrow(dim, before.size(dim) - extent, extent) * (1 - ramp) + start * ramp);
}

}  // namespace

at::Tensor in_tiles(const at::Tensor& x, const Tiling& tiling, int64_t channels, int64_t height, int64_t width,
                    const std::function<at::Tensor(const at::Tensor&)>& model, const std::function<void(int64_t, int64_t)>& progress) {
  const int64_t stride = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(tiling.input_side) * (1 - tiling.overlap)));
  const int64_t extent = static_cast<int64_t>(static_cast<double>(tiling.output_side) * tiling.overlap);
  const int64_t keep = tiling.output_side - extent;
  const int64_t rows = (x.size(2) + stride - 1) / stride, columns = (x.size(3) + stride - 1) / stride;
  at::Tensor result;
  std::vector<at::Tensor> above, current;
  int64_t y = 0;
  for (int64_t i = 0; i < rows && y < height; ++i) {
    current.clear();
    int64_t left = 0, tall = 0;
    for (int64_t j = 0; j < columns; ++j) {
      const auto cut = [&](const at::Tensor& t, int64_t dim, int64_t at) { return t.slice(dim, at, std::min(at + tiling.input_side, t.size(dim))); };
      at::Tensor tile = model(cut(cut(x, 2, i * stride), 3, j * stride));
      if (i > 0) fade(above[static_cast<size_t>(j)], tile, 2, extent);
      if (j > 0) fade(current.back(), tile, 3, extent);
      if (!result.defined()) result = at::empty({x.size(0), channels, height, width}, tile.options());
      tall = std::min({keep, tile.size(2), height - y});
      const int64_t wide = std::min({keep, tile.size(3), width - left});
      if (wide > 0) result.narrow(2, y, tall).narrow(3, left, wide).copy_(tile.slice(2, 0, tall).slice(3, 0, wide));
      left += wide;
      current.push_back(std::move(tile));
      if (progress) progress(i * columns + j + 1, rows * columns);
    }
    y += tall;
    std::swap(above, current);
  }
  return result;
}

}  // namespace attelier
