// What a row of queries leaves behind: its output and its statistics.
#pragma once

#include "kernels/cuda/fragments.h"
#include "kernels/cuda/redistribution.h"

namespace attelier::kernels::cuda {

/// `width` elements of a row from the C registers of a lane: value(n, e) is column 8 n + 2 t + e. `words` = every row begins on two elements and has an even width.
template <int kColumns, typename T, typename Value>
ATTELIER_DEVICE void write_row(T* out, int width, bool words, const Value& value) {
  ATTELIER_UNROLL
  for (int n = 0; n < kColumns; ++n) {
    const int column = n * 8 + 2 * (lane_index() % 4);
    if (column >= width) break;
    const float x = value(n, 0), y = value(n, 1);
    if constexpr (sizeof(T) == 2) {
      if (words) {
        *reinterpret_cast<uint32_t*>(out + column) = pack(x, y, T{});
        continue;
      }
    }
    round_to(out[column], x);
    if (column + 1 < width) round_to(out[column + 1], y);
  }
}

/// Of row `flat` of [B,H,Lq]: `entry` is the source (blend) or class of the factor.
ATTELIER_DEVICE void write_statistics(float* all, int64_t flat, int source, float highest, float sum, int entry, float factor) {
  float* const statistics = all + flat * kStatistics;
  statistics[source] = highest;
  statistics[kInverseSums + source] = inverse(sum);
  statistics[kFactors + entry] = factor;
}

}  // namespace attelier::kernels::cuda
