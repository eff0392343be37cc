// Warps by a flow (kernels/warp.h): one thread for each element of the result.
#pragma once

#include "kernels/cpu/map_call.h"
#include "kernels/cuda/bilinear.h"

namespace attelier::kernels::cuda {

using cpu::Planes;
using cpu::WarpCall;

inline constexpr int kWarpThreads = 256;

inline int64_t warp_blocks(const WarpCall& c) { return (c.batches * c.channels * c.rows * c.columns + kWarpThreads - 1) / kWarpThreads; }

template <typename T>
ATTELIER_DEVICE T* element_at(const Planes& planes, int64_t b, int64_t channel, int64_t row, int64_t column) {
  return static_cast<T*>(planes.data) + b * planes.batch + channel * planes.channel + row * planes.row + column * planes.column;
}

/// `x` moved into [0, size - 1]; not a number stays so.
ATTELIER_DEVICE float to_border(float x, int64_t size) {
  const float last = static_cast<float>(size - 1);
  return x < 0 ? 0 : x > last ? last : x;
}

/// Grid: x = blocks of elements in the order of y's memory.
template <typename T>
ATTELIER_DEVICE void warp_element(const WarpCall& c) {
  int64_t index = static_cast<int64_t>(block_x()) * kWarpThreads + thread_index();
  if (index >= c.batches * c.channels * c.rows * c.columns) return;
  const auto next = [&](int64_t size) {
    const int64_t own = index % size;
    index /= size;
    return own;
  };
  const bool by_channel = c.channels > 1 && c.y.channel == 1;
  int64_t channel = by_channel ? next(c.channels) : 0;
  const int64_t column = next(c.columns), row = next(c.rows);
  if (!by_channel) channel = next(c.channels);
  const int64_t b = index;

  float x = static_cast<float>(column) + *element_at<float>(c.flow, b, 0, row, column), y = static_cast<float>(row) + *element_at<float>(c.flow, b, 1, row, column);
  if (c.nearest) {
    x = nearest_of(x);
    y = nearest_of(y);
  }
  const bool inside = x >= 0 && x <= static_cast<float>(c.columns - 1) && y >= 0 && y <= static_cast<float>(c.rows - 1);
  if (c.border) {
    x = to_border(x, c.columns);
    y = to_border(y, c.rows);
  }
  float sum = 0;
  Taps taps;
  if (find_taps(x, y, static_cast<int>(c.rows), static_cast<int>(c.columns), taps)) {
    sum = taps.weight[0] * to_float(*element_at<T>(c.x, b, channel, taps.y[0], taps.x[0]));
    ATTELIER_UNROLL
    for (int t = 1; t < 4; ++t) sum = multiply_add(taps.weight[t], to_float(*element_at<T>(c.x, b, channel, taps.y[t / 2], taps.x[t % 2])), sum);
  }
  if (c.base.data) {
    const float share = c.inside_only && !inside ? 0 : c.mask.data ? *element_at<float>(c.mask, b, 0, row, column) : 1;
    const float base = to_float(*element_at<T>(c.base, b, channel, row, column));
    if (share != 1) sum = share == 0 ? base : share * sum + (1 - share) * base;
  }
  round_to(*element_at<T>(c.y, b, channel, row, column), sum);
}

}  // namespace attelier::kernels::cuda
