// Bilinear samples of maps: the neighbours of a position, their weights, and the weighted sum of their rows.
#pragma once

#include "kernels/cpu/activations.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

struct Float16 {
  using Stored = uint16_t;
  static ATTELIER_INLINE Vector load_lanes(const uint16_t* p) {
    Vector x;
    for (int i = 0; i < kLanes; ++i) x[i] = float_of_half(p[i]);
    return x;
  }
  static ATTELIER_INLINE void store_lanes(uint16_t* p, Vector x) {
    for (int i = 0; i < kLanes; ++i) p[i] = half_of_float(x[i]);
  }
};

/// Calls f with the type of an element.
template <typename F>
ATTELIER_INLINE void with_type(Element element, const F& f) {
  if (element == Element::kFloat32) return f(Float32{});
  if (element == Element::kBFloat16) return f(BFloat16{});
  f(Float16{});
}

/// The cells around a position, [row][column] = 2 * row + column. Neighbours of weight 0 name a cell of positive weight, so that only cells that count are
/// read: none outside the map, and one alone at whole coordinates.
struct Taps {
  int64_t y[2], x[2];
  float weight[4];
};

/// Cells first and first + 1 on an axis of `size` cells, of which one at least lies in it, `shift` past the first.
ATTELIER_INLINE void taps_on_axis(int64_t first, float shift, int64_t size, int64_t* cell, float* weight) {
  weight[0] = first < 0 ? 0 : 1 - shift;
  weight[1] = first + 1 >= size ? 0 : shift;
  cell[0] = weight[0] > 0 ? first : first + 1;
  cell[1] = weight[1] > 0 ? first + 1 : first;
}

/// False where every neighbour lies outside the map, or the position is not a number. Positions must count fewer than 2^31 cells.
ATTELIER_INLINE bool find_taps(float x, float y, int64_t rows, int64_t columns, Taps& taps) {
  if (!(x > -1 && x < static_cast<float>(columns) && y > -1 && y < static_cast<float>(rows))) return false;
  const float left = __builtin_floorf(x), top = __builtin_floorf(y);
  float across[2], down[2];
  taps_on_axis(static_cast<int32_t>(left), x - left, columns, taps.x, across);
  taps_on_axis(static_cast<int32_t>(top), y - top, rows, taps.y, down);
  for (int i = 0; i < 4; ++i) taps.weight[i] = down[i / 2] * across[i % 2];
  return true;
}

/// out = the weighted sum of four rows of n elements, rounded once.
template <typename Type>
ATTELIER_INLINE void mix_rows(const typename Type::Stored* const* rows, const float* weight, int64_t n, typename Type::Stored* out) {
  for (int64_t d = 0; d < n; d += kLanes) {
    const Lanes<Type> lanes{smaller(kLanes, n - d)};
    Vector sum = weight[0] * lanes.load_at(rows[0] + d);
    for (int i = 1; i < 4; ++i) sum += weight[i] * lanes.load_at(rows[i] + d);
    lanes.store_at(out + d, sum);
  }
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
