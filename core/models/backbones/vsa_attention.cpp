#include "core/models/backbones/vsa_attention.h"

#include <cmath>

#include "core/base/error.h"

namespace attelier {
namespace {

constexpr double kLeakySlope = 0.01, kTableDeviation = 0.02;

int64_t missing_cells(int64_t cells, int64_t window) { return (window - cells % window) % window; }

/// The bias of every pair of cells of a window, by their distance along both axes: table [(2w-1)^2, H] -> [H, w*w, w*w].
at::Tensor pair_bias(const at::Tensor& table, int64_t window) {
  const at::Tensor cells = at::arange(window, table.options().dtype(at::kLong));
  const at::Tensor distance = cells.unsqueeze(1) - cells.unsqueeze(0) + window - 1;  // [query, key] along one axis
  const at::Tensor index = distance.view({window, 1, window, 1}) * (2 * window - 1) + distance.view({1, window, 1, window});
  const int64_t count = window * window;
  return table.index_select(0, index.reshape({-1})).view({count, count, -1}).permute({2, 0, 1}).contiguous();
}

at::Tensor random_table(const nn::Parameter& table, at::Generator& generator) {
  return at::empty(table.shape, at::kFloat).normal_(0, kTableDeviation, generator);
}

/// Queries, keys or values as maps [B,heads,h,w,D], views of the projection [B,h,w,3*C].
at::Tensor part(const at::Tensor& qkv, int64_t which, int64_t heads) {
  const int64_t width = qkv.size(3) / 3;
  return qkv.slice(3, which * width, (which + 1) * width).view({qkv.size(0), qkv.size(1), qkv.size(2), heads, width / heads}).permute({0, 3, 1, 2, 4});
}

at::Tensor attend_windows(const WindowCall& call, const at::Tensor& qkv, int64_t heads, const kernels::RegionAttention& attention) {
  const at::Tensor o = call.attend(part(qkv, 0, heads), part(qkv, 1, heads), part(qkv, 2, heads), attention);
  return o.permute({0, 2, 3, 1, 4}).flatten(3);
}

/// Each region attends itself.
at::Tensor own_regions(const kernels::RegionGrid& grid, at::Device device) {
  return at::arange(grid.regions(), at::TensorOptions().dtype(at::kInt).device(device)).view({1, 1, -1, 1});
}

at::Tensor as_map(const at::Tensor& rows) { return rows.permute({0, 3, 1, 2}); }
at::Tensor as_rows(const at::Tensor& map) { return map.permute({0, 2, 3, 1}).contiguous(); }

}  // namespace

VsaAttention::Regression::Regression(int64_t in, int64_t out) {
  weight_.shape = {out, in, 1, 1};
  bias_.shape = {out};
  add("weight", weight_);
  add("bias", bias_);
}

at::Tensor VsaAttention::Regression::forward(const at::Tensor& pooled) const {
  return at::linear(pooled, weight_.value.flatten(1).to(pooled.scalar_type()), bias_.value.to(pooled.scalar_type()));
}

VsaAttention::VsaAttention(int64_t in, int64_t out, int64_t heads, int64_t window, VsaStyle style, bool identity)
    : heads_(heads), window_(window), scale_(1 / std::sqrt(static_cast<double>(in / heads))), style_(style), identity_(identity), qkv_(in, 3 * out, 1),
      proj_(out, out, 1), offsets_(in, 2 * heads), scales_(in, 2 * heads) {
  table_.shape = {(2 * window - 1) * (2 * window - 1), heads};
  add("relative_position_bias_table", table_);
  add("sampling_offsets.2", offsets_);
  add("sampling_scales.2", scales_);
  add("qkv", qkv_);
  add("proj", proj_);
}

void VsaAttention::initialise_own(at::Generator& generator) { table_.value = random_table(table_, generator); }

LearnedWindows VsaAttention::find_windows(const at::Tensor& x) const {
  const int64_t batches = x.size(0), rows = x.size(1), columns = x.size(2);
  LearnedWindows windows;
  kernels::RegionGrid& grid = windows.grid = kernels::regions_over(rows, columns, window_, window_);
  if (style_ == VsaStyle::kDetection) {
    grid.top = missing_cells(rows, window_) / 2;
    grid.left = missing_cells(columns, window_) / 2;
  }
  const at::ScalarType type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  if (identity_) {
    windows.raw_offsets = windows.raw_scales = windows.offsets = at::zeros({batches, heads_, grid.regions(), 2}, x.options().dtype(type));
    windows.scales = at::ones_like(windows.offsets);
    return windows;
  }
  if (rows < window_ || columns < window_)
    fail(ExitCode::kBadInput,
         "an attention with learned windows of {0} x {0} cells has a map of {1} x {2} cells; both sides must hold a window: take a larger picture, or a model "
         "with smaller windows",
         window_, rows, columns);
  // The average of a window counts what lies beyond the map as zeros.
  const at::Tensor pooled = at::avg_pool2d(as_map(x), {window_, window_}, {window_, window_}, {grid.top, grid.left}, true, true, window_ * window_);
  const at::Tensor features = at::leaky_relu(as_rows(pooled).to(type), kLeakySlope);  // [B,window rows,window columns,in]
  const auto per_head = [&](const Regression& regression) { return regression.forward(features).to(type).view({batches, grid.regions(), heads_, 2}).transpose(1, 2); };
  windows.raw_offsets = per_head(offsets_);
  windows.raw_scales = per_head(scales_);
  // The regression speaks in the sampler's units: from the map's first cell to its last are 2.
  const auto unit = [&](int64_t windows_along, int64_t divisor) { return static_cast<double>(windows_along * window_ - 1) / static_cast<double>(2 * divisor); };
  const int64_t down = rows / window_, across = columns / window_;
  const bool swapped = style_ == VsaStyle::kDetection;
  windows.offsets =
      windows.raw_offsets * at::tensor({unit(grid.columns, swapped ? down : across), unit(grid.rows, swapped ? across : down)}, windows.raw_offsets.options());
  windows.scales = windows.raw_scales + 1;
  return windows;
}

at::Tensor VsaAttention::forward(const at::Tensor& x, const at::Tensor& addend, const WindowCall& call) const {
  const LearnedWindows found = find_windows(x);
  kernels::RegionAttention attention;
  attention.grid = found.grid;
  if (identity_)
    attention.index = own_regions(found.grid, x.device());
  else
    attention.points = kernels::window_points(found.grid, found.offsets, found.scales);
  attention.scale = scale_;
  attention.pair_bias = pair_bias(table_.value, window_);
  const at::Tensor o = attend_windows(call, as_rows(qkv_.forward(as_map(x))), heads_, attention);
  if (call.windows) *call.windows = found;
  return as_rows(proj_.forward(as_map(o), addend.defined() ? as_map(addend) : addend));
}

WindowAttention::WindowAttention(int64_t in, int64_t out, int64_t heads, int64_t window, bool qkv_bias, double scale, bool relative_positions)
    : heads_(heads), window_(window), scale_(scale), qkv_(in, 3 * out, qkv_bias), proj_(out, out) {
  if (relative_positions) {
    table_.shape = {(2 * window - 1) * (2 * window - 1), heads};
    add("relative_position_bias_table", table_);
  }
  add("qkv", qkv_);
  add("proj", proj_);
}

void WindowAttention::initialise_own(at::Generator& generator) {
  if (!table_.shape.empty()) table_.value = random_table(table_, generator);
}

at::Tensor WindowAttention::forward(const at::Tensor& x, const at::Tensor& addend, const WindowCall& call) const {
  const int64_t rows = x.size(1), columns = x.size(2), more_rows = missing_cells(rows, window_), more_columns = missing_cells(columns, window_),
                top = more_rows / 2, left = more_columns / 2;
  const at::Tensor padded = more_rows + more_columns == 0 ? x : at::constant_pad_nd(x, {0, 0, left, more_columns - left, top, more_rows - top});
  kernels::RegionAttention attention;
  attention.grid = kernels::regions_over(padded.size(1), padded.size(2), window_, window_);
  attention.index = own_regions(attention.grid, x.device());
  attention.scale = scale_;
  if (table_.value.defined()) attention.pair_bias = pair_bias(table_.value, window_);
  const at::Tensor o = attend_windows(call, qkv_.forward(padded), heads_, attention);
  return proj_.forward(o.slice(1, top, top + rows).slice(2, left, left + columns), addend);
}

}  // namespace attelier
