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

/// kWide vectors of columns of one query. `width` < kLanes with kWide 1: that many columns.
template <typename Product, int kWide>
ATTELIER_INLINE void few_columns(const Word* const* rows, int64_t column, int64_t width, int64_t steps, const Word* p, Word* out, float factor, bool fresh) {
  Vector sum[kWide] = {};
  if (!fresh)
    for (int v = 0; v < kWide; ++v)
      for (int i = 0; i < smaller(width, kLanes); ++i) sum[v][i] = out[(v * kLanes + i) * kStrip] * factor;
  for (int64_t s = 0; s < steps; ++s) {
    const Vector share = splat_word(p + s * kStrip);
    if (width < kLanes) {
      sum[0] = Product::add(sum[0], share, load_first(rows[s] + column, width));
      continue;
    }
    for (int v = 0; v < kWide; ++v) sum[v] = Product::add(sum[v], share, load(rows[s] + column + v * kLanes));
  }
  for (int v = 0; v < kWide; ++v)
    for (int i = 0; i < smaller(width, kLanes); ++i) out[(v * kLanes + i) * kStrip] = sum[v][i];
}

/// As all_outputs() for the first `count` lanes.
template <typename Product>
inline void few_outputs(const Word* const* rows, int64_t columns, int64_t steps, const Word* p, Word* out, const Vector& factor, bool fresh, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    int64_t d = 0;
    for (; d + 4 * kLanes <= columns; d += 4 * kLanes) few_columns<Product, 4>(rows, d, kLanes, steps, p + i, out + d * kStrip + i, factor[i], fresh);
    for (; d < columns; d += kLanes) few_columns<Product, 1>(rows, d, smaller(kLanes, columns - d), steps, p + i, out + d * kStrip + i, factor[i], fresh);
  }
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
