// Attention of regions for one instruction set: the strips and tiles of attention, where queries, keys, values and outputs are cells of maps. Keys of chosen
// regions are read where they lie; sampled keys and values are made for one tile at a time.
#pragma once

#include "kernels/cpu/bilinear.h"
#include "kernels/cpu/map_call.h"
#include "kernels/cpu/tasks.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

struct RegionSpace {
  Workspace attention;
  Word *k_rows, *v_rows;  // sampled keys and values of a tile, as elements
  Word* zeros;            // what lies outside the maps
  Word* unused;           // outputs of queries outside

  RegionSpace(const RegionCall& c, Carver& carver) : attention(c.call, carver) {
    const bool samples = c.view.index == nullptr;
    k_rows = carver.take<Word>(samples ? kTileKeys * c.call.depth : 0);
    v_rows = carver.take<Word>(samples ? kTileKeys * c.call.value_depth : 0);
    zeros = carver.take<Word>(larger(c.call.depth, c.call.value_depth));
    unused = carver.take<Word>(c.call.value_depth);
  }
};

/// In elements.
ATTELIER_INLINE int64_t offset_of(const Cells& cells, int64_t b, int64_t h, int64_t y, int64_t x) { return b * cells.batch + h * cells.head + y * cells.row + x * cells.column; }

ATTELIER_INLINE char* cell_at(const Cells& cells, Element element, int64_t offset) { return static_cast<char*>(cells.data) + offset * element_size(element); }

ATTELIER_INLINE char* cell_of(const Cells& cells, Element element, int64_t b, int64_t h, int64_t y, int64_t x) { return cell_at(cells, element, offset_of(cells, b, h, y, x)); }

ATTELIER_INLINE bool is_inside(int64_t y, int64_t x, int64_t rows, int64_t columns) { return y >= 0 && y < rows && x >= 0 && x < columns; }

/// The keys of one region in tiles; the counterpart of KeyScanner.
class RegionKeys {
 public:
  RegionKeys(const RegionCall& c, int64_t b, int64_t h, int64_t g, const RegionSpace& space)
      : call_(c.call), view_(c.view), space_(space), b_(b), h_(h), capacity_(tile_capacity(c.call)), scale_(c.call.scales[0]) {
    if (view_.index) index_ = view_.index + b * view_.index_batch + h * view_.index_head + g * view_.index_region;
    else if (view_.points) points_ = view_.points + b * view_.points_batch + h * view_.points_head + g * view_.points_region;
  }

  /// The next keys; false when all have been seen.
  bool next(KeyTile& tile) {
    tile.count = tile.segment = 0;
    tile.has_gain = false;
    tile.first_column = tile.last_column = 0;  // no causal rule
    if (index_) gather(tile);
    else with_type(call_.element, [&]<typename Type>(Type) { sample<Type>(tile); });
    return tile.count > 0;
  }

 private:
  void add(KeyTile& tile, const void* k, const void* v, int64_t column) const {
    const int64_t n = tile.count++;
    tile.k[n] = static_cast<const Word*>(k);
    tile.v[n] = static_cast<const Word*>(v);
    tile.scale[n] = scale_;
    tile.bias[n] = 0;
    tile.gain[n] = 1;
    tile.column[n] = static_cast<int32_t>(column);
    tile.key_class[n] = 0;
  }

  void gather(KeyTile& tile) {
    for (; choice_ < view_.choices; ++choice_, y_ = 0) {
      const int64_t region = index_[choice_];
      if (region < 0 || region >= view_.regions) continue;
      const int64_t top = region / view_.across * view_.height - view_.top, left = region % view_.across * view_.width - view_.left;
      for (; y_ < view_.height; ++y_, x_ = 0) {
        const int64_t first = (choice_ * view_.height + y_) * view_.width, y = top + y_, k = offset_of(view_.k, b_, h_, y, left), v = offset_of(view_.v, b_, h_, y, left);
        for (; x_ < view_.width; ++x_) {
          if (tile.count == capacity_) return;
          const bool inside = is_inside(y, left + x_, view_.key_rows, view_.key_columns);
          add(tile, inside ? static_cast<const void*>(cell_at(view_.k, call_.element, k + x_ * view_.k.column)) : space_.zeros,
              inside ? static_cast<const void*>(cell_at(view_.v, call_.element, v + x_ * view_.v.column)) : space_.zeros, first + x_);
        }
      }
    }
  }

  template <typename Type>
  void sample(KeyTile& tile) {
    for (; choice_ < call_.keys && tile.count < capacity_; ++choice_) {
      const float* const point = points_ + choice_ * view_.points_key;
      Taps taps;
      if (find_taps(point[0], point[1], view_.key_rows, view_.key_columns, taps))
        add(tile, mix<Type>(view_.k, taps, call_.depth, space_.k_rows, tile.count), mix<Type>(view_.v, taps, call_.value_depth, space_.v_rows, tile.count), choice_);
      else
        add(tile, space_.zeros, space_.zeros, choice_);
    }
  }

  template <typename Type>
  const void* mix(const Cells& cells, const Taps& taps, int64_t depth, Word* rows, int64_t n) const {
    using Stored = typename Type::Stored;
    const Stored* around[4];
    for (int i = 0; i < 4; ++i) around[i] = reinterpret_cast<const Stored*>(cell_of(cells, call_.element, b_, h_, taps.y[i / 2], taps.x[i % 2]));
    Stored* const row = reinterpret_cast<Stored*>(rows) + n * depth;
    mix_rows<Type>(around, taps.weight, depth, row);
    return row;
  }

  const Call& call_;
  const RegionView& view_;
  const RegionSpace& space_;
  const int64_t b_, h_, capacity_;
  const float scale_;
  const int64_t* index_ = nullptr;
  const float* points_ = nullptr;
  int64_t choice_ = 0, y_ = 0, x_ = 0;
};

/// Queries `first` .. of region g. False when all of them lie outside the map.
template <typename Product>
inline bool place_cells(const RegionCall& c, Strip& strip, int64_t b, int64_t h, int64_t g, int64_t first, const RegionSpace& space) {
  const RegionView& view = c.view;
  set_range(c.call, strip, b * view.regions + g, h, first);
  const int64_t top = g / view.across * view.height - view.top, left = g % view.across * view.width - view.left;
  bool any = false;
  int64_t y = top + first / view.width, x = left + first % view.width;
  for (int64_t i = 0; i < strip.rows; ++i, ++x) {
    if (x == left + view.width) {
      x = left;
      ++y;
    }
    const bool inside = is_inside(y, x, view.rows, view.columns);
    any |= inside;
    strip.query[i] = inside ? static_cast<const void*>(cell_of(view.q, c.call.element, b, h, y, x)) : space.zeros;
    strip.output[i] = inside ? static_cast<void*>(cell_of(view.o, c.call.element, b, h, y, x)) : space.unused;
  }
  if (!any) return false;
  load_queries<Product>(c.call, strip);
  start(c.call, strip);
  return true;
}

template <typename Product>
inline void run_region_tasks(const RegionCall& c, int64_t begin, int64_t end, void* memory) {
  Carver carver(memory);
  RegionSpace space(c, carver);
  std::memset(space.zeros, 0, static_cast<size_t>(larger(c.call.depth, c.call.value_depth)) * sizeof(Word));
  const int64_t blocks = blocks_per_head(c.call), strips = block_strips(c.call);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t h = task / blocks % c.call.heads, region = task / blocks / c.call.heads, b = region / c.view.regions, g = region % c.view.regions;
    int64_t first = task % blocks * strips * kStrip, count = 0;
    for (const int64_t stop = smaller(c.call.rows, first + strips * kStrip); first < stop; first += kStrip) count += place_cells<Product>(c, space.attention.strips[count], b, h, g, first, space);
    if (count == 0) continue;
    RegionKeys keys(c, b, h, g, space);
    attend<Product>(c.call, keys, count, space.attention);
    for (int64_t i = 0; i < count; ++i) finish(c.call, space.attention.strips[i], {}, *space.attention.coefficients);
  }
}

inline int64_t region_tasks(const RegionCall& c) { return task_count(c.call); }

inline int64_t region_workspace_bytes(const RegionCall& c) {
  Carver carver(nullptr);
  RegionSpace measured(c, carver);
  return carver.used();
}

inline void run_regions(const RegionCall& c, int64_t begin, int64_t end, void* memory) {
#ifdef __AVX512BF16__
  if (c.call.element == Element::kBFloat16) return run_region_tasks<PairProduct>(c, begin, end, memory);
#endif
  run_region_tasks<FloatProduct>(c, begin, end, memory);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
