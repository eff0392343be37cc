// Warps for one instruction set. The places that some cells come from are found once for all channels; then channels are lanes where they lie side by side,
// and columns otherwise.
#pragma once

#include "kernels/cpu/bilinear.h"
#include "kernels/cpu/map_call.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

inline constexpr int kWarpChunk = 64;
static_assert(kWarpChunk % kLanes == 0);
/// Chunks whose places are found before a plane is read and written: several rows of it, so that planes far apart are not visited in turns.
inline constexpr int kWarpChunks = 32;

/// Where `count` columns of a row come from: four cells of the plane of x as offsets in elements, and their weights. As in Taps, cells of weight 0 repeat
/// another one.
struct WarpChunk {
  int64_t row, first, count;
  int32_t offset[kWarpChunk][4];
  float weight[kWarpChunk][4];
  int32_t seen[kWarpChunk];  // all bits; 0 = all of it lies outside
  float share[kWarpChunk];   // of the warp, where there is a base
};

template <typename T>
ATTELIER_INLINE T* element_at(const Planes& planes, int64_t b, int64_t channel, int64_t row, int64_t column) {
  return static_cast<T*>(planes.data) + b * planes.batch + channel * planes.channel + row * planes.row + column * planes.column;
}

ATTELIER_INLINE Vector limited(Vector x, float low, float high) {
  x = x < low ? splat(low) : x;
  return x > high ? splat(high) : x;
}

/// The cells beside positions on an axis of `size` cells, `seen` in -1 .. size, and their weights.
struct AxisTaps {
  Integers cell[2];
  Vector weight[2];

  ATTELIER_INLINE AxisTaps(Vector x, Integers seen, int64_t size) {
    const Integers cut = __builtin_convertvector(x, Integers);  // towards 0
    const Integers first = cut + (__builtin_convertvector(cut, Vector) > x), second = first + 1;
    const Vector shift = x - __builtin_convertvector(first, Vector);
    weight[0] = (first >= 0) & seen ? 1.0f - shift : Vector{};
    weight[1] = (second < static_cast<int32_t>(size)) & seen ? shift : Vector{};
    cell[0] = weight[0] > 0.0f ? first : second;
    cell[1] = weight[1] > 0.0f ? second : first;
    // Nothing is read for what is not seen, but its address is that of a cell.
    for (int i = 0; i < 2; ++i) cell[i] = seen ? cell[i] : Integers{};
  }
};

inline void find_places(const WarpCall& c, int64_t b, WarpChunk& chunk) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers, halves to even
  const int64_t row = chunk.row, first = chunk.first, count = chunk.count;
  alignas(64) float across[kWarpChunk] = {}, down[kWarpChunk] = {};
  for (int64_t i = 0; i < count; ++i) {
    across[i] = static_cast<float>(first + i) + *element_at<float>(c.flow, b, 0, row, first + i);
    down[i] = static_cast<float>(row) + *element_at<float>(c.flow, b, 1, row, first + i);
    chunk.share[i] = c.mask.data ? *element_at<float>(c.mask, b, 0, row, first + i) : 1;
  }
  const auto rows = static_cast<float>(c.rows), columns = static_cast<float>(c.columns);
  for (int64_t i = 0; i < count; i += kLanes) {
    // All positions further than two cells outside are alike.
    Vector x = limited(load(across + i), -2, columns + 1), y = limited(load(down + i), -2, rows + 1);
    if (c.nearest) {
      x = (x + kMagic) - kMagic;
      y = (y + kMagic) - kMagic;
    }
    const Integers inside = (x >= 0.0f) & (x <= columns - 1) & (y >= 0.0f) & (y <= rows - 1);
    if (c.inside_only) store(chunk.share + i, inside ? load(chunk.share + i) : Vector{});
    if (c.border) {
      x = limited(x, 0, columns - 1);
      y = limited(y, 0, rows - 1);
    }
    const Integers seen = (x > -1.0f) & (x < columns) & (y > -1.0f) & (y < rows);  // and a number
    const AxisTaps horizontal(seen ? x : Vector{}, seen, c.columns), vertical(seen ? y : Vector{}, seen, c.rows);
    std::memcpy(chunk.seen + i, &seen, sizeof seen);
    for (int t = 0; t < 4; ++t) {
      const Integers offset = vertical.cell[t / 2] * static_cast<int32_t>(c.x.row) + horizontal.cell[t % 2] * static_cast<int32_t>(c.x.column);
      const Vector weight = vertical.weight[t / 2] * horizontal.weight[t % 2];
      for (int j = 0; j < kLanes; ++j) {
        chunk.offset[i + j][t] = offset[j];
        chunk.weight[i + j][t] = weight[j];
      }
    }
  }
}

/// M warped + (1 - M) base; M = 0 and M = 1 take one of both as it is.
ATTELIER_INLINE Vector replaced(Vector warped, Vector base, Vector share) {
  const Vector mixed = share * warped + (1.0f - share) * base;
  return share == 0.0f ? base : share == 1.0f ? warped : mixed;
}

/// A chunk where channels lie side by side.
template <typename Type>
void warp_channels(const WarpCall& c, int64_t b, const WarpChunk& chunk) {
  using Stored = typename Type::Stored;
  const Stored* const x = element_at<const Stored>(c.x, b, 0, 0, 0);
  for (int64_t i = 0; i < chunk.count; ++i) {
    const Stored* around[4];
    for (int t = 0; t < 4; ++t) around[t] = x + chunk.offset[i][t];
    const float* const weight = chunk.weight[i];
    const Stored* const base = c.base.data ? element_at<const Stored>(c.base, b, 0, chunk.row, chunk.first + i) : nullptr;
    Stored* const out = element_at<Stored>(c.y, b, 0, chunk.row, chunk.first + i);
    const Vector share = splat(chunk.share[i]);
    for (int64_t channel = 0; channel < c.channels; channel += kLanes) {
      const Lanes<Type> lanes{smaller(kLanes, c.channels - channel)};
      Vector sum = {};
      if (chunk.seen[i]) {
        sum = weight[0] * lanes.load_at(around[0] + channel);
        for (int t = 1; t < 4; ++t) sum += weight[t] * lanes.load_at(around[t] + channel);
      }
      lanes.store_at(out + channel, base ? replaced(sum, lanes.load_at(base + channel), share) : sum);
    }
  }
}

typedef float Four __attribute__((vector_size(16)));
typedef uint16_t Eight __attribute__((vector_size(16)));

/// The elements at four offsets as floats.
ATTELIER_INLINE Four four_of(const float* x, const int32_t* offset, Float32) { return Four{x[offset[0]], x[offset[1]], x[offset[2]], x[offset[3]]}; }
ATTELIER_INLINE Four four_of(const uint16_t* x, const int32_t* offset, BFloat16) {
  return reinterpret_cast<Four>(Eight{0, x[offset[0]], 0, x[offset[1]], 0, x[offset[2]], 0, x[offset[3]]});
}
ATTELIER_INLINE Four four_of(const uint16_t* x, const int32_t* offset, Float16) {
  return Four{float_of_half(x[offset[0]]), float_of_half(x[offset[1]]), float_of_half(x[offset[2]]), float_of_half(x[offset[3]])};
}

/// a[0] + a[1], a[2] + a[3], b[0] + b[1], b[2] + b[3]
ATTELIER_INLINE Four sums_of_pairs(Four a, Four b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7); }

/// One channel of a chunk where columns of y and base lie side by side.
template <typename Type>
ATTELIER_INLINE void warp_columns(const WarpCall& c, int64_t b, int64_t channel, const WarpChunk& chunk) {
  using Stored = typename Type::Stored;
  const Stored* const x = element_at<const Stored>(c.x, b, channel, 0, 0);
  alignas(64) float warped[kWarpChunk];
  for (int64_t i = 0; i < chunk.count; i += 4) {
    Four cells[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      Four weight;
      std::memcpy(&weight, chunk.weight[i + j], sizeof weight);
      cells[j] = weight * four_of(x, chunk.offset[i + j], Type{});
    }
    const Four sums = sums_of_pairs(sums_of_pairs(cells[0], cells[1]), sums_of_pairs(cells[2], cells[3]));
    std::memcpy(warped + i, &sums, sizeof sums);
  }
  const Stored* const base = c.base.data ? element_at<const Stored>(c.base, b, channel, chunk.row, chunk.first) : nullptr;
  Stored* const out = element_at<Stored>(c.y, b, channel, chunk.row, chunk.first);
  for (int64_t i = 0; i < chunk.count; i += kLanes) {
    const Lanes<Type> lanes{smaller(kLanes, chunk.count - i)};
    Integers seen;
    std::memcpy(&seen, chunk.seen + i, sizeof seen);
    const Vector own = seen ? load(warped + i) : Vector{};
    lanes.store_at(out + i, base ? replaced(own, lanes.load_at(base + i), load(chunk.share + i)) : own);
  }
}

template <typename Type>
void warp_chunks(const WarpCall& c, int64_t b, WarpChunk* chunks, int count) {
  for (int i = 0; i < count; ++i) find_places(c, b, chunks[i]);
  if (c.channels > 1 && c.y.channel == 1 && c.x.channel == 1) {
    for (int i = 0; i < count; ++i) warp_channels<Type>(c, b, chunks[i]);
    return;
  }
  for (int64_t channel = 0; channel < c.channels; ++channel)
    for (int i = 0; i < count; ++i) warp_columns<Type>(c, b, channel, chunks[i]);
}

inline void warp(const WarpCall& c, int64_t begin, int64_t end) {
  WarpChunk chunks[kWarpChunks] = {};
  with_type(c.element, [&]<typename Type>(Type) {
    int count = 0;
    for (int64_t line = begin; line < end; ++line) {
      const int64_t b = line / c.rows;
      for (int64_t first = 0; first < c.columns; first += kWarpChunk) {
        WarpChunk& chunk = chunks[count++];
        chunk.row = line % c.rows;
        chunk.first = first;
        chunk.count = smaller(kWarpChunk, c.columns - first);
        const bool is_last = first + kWarpChunk >= c.columns && (line + 1 == end || chunk.row + 1 == c.rows);
        if (count < kWarpChunks && !is_last) continue;
        warp_chunks<Type>(c, b, chunks, count);
        count = 0;
      }
    }
  });
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
