// Attention of regions: the attention kernel of attend.h with queries, keys, values and outputs in cells of maps (kernels/regions.h). Batch rows of the call
// are regions. Keys of chosen regions are copied from where they lie; sampled ones are made on the way into shared memory.
#pragma once

#include <stdexcept>

#include "kernels/cpu/map_call.h"
#include "kernels/cuda/attend.h"
#include "kernels/cuda/bilinear.h"

namespace attelier::kernels::cuda {

/// Head widths with a kernel: both D and Dv fit.
inline constexpr int kRegionWidths[] = {32, 64, 128};
inline constexpr int kRegionFloatWidth = 64;

/// Queries and outputs in cells.
struct CellPlaces {
  static constexpr bool kDense = false;
  cpu::RegionView view;

  template <typename T>
  ATTELIER_DEVICE static T* cell(const cpu::Cells& cells, int64_t b, int64_t h, int64_t y, int64_t x) {
    return static_cast<T*>(cells.data) + b * cells.batch + h * cells.head + y * cells.row + x * cells.column;
  }
  ATTELIER_DEVICE int batch_of(int b) const { return b / static_cast<int>(view.regions); }
  ATTELIER_DEVICE int region_of(int b) const { return b % static_cast<int>(view.regions); }
  ATTELIER_DEVICE int row_of(int region, int cell) const {
    return region / static_cast<int>(view.across) * static_cast<int>(view.height) + cell / static_cast<int>(view.width) - static_cast<int>(view.top);
  }
  ATTELIER_DEVICE int column_of(int region, int cell) const {
    return region % static_cast<int>(view.across) * static_cast<int>(view.width) + cell % static_cast<int>(view.width) - static_cast<int>(view.left);
  }

  /// Row r of region b, null outside the map.
  template <typename T>
  ATTELIER_DEVICE T* own_cell(const cpu::Cells& cells, const Call& call, int b, int h, int r) const {
    if (r >= call.rows) return nullptr;
    const int y = row_of(region_of(b), r), x = column_of(region_of(b), r);
    return y >= 0 && y < view.rows && x >= 0 && x < view.columns ? cell<T>(cells, batch_of(b), h, y, x) : nullptr;
  }
  template <typename T>
  ATTELIER_DEVICE const T* query(const Call& call, int b, int h, int r) const {
    return own_cell<T>(view.q, call, b, h, r);
  }
  template <typename T>
  ATTELIER_DEVICE T* output(const Call& call, int b, int h, int r) const {
    return own_cell<T>(view.o, call, b, h, r);
  }
  ATTELIER_DEVICE bool has_words(const Call& call) const { return ((call.value_depth | view.o.batch | view.o.head | view.o.row | view.o.column) & 1) == 0; }

  template <typename Table>
  ATTELIER_DEVICE void fill_factors(const Arguments& a, int64_t column, int slot, Table& table) const {
    table.set_empty(slot);
    table.column[slot] = static_cast<int32_t>(column);
    table.scale[slot] = a.scale * kLog2E;
    table.bias[slot] = 0;
    table.gain[slot] = 1;
  }
};

/// Keys in chosen regions. Cells outside the map have no row, which reads as zeros; absent regions have a bias of -inf.
struct ChosenRegions : CellPlaces {
  static constexpr bool kSamples = false;
  template <int kKeys>
  using Table = KeyTable<kKeys>;

  template <typename T, int kKeys>
  ATTELIER_DEVICE void fill_slot(const Arguments& a, int b, int h, int64_t column, int slot, KeyTable<kKeys>& table) const {
    fill_factors(a, column, slot, table);
    const int cells = static_cast<int>(view.height * view.width), batch = batch_of(b);
    const int64_t region = view.index[batch * view.index_batch + h * view.index_head + region_of(b) * view.index_region + column / cells];
    if (region < 0 || region >= view.regions) {
      table.bias[slot] = -kInfinity;
      return;
    }
    const int y = row_of(static_cast<int>(region), static_cast<int>(column % cells)), x = column_of(static_cast<int>(region), static_cast<int>(column % cells));
    if (y < 0 || y >= view.key_rows || x < 0 || x >= view.key_columns) return;
    table.k[slot] = cell<T>(view.k, batch, h, y, x);
    table.v[slot] = cell<T>(view.v, batch, h, y, x);
  }
};

/// A table with the neighbours of each key.
template <int kKeys>
struct SampleTable : KeyTable<kKeys> {
  Taps taps[kKeys];
  bool seen[kKeys];
};

/// Keys sampled at points.
struct SampledPoints : CellPlaces {
  static constexpr bool kSamples = true;
  template <int kKeys>
  using Table = SampleTable<kKeys>;

  template <typename T, int kKeys>
  ATTELIER_DEVICE void fill_slot(const Arguments& a, int b, int h, int64_t column, int slot, SampleTable<kKeys>& table) const {
    fill_factors(a, column, slot, table);
    const float* const point = view.points + batch_of(b) * view.points_batch + h * view.points_head + region_of(b) * view.points_region + column * view.points_key;
    table.seen[slot] = find_taps(point[0], point[1], static_cast<int>(view.key_rows), static_cast<int>(view.key_columns), table.taps[slot]);
  }

  template <int kRows, int kWidth, int kThreads, typename T>
  ATTELIER_DEVICE void sample_keys(const Arguments& a, int b, int h, const SampleTable<kRows>& table, T* tile, int stride) const {
    sample<kRows, kWidth, kThreads>(view.k, static_cast<int>(a.call.depth), a.aligned, b, h, table, tile, stride);
  }
  template <int kRows, int kWidth, int kThreads, typename T>
  ATTELIER_DEVICE void sample_values(const Arguments& a, int b, int h, const SampleTable<kRows>& table, T* tile, int stride) const {
    sample<kRows, kWidth, kThreads>(view.v, static_cast<int>(a.call.value_depth), a.aligned, b, h, table, tile, stride);
  }

 private:
  template <typename T>
  struct alignas(16) Piece {
    T elements[16 / sizeof(T)];
  };

  /// kRows rows of samples, rounded once, zeros beyond `width` and for keys that are not there or see nothing.
  template <int kRows, int kWidth, int kThreads, typename T>
  ATTELIER_DEVICE void sample(const cpu::Cells& cells, int width, bool aligned, int b, int h, const SampleTable<kRows>& table, T* tile, int stride) const {
    constexpr int kPiece = 16 / static_cast<int>(sizeof(T)), kPieces = kWidth / kPiece;
    for (int i = thread_index(); i < kRows * kPieces; i += kThreads) {
      const int slot = i / kPieces, begin = i % kPieces * kPiece;
      float sum[kPiece] = {};
      if (table.bias[slot] != -kInfinity && table.seen[slot]) {
        const Taps& taps = table.taps[slot];
        ATTELIER_UNROLL
        for (int t = 0; t < 4; ++t) {
          const T* const row = cell<T>(cells, batch_of(b), h, taps.y[t / 2], taps.x[t % 2]) + begin;
          Piece<T> piece = {};
          if (aligned && begin + kPiece <= width) {
            piece = *reinterpret_cast<const Piece<T>*>(row);
          } else {
            ATTELIER_UNROLL
            for (int e = 0; e < kPiece; ++e)
              if (begin + e < width) piece.elements[e] = row[e];
          }
          ATTELIER_UNROLL
          for (int e = 0; e < kPiece; ++e) sum[e] = multiply_add(taps.weight[t], to_float(piece.elements[e]), sum[e]);
        }
      }
      ATTELIER_UNROLL
      for (int e = 0; e < kPiece; ++e) round_to(tile[slot * stride + begin + e], begin + e < width ? sum[e] : 0);
    }
  }
};

/// How a region call is launched.
struct RegionPlan {
  int width = 0;  // of the kernel; 0 = none is wide enough
  int threads = 0;
  int64_t blocks = 0, shared_bytes = 0;
  Arguments arguments;
};

template <typename T, int W, typename Places>
struct RegionVariant {
  using Element = T;
  using Kind = Places;
  static constexpr int kWidth = W;
};

template <typename T, int W, typename F>
auto with_places(bool samples, const F& f) {
  return samples ? f(RegionVariant<T, W, SampledPoints>{}) : f(RegionVariant<T, W, ChosenRegions>{});
}

template <typename T, typename F>
auto with_region_width(int width, bool samples, const F& f) {
  switch (width) {
    case 32: return with_places<T, 32>(samples, f);
    case 64: return with_places<T, 64>(samples, f);
    case 128: return with_places<T, 128>(samples, f);
    default: throw std::invalid_argument("no kernel of regions has this width");
  }
}

/// f(RegionVariant<T, W, Places>{})
template <typename F>
auto with_region_variant(cpu::Element element, int width, bool samples, const F& f) {
  if (element == cpu::Element::kBFloat16) return with_region_width<BFloat16>(width, samples, f);
  if (element == cpu::Element::kFloat16) return with_region_width<Float16>(width, samples, f);
  if (width != kRegionFloatWidth) throw std::invalid_argument("no float32 kernel of regions has this width");
  return with_places<float, kRegionFloatWidth>(samples, f);
}

/// The smallest compiled width that holds both, 0 when none does.
inline int region_width(cpu::Element element, int64_t depth, int64_t value_depth) {
  const int64_t width = depth > value_depth ? depth : value_depth;
  if (element == cpu::Element::kFloat32) return width <= kRegionFloatWidth ? kRegionFloatWidth : 0;
  for (const int compiled : kRegionWidths)
    if (width <= compiled) return compiled;
  return 0;
}

inline bool begins_on_16_bytes(const cpu::Cells& cells, int64_t element_bytes) {
  const int64_t strides = cells.batch | cells.head | cells.row | cells.column;
  return reinterpret_cast<uintptr_t>(cells.data) % 16 == 0 && strides * element_bytes % 16 == 0;
}

/// Pure host code. The call's width must have a kernel.
inline RegionPlan plan_regions(const cpu::RegionCall& region_call) {
  RegionPlan plan;
  Arguments& a = plan.arguments;
  a = {};
  a.call = region_call.call;
  a.call.q.data = region_call.view.q.data;
  a.scale = a.call.scales[0];
  a.call.scales = nullptr;
  a.segments = 1;
  const int64_t bytes = a.call.element == cpu::Element::kFloat32 ? 4 : 2;
  a.aligned = begins_on_16_bytes(region_call.view.q, bytes) && begins_on_16_bytes(region_call.view.k, bytes) && begins_on_16_bytes(region_call.view.v, bytes);
  plan.width = region_width(a.call.element, a.call.depth, a.call.value_depth);
  with_region_variant(a.call.element, plan.width, region_call.view.index == nullptr, [&]<typename V>(V) {
    using Shape = Tile<typename V::Element, V::kWidth, Bundle::kScore>;
    plan.threads = Shape::kThreads;
    plan.blocks = (a.call.rows + Shape::kRows - 1) / Shape::kRows * a.call.batches * a.call.heads;
    plan.shared_bytes = attend_shared_bytes<typename V::Element, V::kWidth, Bundle::kScore, typename V::Kind>();
  });
  return plan;
}

}  // namespace attelier::kernels::cuda
