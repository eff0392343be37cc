// How a call falls into independent tasks, the scratch memory of a task, and its run.
#pragma once

#include "kernels/cpu/capture.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

/// Their queries, states and outputs should stay in the second-level cache.
inline constexpr int64_t kBlockBytes = 640 << 10;
/// The weights of captured strips are written once and read once: the part of a third-level cache that one thread may have.
inline constexpr int64_t kCaptureBytes = 4 << 20;

/// Floats of a strip: queries, three states, outputs.
ATTELIER_INLINE int64_t strip_floats(const Call& c) { return kStrip * (c.depth + 3 * kClasses + segment_count(c) * c.value_depth); }

ATTELIER_INLINE int64_t block_strips(const Call& c) {
  const int64_t fitting = larger(1, kBlockBytes / (4 * strip_floats(c)));
  return smaller(smaller(kMaximumStrips, fitting), parts(c.rows, kStrip));
}

/// Strips that are captured together.
ATTELIER_INLINE int64_t captured_strips(const Call& c) {
  const int64_t fitting = larger(1, kCaptureBytes / (4 * kStrip * maximum_slots(c)));
  return smaller(fitting, block_strips(c));
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
  // With probes:
  CapturedKeys captured_keys = {};
  Capture* captures = nullptr;     // [captured strips]
  float* topk_rows[kProbes] = {};  // [captured strips][kStrip][Lk] for each kTopk

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
    if (c.probe_count > 0) take_captures(c, carver);
  }

  void take_captures(const Call& c, Carver& carver) {
    const int64_t tiles = maximum_tiles(c), slots = maximum_slots(c), count = captured_strips(c);
    captured_keys.tiles = carver.take<CapturedTile>(tiles);
    captured_keys.gain = carver.take<float>(slots);
    captured_keys.column = carver.take<int32_t>(slots);
    captured_keys.key_class = carver.take<uint8_t>(slots);
    captured_keys.slot_of_column = carver.take<int32_t>(c.keys);
    captured_keys.tile_of_slot = carver.take<int32_t>(slots);
    captures = carver.take<Capture>(count);
    for (int64_t i = 0; i < count; ++i) {
      Capture capture = {};
      capture.weights = carver.take<float>(slots * kStrip);
      capture.highest = carver.take<float>(tiles * kStrip);
      capture.pre = carver.take<float>(tiles * kStrip);
      capture.post = carver.take<float>(tiles * kStrip);
      if (captures) captures[i] = capture;
    }
    for (int p = 0; p < c.probe_count; ++p)
      if (c.probes[p].reading == Reading::kTopk) topk_rows[p] = carver.take<float>(count * kStrip * c.keys);
  }
};

inline void set_range(const Call& c, Strip& strip, int64_t b, int64_t h, int64_t first) {
  strip.b = b;
  strip.h = h;
  strip.first = first;
  strip.rows = smaller(kStrip, c.rows - first);
  strip.vectors = static_cast<int>(parts(strip.rows, kLanes));
}

/// Sets which queries the strip holds, and asks for their rows, which lie apart.
inline void place(const Call& c, Strip& strip, int64_t b, int64_t h, int64_t first) {
  set_range(c, strip, b, h, first);
  const int64_t bytes = c.depth * element_size(c.element), output_bytes = c.value_depth * element_size(c.element);
  for (int64_t i = 0; i < strip.rows; ++i) {
    strip.query[i] = row_of(c.q, c.element, b, h, first + i);
    prefetch(strip.query[i], bytes);
    if (c.q2.data) prefetch(row_of(c.q2, c.element, b, h, first + i), bytes);
    if (c.o == nullptr) continue;
    strip.output[i] = static_cast<char*>(c.o) + (b * c.o_batch + h * c.o_head + (first + i) * c.o_row) * element_size(c.element);
    prefetch(strip.output[i], output_bytes);
  }
}

/// Places `count` strips and loads their queries.
template <typename Product>
inline void begin_strips(const Call& c, int64_t b, int64_t h, const int64_t* firsts, int64_t count, Strip* strips) {
  for (int64_t i = 0; i < count; ++i) place(c, strips[i], b, h, firsts[i]);
  for (int64_t i = 0; i < count; ++i) {
    load_queries<Product>(c, strips[i]);
    start(c, strips[i]);
  }
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
  begin_strips<Product>(c, b, h, firsts, count, space.strips);
  KeyScanner keys(c, b, h);
  attend<Product>(c, keys, count, space);
  for (int64_t i = 0; i < count; ++i) finish(c, space.strips[i], visual, *space.coefficients);
}

/// The same with the probes of those strips.
template <typename Product>
inline void run_captured(const Call& c, int64_t b, int64_t h, const int64_t* firsts, int64_t count, int64_t group, const VisualCount& visual, Workspace& space) {
  begin_strips<Product>(c, b, h, firsts, count, space.strips);
  clear(c, space.captured_keys);
  KeyScanner keys(c, b, h);
  while (keys.next(*space.tile)) {
    bool hidden = true;
    for (int64_t i = 0; i < count; ++i) hidden &= hides_all(c, *space.tile, space.strips[i]);
    if (hidden) continue;
    prepare<Product>(c, *space.tile, space.k_words, space.v_words);
    const int64_t t = space.captured_keys.tile_count;
    const CapturedTile& tile = add_tile(*space.tile, space.captured_keys);
    for (int64_t i = 0; i < count; ++i) {
      float *const weights = space.captures[i].weights + tile.begin * kStrip, *const highest = space.captures[i].highest + t * kStrip;
      if (hides_all(c, *space.tile, space.strips[i])) capture_nothing(tile, weights, highest);
      else step<Product>(c, *space.tile, space.strips[i], space.scratch, weights, highest);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    finish(c, space.strips[i], visual, *space.coefficients);
    set_factors(space.strips[i], *space.coefficients, space.captured_keys, space.captures[i]);
  }
  read_probes(c, space.strips, space.captured_keys, space.captures, count, group, space.topk_rows, captured_strips(c));
}

/// One group of queries of one batch row, over all heads: sums over heads and queries are made in one order, whatever the threads.
template <typename Product>
inline void run_group(const Call& c, int64_t b, int64_t group, const VisualCount& visual, Workspace& space) {
  const int64_t blocks = parts(c.rows, kBlockQueries), begin = blocks * group / c.groups * kMaximumStrips, block = block_strips(c);
  const int64_t end = smaller(blocks * (group + 1) / c.groups * kMaximumStrips, parts(c.rows, kStrip));
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
  // Heads inside, because some probes sum over them.
  const int64_t captured = captured_strips(c);
  for (int64_t first = begin; first < end; first += captured)
    for (int64_t h = 0; h < c.heads; ++h) {
      int64_t firsts[kMaximumStrips], count = 0;
      for (int64_t s = first; s < smaller(first + captured, end); ++s)
        if (is_captured(c, h, s * kStrip)) firsts[count++] = s * kStrip;
      if (count > 0) run_captured<Product>(c, b, h, firsts, count, group, visual, space);
    }
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
