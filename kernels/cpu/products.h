// The two products of attention over one tile of keys and one strip of queries. Queries are lanes and keys are broadcast, so keys and values are read
// where they lie, in rows of any stride; only queries and outputs are transposed.
// The sums of a lane are made in an order that depends on neither its place in the strip nor the strip's width.
#pragma once

#include "kernels/cpu/vector.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

/// Vectors of queries in a strip, and keys (scores) or value columns (outputs) held in registers beside them: 24 sums in 32 registers, 12 in 16.
inline constexpr int kStripVectors = 3;
inline constexpr int kStrip = kStripVectors * kLanes;
inline constexpr int kHeld = kLanes == 16 ? 8 : 4;

/// Scores of kHeld keys: z[i][lane] = scale[i] * (rows[i] . q) + bias[i], written with kStrip floats a key; `highest` [kVectors] is raised to them.
/// rows[i] [words], q [words][kStrip].
template <typename Product, int kVectors>
ATTELIER_ALONE void scores(const Word* const* rows, int64_t words, const Word* q, const float* scale, const float* bias, float* z, Vector* highest) {
  const Word* row[kHeld];
  for (int i = 0; i < kHeld; ++i) row[i] = rows[i];
  Vector sum[kHeld][kVectors] = {};
  for (int64_t w = 0; w < words; ++w) {
    Vector query[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) query[v] = load(q + w * kStrip + v * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kHeld; ++i) {
      const Vector key = splat_word(row[i] + w);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Product::add(sum[i][v], query[v], key);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kHeld; ++i) {
    const float own_scale = scale[i], own_bias = bias[i];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sum[i][v] = sum[i][v] * own_scale + own_bias;
      store(z + i * kStrip + v * kLanes, sum[i][v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    Vector top = highest[v];
#pragma GCC unroll 8
    for (int i = 0; i < kHeld; ++i) top = maximum(top, sum[i][v]);
    highest[v] = top;
  }
}

/// out[d][lane] = factor[lane] * out[d][lane] + sum_s p[s][lane] * rows[s][d] for kColumns columns d; with `fresh` the old values count as 0.
/// rows[s] [>= kColumns] starts at `column`; p [steps][kStrip], out [.][kStrip].
template <typename Product, int kColumns, int kVectors>
ATTELIER_ALONE void outputs(const Word* const* rows, int64_t column, int64_t steps, const Word* p, Word* out, const Vector* factor, bool fresh) {
  Vector sum[kColumns][kVectors] = {};
  if (!fresh) {
#pragma GCC unroll 8
    for (int i = 0; i < kColumns; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[i][v] = load(out + i * kStrip + v * kLanes) * factor[v];
  }
  for (int64_t s = 0; s < steps; ++s) {
    const Word* row = rows[s] + column;
    Vector share[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) share[v] = load(p + s * kStrip + v * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kColumns; ++i) {
      const Vector value = splat_word(row + i);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Product::add(sum[i][v], share[v], value);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kColumns; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(out + i * kStrip + v * kLanes, sum[i][v]);
}

/// The same for all `columns` of a row.
template <typename Product, int kVectors>
inline void all_outputs(const Word* const* rows, int64_t columns, int64_t steps, const Word* p, Word* out, const Vector* factor, bool fresh) {
  int64_t d = 0;
  for (; d + kHeld <= columns; d += kHeld) outputs<Product, kHeld, kVectors>(rows, d, steps, p, out + d * kStrip, factor, fresh);
  if constexpr (kHeld > 4) {
    if (d + 4 <= columns) {
      outputs<Product, 4, kVectors>(rows, d, steps, p, out + d * kStrip, factor, fresh);
      d += 4;
    }
  }
  if (d + 2 <= columns) {
    outputs<Product, 2, kVectors>(rows, d, steps, p, out + d * kStrip, factor, fresh);
    d += 2;
  }
  if (d < columns) outputs<Product, 1, kVectors>(rows, d, steps, p, out + d * kStrip, factor, fresh);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
