#include "kernels/regions.h"

#include "kernels/cpu/maps_cpu.h"
#include "kernels/cuda/attention_cuda.h"
#include "kernels/map_operators.h"
#include "kernels/refuse.h"

namespace attelier::kernels {
namespace {

void check_map(const at::Tensor& map, const char* name, const at::Tensor& q) {
  if (map.dim() != 5) refuse(name, "has shape {}; it must be [B,H,rows,columns,D]", shape_text(map));
  if (map.scalar_type() != q.scalar_type()) refuse(name, "has dtype {}, q has {}; they must be equal", c10::toString(map.scalar_type()), c10::toString(q.scalar_type()));
  if (map.device() != q.device()) refuse(name, "is on {}, q on {}; move it there", map.device().str(), q.device().str());
  if (map.size(0) != q.size(0) || map.size(1) != q.size(1)) refuse(name, "has shape {}; its batch rows and heads must be those of q, {} and {}", shape_text(map), q.size(0), q.size(1));
  if (map.size(2) < 1 || map.size(3) < 1 || map.size(4) < 1) refuse(name, "has shape {}; rows, columns and width must be at least 1", shape_text(map));
}

void check_grid(const RegionGrid& grid, const at::Tensor& q) {
  constexpr int64_t kLargest = int64_t{1} << 31;
  const auto check_axis = [](int64_t regions, int64_t size, int64_t before, int64_t cells, const char* across, const char* length, const char* margin, const char* axis) {
    if (regions < 1 || regions > kLargest || size < 1 || size > kLargest)
      refuse("grid", "has {} {} with a {} of {}; both must be between 1 and 2^31", regions, across, length, size);
    if (before < 0 || before >= size) refuse("grid", "has {} = {}; allowed is 0 to {}, less than a region's {}", margin, before, size - 1, length);
    if (regions * size < before + cells) refuse("grid", "covers {} of the map's {} {}; add regions until all are covered", std::max<int64_t>(0, regions * size - before), cells, axis);
    if ((regions - 1) * size >= before + cells) refuse("grid", "has {} {}, the last ones beyond the map's {} {}; leave them out", regions, across, cells, axis);
  };
  check_axis(grid.rows, grid.height, grid.top, q.size(2), "rows of regions", "height", "top", "rows");
  check_axis(grid.columns, grid.width, grid.left, q.size(3), "columns of regions", "width", "left", "columns");
}

constexpr int64_t kAny = -1;

/// `shape`, of which the first `broadcast` dimensions may be 1; `text` names the dimensions.
void check_shape(const at::Tensor& tensor, const char* name, const std::vector<int64_t>& shape, size_t broadcast, const char* text) {
  bool fits = tensor.dim() == static_cast<int64_t>(shape.size());
  std::vector<std::string> allowed;
  for (size_t d = 0; d < shape.size(); ++d) {
    allowed.push_back(shape[d] == kAny ? "any" : fmt::format("{}{}", shape[d], d < broadcast && shape[d] != 1 ? "|1" : ""));
    if (!fits) continue;
    const int64_t size = tensor.size(static_cast<int64_t>(d));
    fits = shape[d] == kAny || size == shape[d] || (d < broadcast && size == 1);
  }
  if (!fits) refuse(name, "has shape {}; it must be {}, here [{}]", shape_text(tensor), text, fmt::join(allowed, ","));
}

void check_device(const at::Tensor& tensor, const char* name, const at::Tensor& q) {
  if (tensor.device() != q.device()) refuse(name, "is on {}, q on {}; move it there", tensor.device().str(), q.device().str());
}

}  // namespace

RegionGrid regions_over(int64_t map_rows, int64_t map_columns, int64_t height, int64_t width) {
  if (map_rows < 1 || map_columns < 1 || height < 1 || width < 1) refuse("grid", "cuts a map of {} x {} cells into regions of {} x {}; all must be at least 1", map_rows, map_columns, height, width);
  return {(map_rows + height - 1) / height, (map_columns + width - 1) / width, height, width, 0, 0};
}

at::Tensor window_points(const RegionGrid& grid, const at::Tensor& offsets, const at::Tensor& scales) {
  for (const auto& [name, tensor] : {std::pair<const char*, const at::Tensor&>{"offsets", offsets}, {"scales", scales}}) {
    if (!tensor.is_floating_point()) refuse(name, "has dtype {}; it must be a floating-point tensor", c10::toString(tensor.scalar_type()));
    check_shape(tensor, name, {kAny, kAny, grid.regions(), 2}, 0, "[B,H,G,2]");
  }
  if (offsets.sizes() != scales.sizes()) refuse("scales", "has shape {}, offsets have {}; they must be equal", shape_text(scales), shape_text(offsets));
  // [regions along the axis, cells along it]: distances from the centre of a region, and the centres.
  const auto axis = [&](int64_t regions, int64_t size, int64_t before) {
    const double middle = static_cast<double>(size - 1) / 2;
    return std::pair(at::arange(size, offsets.options()) - middle, at::arange(regions, offsets.options()) * size - static_cast<double>(before) + middle);
  };
  const auto [x, centre_x] = axis(grid.columns, grid.width, grid.left);
  const auto [y, centre_y] = axis(grid.rows, grid.height, grid.top);
  const int64_t batches = offsets.size(0), heads = offsets.size(1);
  const auto placed = [&](int64_t which, const at::Tensor& centre, const at::Tensor& distance) {
    const at::Tensor moved = centre + offsets.select(3, which).view({batches, heads, grid.rows, grid.columns});  // [B,H,rows,columns]
    return moved.unsqueeze(4) + scales.select(3, which).view({batches, heads, grid.rows, grid.columns, 1}) * distance;
  };
  const std::vector<int64_t> shape = {batches, heads, grid.rows, grid.columns, grid.height, grid.width};
  const at::Tensor across = placed(0, centre_x, x).unsqueeze(4).expand(shape), down = placed(1, centre_y.unsqueeze(1), y).unsqueeze(5).expand(shape);
  return at::stack({across, down}, 6).view({batches, heads, grid.regions(), grid.cells(), 2});
}

void validate(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!q.defined() || q.dim() != 5) refuse("q", "has shape {}; it must be [B,H,rows,columns,D]", q.defined() ? shape_text(q) : "none");
  if (!q.is_floating_point()) refuse("q", "has dtype {}; it must be a floating-point tensor", c10::toString(q.scalar_type()));
  check_map(q, "q", q);
  check_map(k, "k", q);
  check_map(v, "v", q);
  if (k.size(4) != q.size(4)) refuse("k", "has width {}, q has {}; they must be equal", k.size(4), q.size(4));
  if (v.size(2) != k.size(2) || v.size(3) != k.size(3)) refuse("v", "has {} x {} cells, k has {} x {}; they must be equal", v.size(2), v.size(3), k.size(2), k.size(3));
  const RegionGrid& grid = attention.grid;
  check_grid(grid, q);
  if (attention.index.defined() == attention.points.defined()) refuse(attention.index.defined() ? "points" : "index", "is {}; give one of index and points", attention.index.defined() ? "given beside index" : "missing, like points");
  int64_t keys = 0;
  if (attention.index.defined()) {
    const at::Tensor& index = attention.index;
    if (index.scalar_type() != at::kLong && index.scalar_type() != at::kInt) refuse("index", "has dtype {}; it must be int64 or int32", c10::toString(index.scalar_type()));
    check_shape(index, "index", {q.size(0), q.size(1), grid.regions(), kAny}, 2, "[B|1,H|1,G,N]");
    check_device(index, "index", q);
    if (k.size(2) != q.size(2) || k.size(3) != q.size(3)) refuse("k", "has {} x {} cells, q has {} x {}; regions chosen by index need maps of one size", k.size(2), k.size(3), q.size(2), q.size(3));
    if (index.is_cpu() && index.numel() > 0) {
      const auto [lowest, highest] = at::aminmax(index);
      const int64_t low = lowest.item<int64_t>(), high = highest.item<int64_t>();
      if (low < -1 || high >= grid.regions()) refuse("index", "holds {}; allowed are -1 (none) to {}, the last region", low < -1 ? low : high, grid.regions() - 1);
    }
    keys = index.size(3) * grid.cells();
  } else {
    const at::Tensor& points = attention.points;
    if (!points.is_floating_point()) refuse("points", "has dtype {}; it must be a floating-point tensor", c10::toString(points.scalar_type()));
    check_shape(points, "points", {q.size(0), q.size(1), grid.regions(), kAny, 2}, 2, "[B|1,H|1,G,N,2]");
    check_device(points, "points", q);
    keys = points.size(3);
  }
  if (attention.scale && !std::isfinite(*attention.scale)) refuse("scale", "is {}; it must be a finite number", *attention.scale);
  if (!attention.pair_bias.defined()) return;
  if (!attention.pair_bias.is_floating_point()) refuse("pair_bias", "has dtype {}; it must be a floating-point tensor", c10::toString(attention.pair_bias.scalar_type()));
  check_shape(attention.pair_bias, "pair_bias", {q.size(1), grid.cells(), keys}, 1, "[H|1,cells,keys]");
  check_device(attention.pair_bias, "pair_bias", q);
}

at::Tensor attend_regions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const RegionAttention& attention) {
  validate(attention, q, k, v);
  if (q.numel() == 0) return at::empty({q.size(0), q.size(1), q.size(2), q.size(3), v.size(4)}, q.options());
  if (wants_gradient({q, k, v, attention.points, attention.pair_bias})) return regions_by_operators(attention, q, k, v);
  if (q.is_cpu() && cpu::takes_element(q.scalar_type())) return cpu::attend_regions(attention, q, k, v);
  if (cuda::takes_regions(q, v)) return cuda::attend_regions(attention, q, k, v);
  return regions_by_operators(attention, q, k, v);
}

}  // namespace attelier::kernels
