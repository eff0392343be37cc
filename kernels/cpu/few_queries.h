// The two products where a strip holds so few queries that lanes of queries would stay empty (a language model's next token): lanes run over the depth of
// a row instead. Scores and outputs have the layout of products.h, so that everything around them is the same.
#pragma once

#include "kernels/cpu/key_tiles.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

inline constexpr int kFewQueries = 4;
static_assert(kFewQueries <= kLanes && kTileKeys % kLanes == 0);

/// The first n < kLanes words, then zeros.
ATTELIER_INLINE Vector load_first(const Word* p, int64_t n) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p));
#else
  Vector x = {};
  for (int64_t i = 0; i < n; ++i) std::memcpy(reinterpret_cast<char*>(&x) + 4 * i, p + i, 4);
  return x;
#endif
}

/// Words of a row of queries, filled up with zeros.
ATTELIER_INLINE int64_t padded_words(int64_t words) { return parts(words, kLanes) * kLanes; }

/// q [words][kStrip] -> rows [queries][padded words].
inline void lanes_to_query_rows(const Word* q, int64_t queries, int64_t words, Word* rows) {
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t w = 0; w < padded_words(words); ++w) {
      const int32_t zero = 0;
      std::memcpy(rows + i * padded_words(words) + w, w < words ? static_cast<const void*>(q + w * kStrip + i) : &zero, 4);
    }
}

/// As scores() for all keys of the tile; queries [count][padded words].
template <typename Product>
inline void few_scores(const KeyTile& tile, int64_t words, const Word* queries, int64_t count, float* z, Vector* highest) {
  const int64_t full = words / kLanes * kLanes;
  for (int64_t n = 0; n < tile.count; n += kLanes) {
    Vector block[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) {
      const Word* const query = queries + i * padded_words(words);
      Vector dots[kLanes];
      for (int j = 0; j < kLanes; ++j) {
        const Word* const key = tile.k[n + j];
        Vector sum = {};
        for (int64_t w = 0; w < full; w += kLanes) sum = Product::add(sum, load(query + w), load(key + w));
        if (full < words) sum = Product::add(sum, load(query + full), load_first(key + full, words - full));
        dots[j] = sum;
      }
      transpose(dots);
      Vector sum = {};
      for (int j = 0; j < kLanes; ++j) sum += dots[j];
      block[i] = sum * load(tile.scale + n) + load(tile.bias + n);
    }
    transpose(block);
    for (int j = 0; j < kLanes; ++j) {
      store(z + (n + j) * kStrip, block[j]);
      if (n + j < tile.count) *highest = maximum(*highest, block[j]);
    }
  }
}

/// kWide vectors of columns of kQueries queries, whose outputs and factors lie side by side. `width` < kLanes with kWide 1: that many columns.
template <typename Product, int kQueries, int kWide>
ATTELIER_INLINE void few_columns(const Word* const* rows, int64_t column, int64_t width, int64_t steps, const Word* p, Word* out, const float* factor, bool fresh) {
  Vector sum[kQueries][kWide] = {};
  for (int q = 0; q < kQueries && !fresh; ++q)
    for (int v = 0; v < kWide; ++v)
      for (int i = 0; i < smaller(width, kLanes); ++i) sum[q][v][i] = out[(v * kLanes + i) * kStrip + q] * factor[q];
  for (int64_t s = 0; s < steps; ++s) {
    Vector value[kWide];
    if (width < kLanes) value[0] = load_first(rows[s] + column, width);
    else
      for (int v = 0; v < kWide; ++v) value[v] = load(rows[s] + column + v * kLanes);
    for (int q = 0; q < kQueries; ++q) {
      const Vector share = splat_word(p + s * kStrip + q);
      for (int v = 0; v < kWide; ++v) sum[q][v] = Product::add(sum[q][v], share, value[v]);
    }
  }
  for (int q = 0; q < kQueries; ++q)
    for (int v = 0; v < kWide; ++v)
      for (int i = 0; i < smaller(width, kLanes); ++i) out[(v * kLanes + i) * kStrip + q] = sum[q][v][i];
}

/// All columns. Four sums at least go on side by side, as long as there are as many.
template <typename Product, int kQueries>
inline void few_rows(const Word* const* rows, int64_t columns, int64_t steps, const Word* p, Word* out, const float* factor, bool fresh) {
  constexpr int kWide = 4 / kQueries;
  int64_t d = 0;
  for (; d + kWide * kLanes <= columns; d += kWide * kLanes) few_columns<Product, kQueries, kWide>(rows, d, kLanes, steps, p, out + d * kStrip, factor, fresh);
  if (kWide > 2 && d + 2 * kLanes <= columns) {
    few_columns<Product, kQueries, 2>(rows, d, kLanes, steps, p, out + d * kStrip, factor, fresh);
    d += 2 * kLanes;
  }
  for (; d < columns; d += kLanes) few_columns<Product, kQueries, 1>(rows, d, smaller(kLanes, columns - d), steps, p, out + d * kStrip, factor, fresh);
}

/// As all_outputs() for the first `count` lanes.
template <typename Product>
inline void few_outputs(const Word* const* rows, int64_t columns, int64_t steps, const Word* p, Word* out, const Vector& factor, bool fresh, int64_t count) {
  float factors[kLanes];
  std::memcpy(factors, &factor, sizeof factor);
  int64_t i = 0;
  for (; i + 2 <= count; i += 2) few_rows<Product, 2>(rows, columns, steps, p + i, out + i, factors + i, fresh);
  if (i < count) few_rows<Product, 1>(rows, columns, steps, p + i, out + i, factors + i, fresh);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
