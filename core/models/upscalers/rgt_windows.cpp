#include "core/models/upscalers/rgt_windows.h"

#include <algorithm>
#include <vector>

#include "kernels/regions.h"

namespace attelier {
namespace {

/// Windows of one size beside each other along one axis.
struct Span {
  int64_t first, cells;  // of the map
  int64_t size;          // of a window
};

/// The windows along an axis of `cells` cells. Where they wrap around, the two edges that meet in one window see only themselves: two windows of half the size.
std::vector<Span> spans_of(int64_t cells, int64_t size, int64_t multiple, bool shifted) {
  if (!shifted) return {{0, cells, size}};
  const int64_t padded = (cells + multiple - 1) / multiple * multiple, shift = size / 2, last = padded - size + shift;
  std::vector<Span> spans;
  const auto add = [&](int64_t begin, int64_t end, int64_t window) {
    if (std::min(end, cells) > begin) spans.push_back({begin, std::min(end, cells) - begin, window});
  };
  add(0, shift, shift);
  add(shift, last, size);
  add(last, padded, size - shift);
  return spans;
}

}  // namespace

at::Tensor attend_windows(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const WindowLayout& layout, const WindowBias& bias) {
  const std::vector<Span> down = spans_of(q.size(2), layout.height, layout.multiple, layout.shifted), across = spans_of(q.size(3), layout.width, layout.multiple, layout.shifted);
  std::vector<at::Tensor> rows;
  for (const Span& y : down) {
    std::vector<at::Tensor> row;
    for (const Span& x : across) {
      const auto part = [&](const at::Tensor& map) { return map.narrow(2, y.first, y.cells).narrow(3, x.first, x.cells); };
      kernels::RegionAttention attention;
      attention.grid = kernels::regions_over(y.cells, x.cells, y.size, x.size);
      attention.index = at::arange(attention.grid.regions(), q.options().dtype(at::kLong)).view({1, 1, -1, 1});
      attention.pair_bias = bias(y.size, x.size);
      const at::Tensor o = kernels::attend_regions(part(q), part(k), part(v), attention);  // [B,H,y,x,D]
      row.push_back(o.permute({0, 2, 3, 1, 4}).flatten(3));
    }
    rows.push_back(row.size() == 1 ? row.front() : at::cat(row, 2));
  }
  return rows.size() == 1 ? rows.front() : at::cat(rows, 1);
}

at::Tensor window_offsets(int64_t height, int64_t width) {
  const at::Tensor dy = at::arange(1 - height, height, at::kFloat), dx = at::arange(1 - width, width, at::kFloat);
  return at::stack({dy.repeat_interleave(2 * width - 1), dx.repeat({2 * height - 1})}, 1);
}

at::Tensor window_offset_index(int64_t height, int64_t width, int64_t part_height, int64_t part_width) {
  const at::Tensor cells = at::arange(part_height * part_width, at::kLong);
  const at::Tensor y = at::floor_divide(cells, part_width), x = cells.remainder(part_width);
  const auto difference = [](const at::Tensor& along) { return along.unsqueeze(1) - along.unsqueeze(0); };
  return (difference(y) + (height - 1)) * (2 * width - 1) + difference(x) + (width - 1);
}

}  // namespace attelier
