// How a call falls into independent tasks, the scratch memory of a task, and its run.
#pragma once

#include "kernels/cpu/capture.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

/// Queries of a task that pass over the keys together, so that a tile of keys is fetched, and converted, once for all of them.
inline constexpr int64_t kBlockQueries = 192;
/// Their queries, states and outputs should stay in the second-level cache.
inline constexpr int64_t kBlockBytes = 640 << 10;
inline constexpr int kMaximumStrips = kBlockQueries / kStrip;

/// Floats of a strip: queries, three states, outputs.
ATTELIER_INLINE int64_t strip_floats(const Call& c) { return kStrip * (c.depth + 3 * kClasses + segment_count(c) * c.value_depth); }

ATTELIER_INLINE int64_t block_strips(const Call& c) {
  const int64_t fitting = larger(1, kBlockBytes / (4 * strip_floats(c)));
  return smaller(smaller(kMaximumStrips, fitting), parts(c.rows, kStrip));
}

/// Carves 64-byte aligned pieces; with a null base it only measures.
class Carver {
 public:
  explicit Carver(void* base) : base_(static_cast<char*>(base)) {}
  template <typename T>
  T* take(int64_t count) {
    T* const piece = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    used_ += parts(count * static_cast<int64_t>(sizeof(T)), 64) * 64;
    return piece;
  }
  int64_t used() const { return used_; }

 private:
  char* base_;
  int64_t used_ = 0;
};

struct Workspace {
  Strip* strips;
  KeyTile* tile;
  Coefficients* coefficients;
  StepScratch scratch;
  Word *k_words, *v_words;
  float* staging;
  Capture capture;  // with probes

  Workspace(const Call& c, Carver& carver) {
    const int64_t count = block_strips(c);
    strips = carver.take<Strip>(count);
    for (int64_t i = 0; i < count; ++i) {
      Strip strip = {};
      strip.q = carver.take<Word>(c.depth * kStrip);
      strip.q_rows = carver.take<Word>(kFewQueries * padded_words(c.depth));
      strip.highest = carver.take<float>(kClasses * kStrip);
      strip.sum = carver.take<float>(kClasses * kStrip);
      strip.gained_sum = carver.take<float>(kClasses * kStrip);
      strip.o = carver.take<Word>(segment_count(c) * c.value_depth * kStrip);
      if (strips) strips[i] = strip;
    }
    tile = carver.take<KeyTile>(1);
    coefficients = carver.take<Coefficients>(1);
    scratch.z = carver.take<float>(kTileKeys * kStrip);
    scratch.pairs = carver.take<Word>(kTileKeys / 2 * kStrip);
    k_words = carver.take<Word>(kTileKeys * c.depth);
    v_words = carver.take<Word>(kTileKeys * c.value_depth);
    staging = carver.take<float>((kLanes + 1) * (c.depth + 1));
    capture = {};
    if (c.probe_count == 0) return;
    const int64_t tiles = maximum_tiles(c), slots = maximum_slots(c);
    capture.tiles = carver.take<CapturedTile>(tiles);
    capture.weights = carver.take<float>(slots * kStrip);
    capture.highest = carver.take<float>(tiles * kStrip);
    capture.pre = carver.take<float>(tiles * kStrip);
    capture.post = carver.take<float>(tiles * kStrip);
    capture.gain = carver.take<float>(slots);
    capture.column = carver.take<int32_t>(slots);
    capture.key_class = carver.take<uint8_t>(slots);
    capture.slot_of_column = carver.take<int32_t>(c.keys);
    capture.tile_of_slot = carver.take<int32_t>(slots);
    for (int p = 0; p < c.probe_count; ++p)
      if (c.probes[p].reading == Reading::kTopk) capture.rows[p] = carver.take<float>(kStrip * c.keys);
  }
};

inline void set_range(const Call& c, Strip& strip, int64_t b, int64_t h, int64_t first) {
  strip.b = b;
  strip.h = h;
  strip.first = first;
  strip.rows = smaller(kStrip, c.rows - first);
  strip.vectors = static_cast<int>(parts(strip.rows, kLanes));
}

template <typename Product>
inline void place(const Call& c, Strip& strip, int64_t b, int64_t h, int64_t first, float* staging) {
  set_range(c, strip, b, h, first);
  for (int64_t i = 0; i < strip.rows; ++i) {
    strip.query[i] = row_of(c.q, c.element, b, h, first + i);
    if (c.o) strip.output[i] = static_cast<char*>(c.o) + (b * c.o_batch + h * c.o_head + (first + i) * c.o_row) * element_size(c.element);
  }
  load_queries<Product>(c, strip, staging);
  start(c, strip);
}

/// Takes `count` strips over all keys. Keys: a KeyScanner, or another with its next().
template <typename Product, typename Keys>
inline void attend(const Call& c, Keys& keys, int64_t count, Workspace& space) {
  while (keys.next(*space.tile)) {
    prepare<Product>(c, *space.tile, space.k_words, space.v_words);
    for (int64_t i = 0; i < count; ++i)
      if (!hides_all(c, *space.tile, space.strips[i])) step<Product>(c, *space.tile, space.strips[i], space.scratch, nullptr, nullptr);
  }
}

/// Attention of the queries in `count` strips that begin at `firsts`, over all keys.
template <typename Product>
inline void run_block(const Call& c, int64_t b, int64_t h, const int64_t* firsts, int64_t count, const VisualCount& visual, Workspace& space) {
  for (int64_t i = 0; i < count; ++i) place<Product>(c, space.strips[i], b, h, firsts[i], space.staging);
  KeyScanner keys(c, b, h);
  attend<Product>(c, keys, count, space);
  for (int64_t i = 0; i < count; ++i) finish(c, space.strips[i], visual, *space.coefficients);
}

/// One strip over all keys, with its probes.
template <typename Product>
inline void run_captured(const Call& c, int64_t b, int64_t h, int64_t first, int64_t group, const VisualCount& visual, Workspace& space) {
  Strip& strip = space.strips[0];
  Capture& capture = space.capture;
  place<Product>(c, strip, b, h, first, space.staging);
  clear(c, capture);
  KeyScanner keys(c, b, h);
  while (keys.next(*space.tile)) {
    if (hides_all(c, *space.tile, strip)) continue;
    prepare<Product>(c, *space.tile, space.k_words, space.v_words);
    const CapturedTile& tile = add_tile(*space.tile, capture);
    step<Product>(c, *space.tile, strip, space.scratch, capture.weights + tile.begin * kStrip, capture.highest + (capture.tile_count - 1) * kStrip);
  }
  finish(c, strip, visual, *space.coefficients);
  set_factors(strip, *space.coefficients, capture);
  read_probes(c, strip, capture, group);
}

/// One group of queries of one batch row, over all heads: sums over heads and queries are made in one order, whatever the threads.
template <typename Product>
inline void run_group(const Call& c, int64_t b, int64_t group, const VisualCount& visual, Workspace& space) {
  const int64_t strips = parts(c.rows, kStrip), begin = strips * group / c.groups, end = strips * (group + 1) / c.groups, block = block_strips(c);
  for (int64_t h = 0; h < c.heads && (c.o || c.lse); ++h) {
    int64_t firsts[kMaximumStrips], count = 0;
    for (int64_t s = begin; s < end; ++s) {
      if (!is_captured(c, h, s * kStrip)) firsts[count++] = s * kStrip;
      if (count == block || (s + 1 == end && count > 0)) {
        run_block<Product>(c, b, h, firsts, count, visual, space);
        count = 0;
      }
    }
  }
  for (int64_t s = begin; s < end; ++s)
    for (int64_t h = 0; h < c.heads; ++h)
      if (is_captured(c, h, s * kStrip)) run_captured<Product>(c, b, h, s * kStrip, group, visual, space);
}

inline int64_t blocks_per_head(const Call& c) { return parts(c.rows, block_strips(c) * kStrip); }

inline int64_t task_count(const Call& c) { return c.probe_count > 0 ? c.batches * c.groups : c.batches * c.heads * blocks_per_head(c); }

inline int64_t workspace_bytes(const Call& c) {
  Carver carver(nullptr);
  Workspace measured(c, carver);
  return carver.used();
}

template <typename Product>
inline void run_tasks(const Call& c, int64_t begin, int64_t end, void* memory) {
  Carver carver(memory);
  Workspace space(c, carver);
  const int64_t blocks = blocks_per_head(c), strips = block_strips(c);
  for (int64_t task = begin; task < end && c.probe_count > 0; ++task) {
    const int64_t b = task / c.groups;
    run_group<Product>(c, b, task % c.groups, c.visual.on ? count_visual_keys(c, b) : VisualCount{}, space);
  }
  for (int64_t task = begin; task < end && c.probe_count == 0; ++task) {
    const int64_t b = task / blocks / c.heads, h = task / blocks % c.heads;
    int64_t firsts[kMaximumStrips], count = 0;
    for (int64_t first = task % blocks * strips * kStrip; count < strips && first < c.rows; first += kStrip) firsts[count++] = first;
    run_block<Product>(c, b, h, firsts, count, c.visual.on ? count_visual_keys(c, b) : VisualCount{}, space);
  }
}

inline void run(const Call& c, int64_t begin, int64_t end, void* memory) {
#ifdef __AVX512BF16__
  if (c.element == Element::kBFloat16) return run_tasks<PairProduct>(c, begin, end, memory);
#endif
  run_tasks<FloatProduct>(c, begin, end, memory);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
