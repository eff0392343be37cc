// Warps for one instruction set. Channels that lie side by side are lanes; otherwise the columns of a row are, with the places of a chunk of them found once
// for all channels.
#pragma once

#include "kernels/cpu/bilinear.h"
#include "kernels/cpu/map_call.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

/// Where one cell of y comes from. `seen` = 0: from outside.
struct WarpPlace {
  Taps taps;
  int32_t seen;
  float share;  // of the warp, where there is a base
};

template <typename T>
ATTELIER_INLINE T* element_at(const Planes& planes, int64_t b, int64_t channel, int64_t row, int64_t column) {
  return static_cast<T*>(planes.data) + b * planes.batch + channel * planes.channel + row * planes.row + column * planes.column;
}

/// `x` moved into [0, size - 1]; not a number stays so.
ATTELIER_INLINE float to_border(float x, int64_t size) {
  const auto last = static_cast<float>(size - 1);
  return x < 0 ? 0 : x > last ? last : x;
}

ATTELIER_INLINE WarpPlace find_place(const WarpCall& c, int64_t b, int64_t row, int64_t column) {
  float x = static_cast<float>(column) + *element_at<float>(c.flow, b, 0, row, column);
  float y = static_cast<float>(row) + *element_at<float>(c.flow, b, 1, row, column);
  if (c.nearest) {
    x = __builtin_nearbyintf(x);
    y = __builtin_nearbyintf(y);
  }
  const bool inside = x >= 0 && x <= static_cast<float>(c.columns - 1) && y >= 0 && y <= static_cast<float>(c.rows - 1);
  WarpPlace place = {};
  place.share = c.mask.data ? *element_at<float>(c.mask, b, 0, row, column) : 1;
  if (c.inside_only && !inside) place.share = 0;
  if (c.border) {
    x = to_border(x, c.columns);
    y = to_border(y, c.rows);
  }
  place.seen = find_taps(x, y, c.rows, c.columns, place.taps);
  return place;
}

/// M warped + (1 - M) base; M = 0 and M = 1 take one of both as it is.
ATTELIER_INLINE float replaced(float warped, float base, float share) { return share == 0 ? base : share == 1 ? warped : share * warped + (1 - share) * base; }

template <typename Type>
void warp_row_of_channels(const WarpCall& c, int64_t b, int64_t row) {
  using Stored = typename Type::Stored;
  for (int64_t column = 0; column < c.columns; ++column) {
    const WarpPlace place = find_place(c, b, row, column);
    const Stored* around[4];
    for (int i = 0; i < 4; ++i) around[i] = element_at<Stored>(c.x, b, 0, place.taps.y[i / 2], place.taps.x[i % 2]);
    const Stored* const base = c.base.data ? element_at<Stored>(c.base, b, 0, row, column) : nullptr;
    Stored* const out = element_at<Stored>(c.y, b, 0, row, column);
    if (base != nullptr && place.share == 0) {
      std::memcpy(out, base, static_cast<size_t>(c.channels) * sizeof(Stored));
      continue;
    }
    for (int64_t channel = 0; channel < c.channels; channel += kLanes) {
      const Lanes<Type> lanes{smaller(kLanes, c.channels - channel)};
      Vector sum = {};
      if (place.seen) sum = place.taps.weight[0] * lanes.load_at(around[0] + channel);
      for (int i = 1; i < 4 && place.seen; ++i) sum += place.taps.weight[i] * lanes.load_at(around[i] + channel);
      if (base != nullptr && place.share != 1) sum = place.share * sum + (1 - place.share) * lanes.load_at(base + channel);
      lanes.store_at(out + channel, sum);
    }
  }
}

ATTELIER_INLINE float as_float(float x, Float32) { return x; }
ATTELIER_INLINE float as_float(uint16_t x, BFloat16) { return float_of_bfloat16(x); }
ATTELIER_INLINE float as_float(uint16_t x, Float16) { return float_of_half(x); }
ATTELIER_INLINE float as_stored(float x, Float32) { return x; }
ATTELIER_INLINE uint16_t as_stored(float x, BFloat16) { return bfloat16_of_float(x); }
ATTELIER_INLINE uint16_t as_stored(float x, Float16) { return half_of_float(x); }

template <typename Type>
void warp_row_of_columns(const WarpCall& c, int64_t b, int64_t row) {
  using Stored = typename Type::Stored;
  constexpr int kChunk = 64;
  int32_t offset[4][kChunk], seen[kChunk];  // a plane has fewer than 2^31 elements
  float weight[4][kChunk], share[kChunk];
  for (int64_t first = 0; first < c.columns; first += kChunk) {
    const int64_t count = smaller(kChunk, c.columns - first);
    for (int64_t i = 0; i < count; ++i) {
      const WarpPlace place = find_place(c, b, row, first + i);
      for (int t = 0; t < 4; ++t) {
        offset[t][i] = static_cast<int32_t>(place.taps.y[t / 2] * c.x.row + place.taps.x[t % 2] * c.x.column);
        weight[t][i] = place.taps.weight[t];
      }
      seen[i] = place.seen;
      share[i] = place.share;
    }
    for (int64_t channel = 0; channel < c.channels; ++channel) {
      const Stored* const x = element_at<Stored>(c.x, b, channel, 0, 0);
      const Stored* const base = c.base.data ? element_at<Stored>(c.base, b, channel, row, first) : nullptr;
      Stored* const out = element_at<Stored>(c.y, b, channel, row, first);
      for (int64_t i = 0; i < count; ++i) {
        float sum = weight[0][i] * as_float(x[offset[0][i]], Type{});
        for (int t = 1; t < 4; ++t) sum += weight[t][i] * as_float(x[offset[t][i]], Type{});
        sum = seen[i] ? sum : 0;
        if (base != nullptr) sum = replaced(sum, as_float(base[i * c.base.column], Type{}), share[i]);
        out[i * c.y.column] = as_stored(sum, Type{});
      }
    }
  }
}

inline void warp(const WarpCall& c, int64_t begin, int64_t end) {
  const bool side_by_side = c.channels > 1 && c.x.channel == 1 && c.y.channel == 1 && (c.base.data == nullptr || c.base.channel == 1);
  with_type(c.element, [&]<typename Type>(Type) {
    for (int64_t row = begin; row < end; ++row) {
      if (side_by_side) warp_row_of_channels<Type>(c, row / c.rows, row % c.rows);
      else warp_row_of_columns<Type>(c, row / c.rows, row % c.rows);
    }
  });
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
