#include "app/session/gathered_attention.h"

#include <cmath>

namespace attelier {
namespace {

using kernels::RegionGrid;

/// [B,H,rows,columns,D] -> [B*G,H,cells,D], zeros outside the map.
at::Tensor cut(const at::Tensor& map, const RegionGrid& grid) {
  const int64_t below = grid.rows * grid.height - grid.top - map.size(2), right = grid.columns * grid.width - grid.left - map.size(3);
  const bool fits = grid.top + grid.left + below + right == 0;
  const at::Tensor padded = fits ? map : at::constant_pad_nd(map, {0, 0, grid.left, right, grid.top, below});
  return padded.unflatten(3, {grid.columns, grid.width})
      .unflatten(2, {grid.rows, grid.height})
      .permute({0, 2, 4, 1, 3, 5, 6})
      .reshape({-1, map.size(1), grid.cells(), map.size(4)});
}

/// The inverse: [B*G,H,cells,D] -> [B,H,rows,columns,D].
at::Tensor join(const at::Tensor& regions, const RegionGrid& grid, const at::Tensor& like) {
  const at::Tensor map = regions.view({like.size(0), grid.rows, grid.columns, regions.size(1), grid.height, grid.width, regions.size(3)})
                             .permute({0, 3, 1, 4, 2, 5, 6})
                             .reshape({like.size(0), regions.size(1), grid.rows * grid.height, grid.columns * grid.width, regions.size(3)});
  return map.slice(2, grid.top, grid.top + like.size(2)).slice(3, grid.left, grid.left + like.size(3));
}

/// Cells of the chosen regions: [B*G,H,N*cells,D].
at::Tensor gathered(const at::Tensor& map, const RegionGrid& grid, const at::Tensor& index) {
  const int64_t batches = map.size(0), heads = map.size(1), count = grid.regions(), chosen = index.size(3);
  const at::Tensor regions = cut(map, grid).view({batches, count, heads, grid.cells(), map.size(4)});
  const at::Tensor rows = at::arange(batches, index.options()).view({-1, 1, 1, 1}), columns = at::arange(heads, index.options()).view({1, -1, 1, 1});
  return regions.index({rows, index.to(at::kLong).expand({batches, index.size(1), count, chosen}), columns})  // [B,H,G,N,cells,D]
      .permute({0, 2, 1, 3, 4, 5})
      .reshape({batches * count, heads, chosen * grid.cells(), map.size(4)});
}

/// The map at points [B,H,G,N,2], bilinear: [B*G,H,N,D].
at::Tensor sampled(const at::Tensor& map, const at::Tensor& points) {
  const at::Tensor planes = map.to(at::kFloat).permute({0, 1, 4, 2, 3}).flatten(0, 1);
  const at::Tensor size = at::tensor({map.size(3), map.size(2)}, points.options());
  const at::Tensor samples = at::grid_sampler(planes, ((2 * points + 1) / size - 1).flatten(0, 1), 0, 0, false);  // [B*H,D,G,N]
  return samples.view({map.size(0), map.size(1), map.size(4), points.size(2), points.size(3)}).permute({0, 3, 1, 4, 2}).flatten(0, 1).to(map.scalar_type());
}

}  // namespace

at::Tensor gathered_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const kernels::RegionAttention& attention) {
  const double scale = attention.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(4))));
  at::Tensor keys, values;
  if (attention.index.defined()) {
    keys = gathered(k, attention.grid, attention.index);
    values = gathered(v, attention.grid, attention.index);
  } else {
    const at::Tensor points = attention.points.to(at::kFloat).expand({q.size(0), q.size(1), -1, -1, -1});
    keys = sampled(k, points);
    values = sampled(v, points);
  }
  at::Tensor logits = at::matmul(cut(q, attention.grid) * scale, keys.transpose(2, 3));
  if (attention.pair_bias.defined()) logits = logits + attention.pair_bias;
  return join(at::matmul(at::softmax(logits, 3), values), attention.grid, q);
}

}  // namespace attelier
