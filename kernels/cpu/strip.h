// A strip: kStrip queries of one (b, h), transposed into lanes, with their softmax states and outputs. One step takes it over one tile of keys.
#pragma once

#include "kernels/cpu/bilinear.h"
#include "kernels/cpu/few_queries.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

inline constexpr int kMaximumStrips = kBlockQueries / kStrip;
static_assert(kMaximumStrips * kStrip == kBlockQueries);

struct Strip {
  int64_t b, h, first, rows;  // queries first .. first + rows - 1
  int vectors;                // those that hold a query
  bool started[kClasses];     // per segment: whether o holds something
  const void* query[kStrip];  // where their rows lie
  void* output[kStrip];       // and those of O, where the call wants it
  Word* q;                    // [depth words][kStrip]
  Word* q_rows;               // [kFewQueries][padded words], where the strip holds no more queries than that
  float* highest;             // [segments][kStrip]: largest z so far
  float* sum;                 // [segments][kStrip]: sum of exp(z - highest)
  float* gained_sum;          // the same times the gains; only with renorm
  Word* o;                    // [segments][Dv][kStrip]: the sum of values with those weights
};

/// Scratch of a step.
struct StepScratch {
  float* z;      // [kTileKeys][kStrip]
  Word* pairs;   // [kTileKeys / 2][kStrip], for PairProduct
};

ATTELIER_INLINE float gamma_of(const Call& c, int64_t b, int64_t r) {
  if (c.q2.data == nullptr) return 0;
  return c.gamma_rows.data ? c.gamma * c.gamma_rows.data[b * c.gamma_rows.batch + r * c.gamma_rows.item] : c.gamma;
}

/// Words w .. w + kLanes - 1 of a query of `depth` elements, zeros past its end: gamma * other + (1 - gamma) * own rounded once, or `own` where other is null.
template <typename Product, typename Type>
ATTELIER_INLINE Vector query_words(const void* own, const void* other, float gamma, int64_t depth, int64_t w) {
  using Stored = typename Type::Stored;
  const auto *x = static_cast<const Stored*>(own), *y = static_cast<const Stored*>(other);
#ifdef __AVX512BF16__
  if constexpr (Product::kPairs) {
    const int64_t d = 2 * w, count = smaller(2 * kLanes, depth - d);
    const Pairs own_pairs = load_pairs(x + d, count);
    if (other == nullptr) return own_pairs.words();
    const Pairs other_pairs = load_pairs(y + d, count);
    return bfloat16_pairs(gamma * other_pairs.first() + (1 - gamma) * own_pairs.first(), gamma * other_pairs.second() + (1 - gamma) * own_pairs.second());
  }
#endif
  const Lanes<Type> lanes{smaller(kLanes, depth - w)};
  const Vector floats = lanes.load_at(x + w);
  if (other == nullptr) return floats;
  const Vector blended = gamma * lanes.load_at(y + w) + (1 - gamma) * floats;
  if constexpr (sizeof(Stored) == 4) return blended;
  Stored rounded[kLanes];
  Type::store_lanes(rounded, blended);
  return Type::load_lanes(rounded);
}

template <typename Product, typename Type>
inline void load_queries_of(const Call& c, Strip& strip) {
  const int64_t words = depth_words<Product>(c);
  for (int v = 0; v < strip.vectors; ++v) {
    const int64_t first = v * kLanes, count = smaller(kLanes, strip.rows - first);
    const void* const* own = strip.query + first;
    if (c.q2.data == nullptr) {
      rows_to_lanes([&](int i, int64_t w) { return query_words<Product, Type>(own[i], nullptr, 0, c.depth, w); }, count, words, strip.q + first, kStrip);
      continue;
    }
    const void* other[kLanes];
    float gamma[kLanes];
    for (int64_t i = 0; i < count; ++i) {
      const int64_t r = strip.first + first + i;
      gamma[i] = gamma_of(c, strip.b, r);
      other[i] = gamma[i] == 0 ? nullptr : row_of(c.q2, c.element, strip.b, strip.h, r);  // 0 * NaN is NaN
    }
    rows_to_lanes([&](int i, int64_t w) { return query_words<Product, Type>(own[i], other[i], gamma[i], c.depth, w); }, count, words, strip.q + first, kStrip);
  }
  if (strip.rows <= kFewQueries) lanes_to_query_rows(strip.q, strip.rows, words, strip.q_rows);
}

/// Step 1 of kernels/attention.h for the strip's queries, as words in lanes.
template <typename Product>
inline void load_queries(const Call& c, Strip& strip) {
  if constexpr (Product::kPairs) load_queries_of<Product, BFloat16>(c, strip);
  else with_type(c.element, [&]<typename Type>(Type) { load_queries_of<Product, Type>(c, strip); });
}

inline void start(const Call& c, Strip& strip) {
  for (int s = 0; s < segment_count(c); ++s) {
    strip.started[s] = false;
    for (int i = 0; i < kStrip; ++i) {
      strip.highest[s * kStrip + i] = -kInfinity;
      strip.sum[s * kStrip + i] = 0;
      if (c.renorm) strip.gained_sum[s * kStrip + i] = 0;
    }
  }
}

/// True when the causal rule hides the whole tile from every query of the strip.
ATTELIER_INLINE bool hides_all(const Call& c, const KeyTile& tile, const Strip& strip) {
  return c.causal && tile.first_column > strip.first + strip.rows - 1 + c.causal_offset;
}

inline void add_pair_bias(const Call& c, const KeyTile& tile, const Strip& strip, float* z) {
  for (int64_t i = 0; i < strip.rows; ++i) {
    const float* row = c.pair_bias.data + strip.h * c.pair_bias.head + (strip.first + i) * c.pair_bias.batch;
    for (int64_t n = 0; n < tile.count; ++n) {
      const float bias = row[tile.column[n] * c.pair_bias.item];
      z[n * kStrip + i] = bias == -kInfinity ? -kInfinity : z[n * kStrip + i] + bias;
    }
  }
}

/// The same where the queries of a key lie side by side.
template <int kVectors>
inline void add_pair_bias_of_lanes(const Call& c, const KeyTile& tile, const Strip& strip, float* z) {
  for (int64_t n = 0; n < tile.count; ++n) {
    const float* row = c.pair_bias.data + strip.h * c.pair_bias.head + strip.first + tile.column[n] * c.pair_bias.item;
    for (int v = 0; v < kVectors; ++v) {
      const int64_t count = strip.rows - v * kLanes;
      const Vector bias = count >= kLanes ? load(row + v * kLanes) : load_first(row + v * kLanes, count);
      float* const own = z + n * kStrip + v * kLanes;
      store(own, bias == -kInfinity ? splat(-kInfinity) : load(own) + bias);
    }
  }
}

/// The parts of step 3 that differ from query to query: pair bias and causal rule. `highest` is made anew.
template <int kVectors>
inline void edit_scores(const Call& c, const KeyTile& tile, const Strip& strip, float* z, Vector* highest) {
  if (c.pair_bias.data && c.pair_bias.batch == 1) add_pair_bias_of_lanes<kVectors>(c, tile, strip, z);
  else if (c.pair_bias.data) add_pair_bias(c, tile, strip, z);
  for (int v = 0; v < kVectors; ++v) {
    Integers last_visible;
    for (int i = 0; i < kLanes; ++i) last_visible[i] = static_cast<int32_t>(smaller(strip.first + v * kLanes + i + c.causal_offset, INT32_MAX));
    Vector top = splat(-kInfinity);
    for (int64_t n = 0; n < tile.count; ++n) {
      Vector score = load(z + n * kStrip + v * kLanes);
      if (c.causal) {
        score = last_visible >= tile.column[n] ? score : splat(-kInfinity);
        store(z + n * kStrip + v * kLanes, score);
      }
      top = maximum(top, score);
    }
    highest[v] = top;
  }
}

/// Captured weights go to the third-level cache, whose lines are asked for so many keys before they are written: a tenth of the time of column sums.
inline constexpr int64_t kKeysAhead = 24;

/// z -> exp(z - highest), times the gains for the product with the values; raises the sums. `captured`, when given, receives the weights without gains.
template <typename Product, int kVectors, bool kGain, bool kCapture>
inline void weigh(const KeyTile& tile, const Vector* highest, StepScratch scratch, float* captured, Vector* sum, Vector* gained_sum) {
  const int64_t count = tile.count;
  float* z_pair = scratch.z;
  Word* pairs = scratch.pairs;
  for (int64_t n = 0; n < count; n += 2, z_pair += 2 * kStrip, pairs += kStrip) {
    Vector p[2][kVectors];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) p[i][v] = load(z_pair + i * kStrip + v * kLanes) - highest[v];
      exp_of_nonpositive(p[i]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sum[v] += p[i][v];
        if constexpr (kCapture) {
          float* const kept = captured + (n + i) * kStrip + v * kLanes;
          __builtin_prefetch(kept + kKeysAhead * kStrip, 1);
          store(kept, p[i][v]);
        }
        if constexpr (kGain) {
          p[i][v] *= tile.gain[n + i];
          gained_sum[v] += p[i][v];
        }
        if constexpr (!Product::kPairs) store(z_pair + i * kStrip + v * kLanes, p[i][v]);
      }
    }
    if constexpr (Product::kPairs) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) store(pairs + v * kLanes, bfloat16_pairs(p[0][v], p[1][v]));
    }
  }
}

/// Steps 2 to 4 and 8 of the strip over one tile. An odd tile is filled up by a key of weight 0, so `captured` needs room for an even number of keys.
template <typename Product, int kVectors>
inline void step(const Call& c, const KeyTile& tile, Strip& strip, const StepScratch& scratch, float* captured, float* captured_highest) {
  const int64_t words = depth_words<Product>(c);
  Vector highest[kVectors], before[kVectors], factor[kVectors], sum[kVectors], gained_sum[kVectors];
  for (int v = 0; v < kVectors; ++v) highest[v] = splat(-kInfinity);
  const bool few = kVectors == 1 && strip.rows <= kFewQueries;
  if (few) few_scores<Product>(tile, words, strip.q_rows, strip.rows, scratch.z, highest);
  for (int64_t n = 0; n < tile.count && !few; n += kHeld)
    scores<Product, kVectors>(tile.k + n, words, strip.q, tile.scale + n, tile.bias + n, scratch.z + n * kStrip, highest);
  if (c.pair_bias.data || (c.causal && tile.last_column > strip.first + c.causal_offset)) edit_scores<kVectors>(c, tile, strip, scratch.z, highest);

  const int64_t at = tile.segment * kStrip;
  for (int v = 0; v < kVectors; ++v) {
    const int64_t i = at + v * kLanes;
    before[v] = load(strip.highest + i);
    const Vector raised = maximum(before[v], highest[v]);
    highest[v] = raised == -kInfinity ? Vector{} : raised;  // -inf - -inf is NaN
    factor[v] = exp_of_nonpositive(before[v] - highest[v]);
    sum[v] = load(strip.sum + i) * factor[v];
    gained_sum[v] = c.renorm ? load(strip.gained_sum + i) * factor[v] : Vector{};
    store(strip.highest + i, raised);
    if (captured) store(captured_highest + v * kLanes, highest[v]);
  }
  if (captured) {
    if (tile.has_gain) weigh<Product, kVectors, true, true>(tile, highest, scratch, captured, sum, gained_sum);
    else weigh<Product, kVectors, false, true>(tile, highest, scratch, captured, sum, gained_sum);
  } else {
    if (tile.has_gain) weigh<Product, kVectors, true, false>(tile, highest, scratch, captured, sum, gained_sum);
    else weigh<Product, kVectors, false, false>(tile, highest, scratch, captured, sum, gained_sum);
  }
  for (int v = 0; v < kVectors; ++v) {
    store(strip.sum + at + v * kLanes, sum[v]);
    if (c.renorm) store(strip.gained_sum + at + v * kLanes, gained_sum[v]);
  }
  if (c.o == nullptr) return;
  Word* const o = strip.o + tile.segment * c.value_depth * kStrip;
  const bool fresh = !strip.started[tile.segment];
  const int64_t steps = Product::kPairs ? (tile.count + 1) / 2 : tile.count;
  const Word* const shares = Product::kPairs ? scratch.pairs : scratch.z;
  if (few) few_outputs<Product>(tile.v, c.value_depth, steps, shares, o, factor[0], fresh, strip.rows);
  else all_outputs<Product, kVectors>(tile.v, c.value_depth, steps, shares, o, factor, fresh);
  strip.started[tile.segment] = true;
}

template <typename Product>
inline void step(const Call& c, const KeyTile& tile, Strip& strip, const StepScratch& scratch, float* captured, float* captured_highest) {
  static_assert(kStripVectors == 3);
  if (strip.vectors == 3) step<Product, 3>(c, tile, strip, scratch, captured, captured_highest);
  else if (strip.vectors == 2) step<Product, 2>(c, tile, strip, scratch, captured, captured_highest);
  else step<Product, 1>(c, tile, strip, scratch, captured, captured_highest);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
