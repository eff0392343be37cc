// Probes. Strips whose probabilities somebody wants keep their weights exp(z - highest) of every tile, kStrip floats a key; once the softmax is
// complete a factor per tile and query turns them into P or P', and the readers below reduce them. Nothing is computed twice, and o is not touched.
#pragma once

#include "kernels/cpu/finish.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

struct CapturedTile {
  int64_t begin, count;  // slots
  int segment;
};

/// The keys that a block of strips has passed over. A slot is a key in the order of the tiles; after an odd tile one slot stays empty.
struct CapturedKeys {
  int64_t tile_count;
  CapturedTile* tiles;
  float* gain;  // [slots]
  int32_t* column;
  uint8_t* key_class;
  int32_t* slot_of_column;  // [Lk], -1 where a key was hidden
  int32_t* tile_of_slot;
};

/// The weights of one strip for those keys.
struct Capture {
  float* weights;     // [slots][kStrip]
  float* highest;     // [tiles][kStrip]: what the weights of a tile are relative to
  float *pre, *post;  // [tiles][kStrip]: factors to P, and to P' without the gain of the key
};

ATTELIER_INLINE int64_t maximum_tiles(const Call& c) { return parts(c.keys, tile_capacity(c)) + kClasses; }
ATTELIER_INLINE int64_t maximum_slots(const Call& c) { return c.keys + maximum_tiles(c); }

ATTELIER_INLINE bool reads_row(const ProbeView& probe, int64_t row) { return probe.row_slot[row] >= 0; }

/// Whether a probe wants something of this head and these queries.
inline bool is_captured(const Call& c, int64_t h, int64_t first) {
  const int64_t end = smaller(first + kStrip, c.rows);
  for (int p = 0; p < c.probe_count; ++p)
    if (c.probes[p].head_slot[h] >= 0)
      for (int64_t r = first; r < end; ++r)
        if (reads_row(c.probes[p], r)) return true;
  return false;
}

inline void clear(const Call& c, CapturedKeys& keys) {
  keys.tile_count = 0;
  for (int64_t j = 0; j < c.keys; ++j) keys.slot_of_column[j] = -1;
}

/// Registers a tile that is about to be stepped over; the weights of its keys go to the slots from its begin on.
inline const CapturedTile& add_tile(const KeyTile& tile, CapturedKeys& keys) {
  const int64_t t = keys.tile_count++;
  CapturedTile& added = keys.tiles[t];
  added.begin = 0;
  if (t > 0) added.begin = keys.tiles[t - 1].begin + parts(keys.tiles[t - 1].count, 2) * 2;
  added.count = tile.count;
  added.segment = tile.segment;
  for (int64_t n = 0; n < tile.count; ++n) {
    const int64_t slot = added.begin + n;
    keys.gain[slot] = tile.gain[n];
    keys.column[slot] = tile.column[n];
    keys.key_class[slot] = tile.key_class[n];
    keys.tile_of_slot[slot] = static_cast<int32_t>(t);
    keys.slot_of_column[tile.column[n]] = static_cast<int32_t>(slot);
  }
  return added;
}

/// For a strip from which the causal rule hides the whole tile.
inline void capture_nothing(const CapturedTile& tile, float* weights, float* highest) {
  std::memset(weights, 0, static_cast<size_t>(tile.count * kStrip) * sizeof(float));
  std::memset(highest, 0, kStrip * sizeof(float));
}

/// After finish(): the factors of every tile.
inline void set_factors(const Strip& strip, const Coefficients& coefficients, const CapturedKeys& keys, Capture& capture) {
  for (int64_t t = 0; t < keys.tile_count; ++t) {
    const int64_t at = keys.tiles[t].segment * kStrip;
    for (int v = 0; v < kStripVectors; ++v) {
      const int64_t i = v * kLanes;
      // A tile that hid everything from a query has weights of 0 relative to 0, which may lie above the final maximum.
      const Vector x = load(capture.highest + t * kStrip + i) - load(strip.highest + at + i);
      const Vector share = exp_of_nonpositive(x > 0.0f ? Vector{} : x);
      store(capture.pre + t * kStrip + i, share * load(coefficients.pre + at + i));
      store(capture.post + t * kStrip + i, share * load(coefficients.post + at + i));
    }
  }
}

/// P or P' of up to kLanes slots from `slot` on, all of one tile, for the queries of vector v: afterwards rows[lane] holds consecutive slots.
ATTELIER_INLINE void read_block(const CapturedKeys& keys, const Capture& capture, int64_t tile, int64_t slot, int64_t count, int v, bool post, Vector* rows) {
  const Vector factor = load((post ? capture.post : capture.pre) + tile * kStrip + v * kLanes);
  for (int64_t i = 0; i < kLanes; ++i) {
    rows[i] = Vector{};
    if (i < count) rows[i] = load(capture.weights + (slot + i) * kStrip + v * kLanes) * (post ? factor * keys.gain[slot + i] : factor);
  }
  transpose(rows);
}

/// Adds weight * P of each wanted query to its row over all columns; target[i] is where query i of the strip goes, null = nowhere.
inline void add_to_rows(const Strip& strip, const CapturedKeys& keys, const Capture& capture, bool post, float weight, float* const* target) {
  for (int64_t t = 0; t < keys.tile_count; ++t) {
    const CapturedTile& tile = keys.tiles[t];
    for (int64_t n = 0; n < tile.count; n += kLanes) {
      const int64_t slot = tile.begin + n, count = smaller(kLanes, tile.count - n);
      const int32_t* column = keys.column + slot;
      const bool dense = count == kLanes && column[kLanes - 1] - column[0] == kLanes - 1;
      for (int v = 0; v < strip.vectors; ++v) {
        Vector block[kLanes];
        read_block(keys, capture, t, slot, count, v, post, block);
        for (int64_t i = 0; i < smaller(kLanes, strip.rows - v * kLanes); ++i) {
          float* const row = target[v * kLanes + i];
          if (row == nullptr) continue;
          if (dense) {
            store(row + column[0], load(row + column[0]) + block[i] * weight);
            continue;
          }
          for (int64_t j = 0; j < count; ++j) row[column[j]] += block[i][j] * weight;
        }
      }
    }
  }
}

/// Where each query of the strip goes in the probe's value.
inline void rows_of_value(const ProbeView& probe, const Strip& strip, float** target) {
  const int64_t head = probe.reduce ? 0 : probe.head_slot[strip.h];
  for (int64_t i = 0; i < strip.rows; ++i) {
    const int64_t slot = probe.row_slot[strip.first + i];
    target[i] = slot < 0 ? nullptr : probe.value + ((strip.b * probe.heads + head) * probe.rows + slot) * probe.width;
  }
}

inline void read_class_mass(const ProbeView& probe, const Strip& strip, const CapturedKeys& keys, const Capture& capture, float weight) {
  Vector mass[kClasses][kStripVectors] = {};
  for (int64_t t = 0; t < keys.tile_count; ++t) {
    const CapturedTile& tile = keys.tiles[t];
    Vector part[kClasses][kStripVectors] = {};
    for (int64_t slot = tile.begin; slot < tile.begin + tile.count; ++slot)
      for (int v = 0; v < strip.vectors; ++v)
        part[keys.key_class[slot]][v] += load(capture.weights + slot * kStrip + v * kLanes) * (probe.post ? keys.gain[slot] : 1.0f);
    for (int k = 0; k < kClasses; ++k)
      for (int v = 0; v < strip.vectors; ++v) mass[k][v] += part[k][v] * load((probe.post ? capture.post : capture.pre) + t * kStrip + v * kLanes);
  }
  float* target[kStrip];
  rows_of_value(probe, strip, target);
  for (int64_t i = 0; i < strip.rows; ++i)
    if (target[i])
      for (int k = 0; k < kClasses; ++k) target[i][k] += weight * mass[k][i / kLanes][i % kLanes];
}

inline void read_keys(const ProbeView& probe, const Strip& strip, const CapturedKeys& keys, const Capture& capture, float weight) {
  float* target[kStrip];
  rows_of_value(probe, strip, target);
  for (int64_t j = 0; j < probe.width; ++j) {
    const int64_t slot = keys.slot_of_column[probe.keys[j]];
    if (slot < 0) continue;
    const float* factor = (probe.post ? capture.post : capture.pre) + keys.tile_of_slot[slot] * kStrip;
    const float gain = weight * (probe.post ? keys.gain[slot] : 1);
    for (int64_t i = 0; i < strip.rows; ++i)
      if (target[i]) target[i][j] += capture.weights[slot * kStrip + i] * factor[i] * gain;
  }
}

/// sums[i] += the weights of key i times the factors of the queries, lane by lane. Weights come from the third-level cache.
template <int kVectors>
ATTELIER_INLINE void add_keys(const float* weights, int64_t count, const Vector* factor, Vector* sums) {
  if (count < kLanes) {
    for (int64_t i = 0; i < count; ++i)
      for (int v = 0; v < kVectors; ++v) sums[i] += load(weights + i * kStrip + v * kLanes) * factor[v];
    return;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      __builtin_prefetch(weights + (kLanes + i) * kStrip + v * kLanes);
      sums[i] += load(weights + i * kStrip + v * kLanes) * factor[v];
    }
}

/// Of all strips of a block together.
inline void read_column_sums(const ProbeView& probe, const Strip* strips, const CapturedKeys& keys, const Capture* captures, int64_t count, int64_t groups, int64_t group, float weight) {
  float* const sums = probe.value + ((strips->b * groups + group) * probe.heads + (probe.reduce ? 0 : probe.head_slot[strips->h])) * probe.width;
  float row_weight[kMaximumStrips * kStrip] = {};
  for (int64_t s = 0; s < count; ++s)
    for (int64_t i = 0; i < strips[s].rows; ++i) {
      const int64_t r = strips[s].first + i;
      if (reads_row(probe, r)) row_weight[s * kStrip + i] = weight * probe.row_weight.data[strips[s].b * probe.row_weight.batch + r * probe.row_weight.item];
    }
  for (int64_t t = 0; t < keys.tile_count; ++t) {
    const CapturedTile& tile = keys.tiles[t];
    for (int64_t n = 0; n < tile.count; n += kLanes) {
      const int64_t slot = tile.begin + n, present = smaller(kLanes, tile.count - n);
      Vector block[kLanes] = {};
      for (int64_t s = 0; s < count; ++s) {
        Vector factor[kStripVectors];
        for (int v = 0; v < kStripVectors; ++v) factor[v] = load((probe.post ? captures[s].post : captures[s].pre) + t * kStrip + v * kLanes) * load(row_weight + s * kStrip + v * kLanes);
        const float* const weights = captures[s].weights + slot * kStrip;
        if (strips[s].vectors == 3) add_keys<3>(weights, present, factor, block);
        else if (strips[s].vectors == 2) add_keys<2>(weights, present, factor, block);
        else add_keys<1>(weights, present, factor, block);
      }
      transpose(block);
      Vector total = {};
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) total += block[i];
      for (int64_t i = 0; i < present; ++i) sums[keys.column[slot + i]] += total[i] * (probe.post ? keys.gain[slot + i] : 1);
    }
  }
}

/// The k largest of a row, larger values first, equal ones by column.
inline void pick_largest(const float* row, int64_t n, int64_t k, float* value, int64_t* index) {
  for (int64_t i = 0; i < k; ++i) {
    value[i] = -kInfinity;
    index[i] = 0;
  }
  for (int64_t j = 0; j < n; ++j) {
    if (!(row[j] > value[k - 1])) continue;
    int64_t i = k - 1;
    for (; i > 0 && row[j] > value[i - 1]; --i) {
      value[i] = value[i - 1];
      index[i] = index[i - 1];
    }
    value[i] = row[j];
    index[i] = j;
  }
}

/// Adds the strip to the rows of a kTopk probe, and picks from them when this was the last of the heads that they sum.
inline void read_topk(const Call& c, const ProbeView& probe, const Strip& strip, const CapturedKeys& keys, const Capture& capture, float* rows, float weight) {
  bool first_head = true, last_head = true;
  for (int64_t h = 0; probe.reduce && h < c.heads; ++h) {
    first_head &= probe.head_slot[h] < 0 || h >= strip.h;
    last_head &= probe.head_slot[h] < 0 || h <= strip.h;
  }
  if (first_head) std::memset(rows, 0, static_cast<size_t>(kStrip * c.keys) * 4);
  float *target[kStrip], *value[kStrip];
  rows_of_value(probe, strip, value);
  for (int64_t i = 0; i < strip.rows; ++i) target[i] = value[i] ? rows + i * c.keys : nullptr;
  add_to_rows(strip, keys, capture, probe.post, weight, target);
  if (!last_head) return;
  for (int64_t i = 0; i < strip.rows; ++i)
    if (target[i]) pick_largest(target[i], c.keys, probe.width, value[i], probe.index + (value[i] - probe.value));
}

/// All probes that want something of these strips of one head. rows[p] is the memory of each kTopk probe, for `block` strips, in which several heads meet.
inline void read_probes(const Call& c, const Strip* strips, const CapturedKeys& keys, const Capture* captures, int64_t count, int64_t group, float* const* rows, int64_t block) {
  const int64_t h = strips->h;
  for (int p = 0; p < c.probe_count; ++p) {
    const ProbeView& probe = c.probes[p];
    if (probe.head_slot[h] < 0) continue;
    const float weight = probe.reduce ? probe.head_weight[h] : 1;
    if (probe.reading == Reading::kColSum) read_column_sums(probe, strips, keys, captures, count, c.groups, group, weight);
    for (int64_t s = 0; s < count; ++s) {
      const Strip& strip = strips[s];
      switch (probe.reading) {
        case Reading::kColSum: break;
        case Reading::kClassMass: read_class_mass(probe, strip, keys, captures[s], weight); break;
        case Reading::kKeys: read_keys(probe, strip, keys, captures[s], weight); break;
        case Reading::kTopk: read_topk(c, probe, strip, keys, captures[s], rows[p] + strip.first / kStrip % block * kStrip * c.keys, weight); break;
        case Reading::kRows: {
          float* target[kStrip];
          rows_of_value(probe, strip, target);
          add_to_rows(strip, keys, captures[s], probe.post, weight, target);
        }
      }
    }
  }
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
