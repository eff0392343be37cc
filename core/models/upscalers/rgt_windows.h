// The rectangle windows of RGT's L-SA (and of CAT and DAT before it): maps padded with zeros after the projection, windows that may be shifted by half
// their size around the edges, and a bias for each offset between two cells.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>

namespace attelier {

/// How a map is cut into windows: it is padded at bottom and right to multiples of `multiple`; shifted windows begin half a window inside and wrap around.
struct WindowLayout {
  int64_t height = 8, width = 32;
  int64_t multiple = 32;
  bool shifted = false;
};

/// The bias [heads, cells, cells] (query, key) of a window of this height and width, at most the layout's.
using WindowBias = std::function<at::Tensor(int64_t height, int64_t width)>;

/// q, k, v [B,H,rows,columns,D] by strides -> [B,rows,columns,H*D]. Padding is attended to: its keys and values are zeros. In a window that wraps around,
/// cells of different edges do not see each other; the authors add -100 to these logits instead, which is the same in float32 until two logits of one
/// query are 80 apart. No logits are held in memory (without gradients). Differentiable.
at::Tensor attend_windows(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const WindowLayout& layout, const WindowBias& bias);

/// Offsets (dy, dx) of a window, f32 [(2h-1)(2w-1), 2]: the authors' buffer rpe_biases.
at::Tensor window_offsets(int64_t height, int64_t width);
/// Which offset lies between two cells, query first, i64 [hw, hw] for a part of h x w cells: the authors' buffer
/// relative_position_index where the part is the whole window.
at::Tensor window_offset_index(int64_t height, int64_t width, int64_t part_height, int64_t part_width);

}  // namespace attelier
