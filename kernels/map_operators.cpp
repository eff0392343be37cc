#include "kernels/map_operators.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention.h"

namespace attelier::kernels {
namespace {

bool is_half_precision(at::ScalarType type) { return type == at::kBFloat16 || type == at::kHalf; }

/// [B,H,rows,columns,D] -> [B,G,H,cells,D], zeros outside the map.
at::Tensor cut(const at::Tensor& map, const RegionGrid& grid) {
  const int64_t bottom = grid.rows * grid.height - grid.top - map.size(2), right = grid.columns * grid.width - grid.left - map.size(3);
  const at::Tensor padded = at::constant_pad_nd(map, {0, 0, grid.left, right, grid.top, bottom});
  return padded.reshape({map.size(0), map.size(1), grid.rows, grid.height, grid.columns, grid.width, map.size(4)}).permute({0, 2, 4, 1, 3, 5, 6}).reshape({map.size(0), grid.regions(), map.size(1), grid.cells(), map.size(4)});
}

/// The inverse of cut(), without what lies outside: [B,G,H,cells,D] -> [B,H,rows,columns,D].
at::Tensor join(const at::Tensor& regions, const RegionGrid& grid, int64_t rows, int64_t columns) {
  const at::Tensor map = regions.reshape({regions.size(0), grid.rows, grid.columns, regions.size(2), grid.height, grid.width, regions.size(4)})
                             .permute({0, 1, 4, 2, 5, 3, 6})
                             .reshape({regions.size(0), grid.rows * grid.height, grid.columns * grid.width, regions.size(2), regions.size(4)});
  return map.slice(1, grid.top, grid.top + rows).slice(2, grid.left, grid.left + columns).permute({0, 3, 1, 2, 4});
}

/// Cells of the regions that `index` [B,H,G,N] names: [B,G,H,N*cells,D]. Indices out of range read region 0.
at::Tensor gathered(const at::Tensor& map, const RegionGrid& grid, const at::Tensor& index) {
  const at::Tensor regions = cut(map, grid).transpose(1, 2);  // [B,H,G,cells,D]
  const int64_t batches = regions.size(0), heads = regions.size(1), count = grid.regions();
  const at::Tensor first = at::arange(batches * heads, index.options()).view({batches, heads, 1, 1}) * count;
  const at::Tensor rows = regions.reshape({batches * heads * count, grid.cells() * map.size(4)}).index_select(0, (first + index).reshape(-1));
  return rows.view({batches, heads, count, index.size(3) * grid.cells(), map.size(4)}).transpose(1, 2);
}

/// Samples at points [B,H,G,N,2]: [B,G,H,N,D], rounded to the dtype of the map.
at::Tensor sampled(const at::Tensor& map, const at::Tensor& points) {
  const at::ScalarType type = is_half_precision(map.scalar_type()) ? at::kFloat : map.scalar_type();
  const int64_t rows = map.size(2), columns = map.size(3);
  const at::Tensor planes = map.to(type).permute({0, 1, 4, 2, 3}).flatten(0, 1);
  // Positions as the sampler wants them, the borders of the map at -1 and 1; those that are not finite go outside.
  const at::Tensor size = at::tensor({columns, rows}, points.options().dtype(type));
  const at::Tensor places = at::where(at::isfinite(points), points, at::full({}, -2, points.options())).to(type);
  const at::Tensor samples = at::grid_sampler(planes, ((2 * places + 1) / size - 1).flatten(0, 1), 0, 0, false);  // [B*H,D,G,N]
  return samples.view({map.size(0), map.size(1), map.size(4), points.size(2), points.size(3)}).permute({0, 3, 1, 4, 2}).to(map.scalar_type());
}

/// softmax(scale q k^T + bias) v with q [N,H,L,D] and a bias that broadcasts, or none.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias, double scale) {
  if (!bias.defined()) return plain_attention(q, k, v, scale);
  const at::ScalarType type = is_half_precision(q.scalar_type()) && q.is_cpu() ? at::kFloat : q.scalar_type();
  const at::Tensor o = at::scaled_dot_product_attention(q.to(type), k.to(type), v.to(type), bias.to(type), 0.0, false, scale);
  const at::Tensor dead = bias.amax(-1, true) == -std::numeric_limits<double>::infinity();
  return at::where(dead, at::zeros({}, o.options()), o).to(q.scalar_type());
}

}  // namespace

bool wants_gradient(at::TensorList tensors) {
  return at::GradMode::is_enabled() && std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& x) { return x.defined() && x.requires_grad(); });
}

at::Tensor regions_by_operators(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const RegionGrid& grid = attention.grid;
  const int64_t batches = q.size(0), heads = q.size(1), regions = grid.regions();
  const int64_t count = attention.index.defined() ? attention.index.size(3) : attention.points.size(3);
  if (count == 0) return at::zeros({batches, heads, q.size(2), q.size(3), v.size(4)}, q.options());
  at::Tensor keys, values, bias;
  if (attention.index.defined()) {
    const at::Tensor index = attention.index.to(at::kLong).expand({batches, heads, regions, count});
    const at::Tensor absent = (index < 0) | (index >= regions), present = index.masked_fill(absent, 0);
    keys = gathered(k, grid, present);
    values = gathered(v, grid, present);
    if (!q.is_cpu() || absent.any().item<bool>()) {
      const at::Tensor hidden = absent.permute({0, 2, 1, 3}).unsqueeze(4).expand({batches, regions, heads, count, grid.cells()}).reshape({batches * regions, heads, 1, -1});
      bias = at::zeros(hidden.sizes(), q.options().dtype(q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat)).masked_fill(hidden, -std::numeric_limits<double>::infinity());
    }
  } else {
    const at::Tensor points = attention.points.expand({batches, heads, regions, count, 2});
    keys = sampled(k, points);
    values = sampled(v, points);
  }
  if (attention.pair_bias.defined()) bias = bias.defined() ? bias + attention.pair_bias.unsqueeze(0) : attention.pair_bias.unsqueeze(0);
  const double scale = attention.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(4))));
  const at::Tensor o = attend(cut(q, grid).flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1), bias, scale);
  return join(o.reshape({batches, regions, heads, grid.cells(), v.size(4)}), grid, q.size(2), q.size(3));
}

at::Tensor warp_by_operators(const Warp& warp, const at::Tensor& x) {
  const int64_t batches = x.size(0), channels = x.size(1), rows = x.size(2), columns = x.size(3);
  const at::ScalarType type = is_half_precision(x.scalar_type()) ? at::kFloat : x.scalar_type();
  const at::TensorOptions options = x.options().dtype(type);
  const at::Tensor flow = warp.flow.to(type).expand({batches, 2, rows, columns});
  at::Tensor across = flow.select(1, 0) + at::arange(columns, options), down = flow.select(1, 1) + at::arange(rows, options).unsqueeze(1);
  if (warp.sampling == WarpSampling::kNearest) {
    across = at::round(across);
    down = at::round(down);
  }
  const at::Tensor inside = (across >= 0) & (across <= columns - 1) & (down >= 0) & (down <= rows - 1);
  const at::Tensor nowhere = at::isnan(across) | at::isnan(down);
  // All positions from one cell outside on are alike.
  const int64_t margin = warp.padding == WarpPadding::kBorder ? 0 : 1;
  across = at::where(nowhere, at::full({}, -1, options), across).clamp(-margin, columns - 1 + margin);
  down = at::where(nowhere, at::full({}, -1, options), down).clamp(-margin, rows - 1 + margin);
  const at::Tensor left = at::floor(across).detach(), top = at::floor(down).detach(), wide = x.to(type).reshape({batches, channels, rows * columns});
  at::Tensor result;
  for (int64_t i = 0; i < 4; ++i) {
    const at::Tensor column = left + i % 2, row = top + i / 2;
    const at::Tensor weight = (i % 2 == 0 ? 1 - (across - left) : across - left) * (i / 2 == 0 ? 1 - (down - top) : down - top);
    const at::Tensor counts = (column >= 0) & (column < columns) & (row >= 0) & (row < rows) & nowhere.logical_not();
    const at::Tensor at = (row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)).to(at::kLong).view({batches, 1, rows * columns}).expand({batches, channels, rows * columns});
    const at::Tensor part = wide.gather(2, at).view(x.sizes()) * at::where(counts, weight, at::zeros({}, options)).unsqueeze(1);
    result = result.defined() ? result + part : part;
  }
  if (warp.base.defined()) {
    at::Tensor share = warp.mask.defined() ? warp.mask.to(type) : at::ones({1, 1, rows, columns}, options);
    if (warp.inside_only) share = share * inside.unsqueeze(1);
    result = share * result + (1 - share) * warp.base.to(type);
  }
  return result.to(x.scalar_type()).contiguous(x.suggest_memory_format());
}

}  // namespace attelier::kernels
