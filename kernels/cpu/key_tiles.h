// Keys of one (b, h) in tiles: where their rows lie, and the factors of their logits. Keys that a bias of -inf hides never enter a tile, so what they
// hold is not read. Tiles run on over the borders of sources; they end where a segment ends, which is a set of keys with a softmax state of its own.
#pragma once

#include "kernels/cpu/elements.h"
#include "kernels/cpu/products.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

/// Most keys of a tile: their scores for one strip, and their rows, stay in the first-level cache.
inline constexpr int kTileKeys = 96;
/// Wide rows of a tile should leave most of the second-level cache to the queries and outputs.
inline constexpr int64_t kTileBytes = 192 << 10;
inline constexpr int kFewestTileKeys = 32;

ATTELIER_INLINE int64_t tile_capacity(const Call& c) {
  const int64_t fitting = kTileBytes / (4 * (c.depth + c.value_depth)) / kHeld * kHeld;
  return smaller(kTileKeys, larger(kFewestTileKeys, fitting));
}

struct KeyTile {
  int64_t count;    // keys
  int segment;      // which softmax state they belong to
  bool has_gain;
  int64_t first_column, last_column;  // smallest and largest
  const Word* k[kTileKeys];           // rows of words; filled up to a multiple of kHeld and kLanes
  const Word* v[kTileKeys];           // rows of words; of pairs of keys for PairProduct
  float scale[kTileKeys], bias[kTileKeys];  // z = scale s + bias
  float gain[kTileKeys];
  int32_t column[kTileKeys];
  uint8_t key_class[kTileKeys];
};

/// Softmax states of a call: one per source under blend, one per class under visual redistribution, otherwise one.
ATTELIER_INLINE int segment_count(const Call& c) { return c.visual.on ? kClasses : c.blend ? c.source_count : 1; }

class KeyScanner {
 public:
  KeyScanner(const Call& call, int64_t b, int64_t h)
      : call_(call), b_(b), h_(h), capacity_(tile_capacity(call)), scale_(call.scales[h * call.scale_stride]), class_gain_(call.class_gain ? call.class_gain + h * call.class_gain_stride : nullptr) {}

  /// The next keys; false when all have been seen.
  bool next(KeyTile& tile) {
    tile.count = 0;
    tile.has_gain = class_gain_ != nullptr || call_.renorm;
    tile.first_column = call_.keys;
    tile.last_column = -1;
    while (segment_ < segment_count(call_)) {
      tile.segment = segment_;
      const int end = call_.blend ? segment_ + 1 : call_.source_count;
      for (; source_ < end; ++source_, item_ = 0) {
        take_from(call_.sources[source_], tile);
        if (tile.count == capacity_) return true;
      }
      ++segment_;
      if (!call_.blend) source_ = 0;
      if (tile.count > 0) return true;
    }
    return false;
  }

 private:
  static const float* at(const Factors& f, int64_t b, int64_t h) { return f.data ? f.data + b * f.batch + h * f.head : nullptr; }

  void take_from(const SourceView& s, KeyTile& tile) {
    const int64_t row = s.batch_map ? s.batch_map[b_] : b_;
    if (row < 0) return;
    const int64_t size = element_size(call_.element), head = h_ / s.group;
    const auto* k = static_cast<const char*>(row_of(s.k, call_.element, row, head, 0));
    const auto* v = static_cast<const char*>(row_of(s.v, call_.element, row, head, 0));
    const float *bias = at(s.bias, b_, h_), *scale = at(s.scale, b_, h_), *gain = at(s.gain, b_, h_), *weight = at(s.log_weight_rows, b_, h_);
    const uint8_t* classes = s.key_class ? s.key_class + b_ * s.class_batch : nullptr;
    const float added = s.log_weight + (weight ? *weight : 0);
    if (added == -kInfinity) return;
    tile.has_gain |= gain != nullptr;
    if (!bias && !scale && !gain && !classes && !call_.visual.on) return take_neutral(s, k, v, added, tile);
    int64_t n = tile.count, j = item_;
    for (; j < s.length && n < capacity_; ++j) {
      const uint8_t key_class = classes ? classes[j * s.class_key] : 0;
      if (call_.visual.on && key_class != segment_) continue;
      const float shift = bias ? bias[j * s.bias.item] + added : added;
      if (shift == -kInfinity) continue;
      tile.k[n] = reinterpret_cast<const Word*>(k + j * s.k.row * size);
      tile.v[n] = reinterpret_cast<const Word*>(v + j * s.v.row * size);
      tile.scale[n] = scale ? scale_ * scale[j * s.scale.item] : scale_;
      tile.bias[n] = shift;
      tile.gain[n] = (gain ? gain[j * s.gain.item] : 1) * (class_gain_ ? class_gain_[key_class] : 1);
      tile.key_class[n] = key_class;
      const int64_t column = s.begin + j;
      tile.column[n] = static_cast<int32_t>(column);
      tile.first_column = smaller(tile.first_column, column);
      tile.last_column = larger(tile.last_column, column);
      ++n;
    }
    tile.count = n;
    item_ = j;
  }

  /// Keys that differ in nothing but their rows; k and v are those of key 0.
  void take_neutral(const SourceView& s, const char* k, const char* v, float bias, KeyTile& tile) {
    const int64_t begin = tile.count, count = smaller(capacity_ - begin, s.length - item_), k_step = s.k.row * element_size(call_.element), v_step = s.v.row * element_size(call_.element);
    if (count <= 0) return;
    const float gain = class_gain_ ? class_gain_[0] : 1;
    const int64_t column = s.begin + item_;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t n = begin + i;
      tile.k[n] = reinterpret_cast<const Word*>(k + (item_ + i) * k_step);
      tile.v[n] = reinterpret_cast<const Word*>(v + (item_ + i) * v_step);
      tile.scale[n] = scale_;
      tile.bias[n] = bias;
      tile.gain[n] = gain;
      tile.column[n] = static_cast<int32_t>(column + i);
      tile.key_class[n] = 0;
    }
    tile.first_column = smaller(tile.first_column, column);
    tile.last_column = larger(tile.last_column, column + count - 1);
    tile.count += count;
    item_ += count;
  }

  const Call& call_;
  const int64_t b_, h_, capacity_;
  const float scale_;
  const float* const class_gain_;
  int segment_ = 0, source_ = 0;
  int64_t item_ = 0;
};

/// Words of a row of K or Q.
template <typename Product>
ATTELIER_INLINE int64_t depth_words(const Call& c) { return Product::kPairs ? (c.depth + 1) / 2 : c.depth; }

/// Rows v0 and v1 (null = zeros) of n bf16 numbers as n pairs.
inline void interleave(const void* v0, const void* v1, int64_t n, Word* out) {
  const auto* low = static_cast<const char*>(v0);
  const auto* high = static_cast<const char*>(v1);
  int64_t d = 0;
#ifdef __AVX512BF16__
  for (; n >= kLanes && d < n; d += kLanes) {
    d = smaller(d, n - kLanes);  // the last one lies over the one before
    __m256i rows[2] = {};
    std::memcpy(rows, low + 2 * d, sizeof rows[0]);
    if (high) std::memcpy(rows + 1, high + 2 * d, sizeof rows[1]);
    store(out + d, interleaved(_mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(rows[0]), rows[1], 1)));
  }
#endif
  for (; d < n; ++d) {
    uint16_t pair[2] = {};
    std::memcpy(pair, low + 2 * d, 2);
    if (high) std::memcpy(pair + 1, high + 2 * d, 2);
    std::memcpy(out + d, pair, 4);
  }
}

/// Turns the rows of a tile into words: float rows stay where they are; others are converted, or paired, into `k_words` [kTileKeys][depth words] and
/// `v_words` [kTileKeys][Dv]. Fills the tile up to a multiple of kHeld and kLanes keys with keys of score
/// -inf.
template <typename Product>
inline void prepare(const Call& c, KeyTile& tile, Word* k_words, Word* v_words) {
  const int64_t words = depth_words<Product>(c);
  // Rows of one head lie apart, which the processor does not foresee.
  const int64_t k_bytes = c.depth * element_size(c.element), v_bytes = c.value_depth * element_size(c.element);
  for (int64_t n = 0; n < tile.count; ++n) {
    prefetch(tile.k[n], k_bytes);
    prefetch(tile.v[n], v_bytes);
  }
  if constexpr (Product::kPairs) {
    if (c.depth % 2 != 0)
      for (int64_t n = 0; n < tile.count; ++n) {
        Word* const row = k_words + n * words;
        std::memset(row + words - 1, 0, 4);
        std::memcpy(row, tile.k[n], static_cast<size_t>(c.depth) * 2);
        tile.k[n] = row;
      }
    for (int64_t n = 0; n < tile.count; n += 2) {
      Word* const row = v_words + n / 2 * c.value_depth;
      interleave(tile.v[n], n + 1 < tile.count ? tile.v[n + 1] : nullptr, c.value_depth, row);
      tile.v[n / 2] = row;
    }
  } else if (c.element != Element::kFloat32) {
    for (int64_t n = 0; n < tile.count; ++n) {
      to_floats(tile.k[n], c.element, c.depth, reinterpret_cast<float*>(k_words + n * words));
      to_floats(tile.v[n], c.element, c.value_depth, reinterpret_cast<float*>(v_words + n * c.value_depth));
      tile.k[n] = k_words + n * words;
      tile.v[n] = v_words + n * c.value_depth;
    }
  }
  for (int64_t n = tile.count; n % larger(kHeld, kLanes) != 0; ++n) {
    tile.k[n] = tile.k[0];
    tile.scale[n] = 0;
    tile.bias[n] = -kInfinity;
    tile.gain[n] = 0;
    tile.column[n] = tile.column[0];
  }
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
