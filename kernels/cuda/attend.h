// The attention kernel: one block computes kRows queries of one (b, h) over all keys, or over one part of them, with an online softmax.
// Q stays in shared memory; one tile of K and one of V follow each other there, so that V is fetched behind Q K^T and the next K behind softmax and P V (as
// FlashAttention-2 does on sm_80). P never leaves the registers. All logits are in log2 units.
#pragma once

#include "kernels/cuda/output.h"
#include "kernels/cuda/tiles.h"

namespace attelier::kernels::cuda {

/// Where the rows of a call lie: those of its tensors. Others (regions.h) compute another place for each query, key and output, and may make keys and values.
struct DensePlaces {
  static constexpr bool kDense = true, kSamples = false;
  template <int kKeys>
  using Table = KeyTable<kKeys>;

  template <typename T, int kKeys>
  ATTELIER_DEVICE static void fill_slot(const Arguments& a, int b, int h, int64_t column, int slot, KeyTable<kKeys>& table) {
    cuda::fill_slot<T>(a, b, h, column, slot, table);
  }
  template <typename T>
  ATTELIER_DEVICE static T* output(const Call& call, int b, int h, int row) {
    return static_cast<T*>(call.o) + b * call.o_batch + h * call.o_head + row * call.o_row;
  }
  /// Whether every row of outputs begins on a word of two elements and ends on one.
  ATTELIER_DEVICE static bool has_words(const Call& call) { return ((call.value_depth | call.o_row | call.o_head | call.o_batch) & 1) == 0; }
};

/// Bytes of shared memory that a block of the kernel needs.
template <typename T, int W, Bundle kBundle, typename Places = DensePlaces>
constexpr int64_t attend_shared_bytes() {
  using Shape = Tile<T, W, kBundle>;
  const int64_t tiles = static_cast<int64_t>(sizeof(T)) * (Shape::kRows * Shape::kStride + Shape::kKeys * (Shape::kStride + Shape::kValueStride));
  return tiles + (kBundle == Bundle::kPlain ? 0 : 2 * static_cast<int64_t>(sizeof(typename Places::template Table<Shape::kKeys>)));
}

/// Grid: x = blocks of queries * (b, h), y = segments * parts (1 when the keys are not split), z = chunks of the columns of V.
template <typename T, int W, Bundle kBundle, typename Places = DensePlaces>
class Attend {
  using Shape = Tile<T, W, kBundle>;
  using Table = typename Places::template Table<Shape::kKeys>;
  static constexpr bool kPlain = kBundle == Bundle::kPlain, kMix = kBundle == Bundle::kMix;
  static constexpr int kRowTiles = Shape::kRowTiles, kKeyColumns = Shape::kKeys / 8, kValueColumns = Shape::kValues / 8;

 public:
  /// `places` must outlive the object.
  ATTELIER_DEVICE explicit Attend(const Arguments& a, const Places& places = {})
      : a_(a), call_(a.call), places_(places), blocks_(static_cast<int>((a.call.rows + Shape::kRows - 1) / Shape::kRows)), b_(block_x() / blocks_ / static_cast<int>(a.call.heads)),
        h_(block_x() / blocks_ % static_cast<int>(a.call.heads)), first_(block_x() % blocks_ * Shape::kRows), first_value_(block_z() * Shape::kValues),
        q_(reinterpret_cast<T*>(shared_memory())), k_(q_ + Shape::kRows * Shape::kStride), v_(k_ + Shape::kKeys * Shape::kStride),
        tables_(reinterpret_cast<Table*>(v_ + Shape::kKeys * Shape::kValueStride)) {
    if constexpr (kPlain) scale_ = a.scale * kLog2E;
  }

  ATTELIER_DEVICE void run() {
    if constexpr (Places::kDense)
      load_queries<Shape::kRows, W, Shape::kThreads>(a_, b_, h_, first_, q_, Shape::kStride);
    else
      load_rows<Shape::kRows, W, Shape::kThreads>(q_, Shape::kStride, static_cast<int>(call_.depth), a_.aligned, call_.q.data, [&](int i) { return places_.template query<T>(call_, b_, h_, first_ + i); });
    const int last = (first_ + Shape::kRows < call_.rows ? first_ + Shape::kRows : static_cast<int>(call_.rows)) - 1;
    KeyTiles<Shape::kKeys, kBundle> tiles(a_, b_, last, a_.parts > 0 ? block_y() / a_.parts : 0, a_.parts > 0 ? block_y() % a_.parts : 0);
    if constexpr (kMix) start_statistics();
    KeyTile tile = tiles.next();
    int phase = 0, run_before = -1;
    if (tile.count > 0) {
      fill_table(tiles, tile, phase);
      if constexpr (!kPlain) barrier();
      load_keys(tile, phase);
    }
    while (tile.count > 0) {
      // K of this tile is there, and nobody reads V or the table of the tile before it any more.
      wait_copies();
      barrier();
      const bool only_sums = kMix && call_.visual.on && tile.run >= kSinkSums && tile.run < kSinks;
      if (!only_sums) load_values(tile, phase);
      const KeyTile next = tiles.next();
      if (next.count > 0) fill_table(tiles, next, phase ^ 1);
      if (is_active()) {
        multiply_queries(tile);
        apply_factors(tile, phase);
      }
      // V and the next table are there, and nobody reads K any more.
      wait_copies();
      barrier();
      if (next.count > 0) load_keys(next, phase ^ 1);
      if (is_active()) {
        if constexpr (kMix)
          if (call_.visual.on && tile.run >= kSinks && run_before < kSinks) decide();
        weigh(tile, phase);
        if (!only_sums) {
          if (kMix && call_.visual.on && tile.run == 1)
            multiply_values(tile, o_[Shape::kAccumulators - 1]);
          else
            multiply_values(tile, o_[0]);
        }
        if constexpr (kMix)
          if (call_.blend && (next.count == 0 || next.run != tile.run)) finish_source(tile.run);
      }
      run_before = tile.run;
      tile = next;
      phase ^= 1;
    }
    wait_copies();
    if (is_active()) finish();
  }

 private:
  /// Of one row of C in this lane; sums are over the lane's columns until the end.
  struct RowState {
    float highest = -kInfinity, sum = 0, gained = 0;
  };
  /// Redistribution: sums of the classes and their coefficients. Blend: highest and sum over the sources that are done.
  struct MixState {
    float visual = 0, sinks = 0, visual_sinks = 0, highest = -kInfinity, sum = 0;
    ClassGains gains;
  };

  /// False for warps whose queries all lie beyond the last.
  ATTELIER_DEVICE bool is_active() const { return row_of_tile(0, 0) - lane_index() / 4 < call_.rows; }
  ATTELIER_DEVICE int row_of_tile(int i, int half) const { return first_ + (warp_index() * kRowTiles + i) * 16 + 8 * half + lane_index() / 4; }
  ATTELIER_DEVICE int64_t flat_row(int64_t row) const { return (static_cast<int64_t>(b_) * call_.heads + h_) * call_.rows + row; }

  template <typename Tiles>
  ATTELIER_DEVICE void fill_table(const Tiles& tiles, const KeyTile& tile, int phase) {
    if constexpr (!kPlain) {
      const int slot = thread_index();
      if (slot >= Shape::kKeys) return;
      if (slot < tile.count)
        places_.template fill_slot<T>(a_, b_, h_, tiles.column(tile.run, tile.first + slot), slot, tables_[phase]);
      else
        tables_[phase].set_empty(slot);
    }
  }

  ATTELIER_DEVICE void load_keys(const KeyTile& tile, int phase) {
    if constexpr (Places::kSamples) {
      places_.template sample_keys<Shape::kKeys, W, Shape::kThreads>(a_, b_, h_, tables_[phase], k_, Shape::kStride);
      return;
    }
    load_rows<Shape::kKeys, W, Shape::kThreads>(k_, Shape::kStride, static_cast<int>(call_.depth), a_.aligned, call_.q.data, [&](int i) {
      if constexpr (kPlain) return i < tile.count ? row_of<T>(call_.sources[0].k, b_, h_ / call_.sources[0].group, tile.first + i) : static_cast<const T*>(nullptr);
      else return static_cast<const T*>(tables_[phase].k[i]);
    });
  }

  ATTELIER_DEVICE void load_values(const KeyTile& tile, int phase) {
    if constexpr (Places::kSamples) {
      places_.template sample_values<Shape::kKeys, Shape::kValues, Shape::kThreads>(a_, b_, h_, tables_[phase], v_, Shape::kValueStride);
      return;
    }
    load_rows<Shape::kKeys, Shape::kValues, Shape::kThreads>(v_, Shape::kValueStride, value_width(), a_.aligned, call_.q.data, [&](int i) {
      const T* row = nullptr;
      if constexpr (kPlain) {
        if (i < tile.count) row = row_of<T>(call_.sources[0].v, b_, h_ / call_.sources[0].group, tile.first + i);
      } else {
        row = static_cast<const T*>(tables_[phase].v[i]);
      }
      return row ? row + first_value_ : row;
    });
  }

  ATTELIER_DEVICE int value_width() const { return static_cast<int>(call_.value_depth) - first_value_; }

  /// s = Q K^T
  ATTELIER_DEVICE void multiply_queries(const KeyTile& tile) {
    ATTELIER_UNROLL
    for (int i = 0; i < kRowTiles; ++i)
      ATTELIER_UNROLL
      for (int n = 0; n < kKeyColumns; ++n)
        ATTELIER_UNROLL
        for (int e = 0; e < 4; ++e) s_[i][n][e] = 0;
    ATTELIER_UNROLL
    for (int step = 0; step < W / 16; ++step) {
      if (step * 16 >= call_.depth) break;
      Fragment<T> a[kRowTiles];
      ATTELIER_UNROLL
      for (int i = 0; i < kRowTiles; ++i) load_a(a[i], q_ + (warp_index() * kRowTiles + i) * 16 * Shape::kStride + step * 16, Shape::kStride);
      ATTELIER_UNROLL
      for (int n = 0; n < kKeyColumns; n += 2) {
        if (n * 8 >= tile.count) break;
        Fragment<T> b;
        load_b_by_column(b, k_ + n * 8 * Shape::kStride + step * 16, Shape::kStride);
        ATTELIER_UNROLL
        for (int i = 0; i < kRowTiles; ++i) multiply_pair(s_[i][n], s_[i][n + 1], a[i], b);
      }
    }
  }

  /// s -> z of every key that the row sees, -inf elsewhere. The plain kernel leaves the scale to weigh().
  ATTELIER_DEVICE void apply_factors(const KeyTile& tile, int phase) {
    const int t = lane_index() % 4;
    if constexpr (kPlain) {
      if (tile.count == Shape::kKeys) return;
      ATTELIER_UNROLL
      for (int n = 0; n < kKeyColumns; ++n)
        ATTELIER_UNROLL
        for (int e = 0; e < 4; ++e)
          if (n * 8 + 2 * t + e % 2 >= tile.count) {
            ATTELIER_UNROLL
            for (int i = 0; i < kRowTiles; ++i) s_[i][n][e] = -kInfinity;
          }
    } else {
      const Table& table = tables_[phase];
      const bool cuts = call_.causal && table.column[tile.count - 1] > first_ + call_.causal_offset;
      ATTELIER_UNROLL
      for (int n = 0; n < kKeyColumns; ++n)
        ATTELIER_UNROLL
        for (int e = 0; e < 4; ++e) {
          const int slot = n * 8 + 2 * t + e % 2;
          const float scale = table.scale[slot], bias = table.bias[slot];
          ATTELIER_UNROLL
          for (int i = 0; i < kRowTiles; ++i) {
            const int row = row_of_tile(i, e / 2);
            float z = bias == -kInfinity ? -kInfinity : multiply_add(s_[i][n][e], scale, bias);
            if (call_.pair_bias.data && row < call_.rows) z = with_pair_bias(call_, h_, row, table.column[slot], z);
            if (cuts && table.column[slot] > row + call_.causal_offset) z = -kInfinity;
            s_[i][n][e] = z;
          }
        }
    }
  }

  /// z -> the factors of V, after the sums and accumulators have been brought to the new maximum.
  ATTELIER_DEVICE void weigh(const KeyTile& tile, int phase) {
    ATTELIER_UNROLL
    for (int i = 0; i < kRowTiles; ++i)
      ATTELIER_UNROLL
      for (int half = 0; half < 2; ++half) {
        RowState& state = state_[i][half];
        float highest = -kInfinity;
        ATTELIER_UNROLL
        for (int n = 0; n < kKeyColumns; ++n) highest = larger(highest, larger(s_[i][n][2 * half], s_[i][n][2 * half + 1]));
        highest = larger(state.highest, quad_largest(highest));
        // While no key has been seen all exponents are -inf, whatever is subtracted.
        float base = highest == -kInfinity ? 0 : highest, before = state.highest;
        if constexpr (kPlain) {
          base *= scale_;
          before *= scale_;
        }
        const float decay = exp2_of(before - base);
        state.highest = highest;
        float sum = 0;
        ATTELIER_UNROLL
        for (int n = 0; n < kKeyColumns; ++n)
          ATTELIER_UNROLL
          for (int e = 2 * half; e < 2 * half + 2; ++e) {
            s_[i][n][e] = exp2_of(kPlain ? multiply_add(s_[i][n][e], scale_, -base) : s_[i][n][e] - base);
            sum += s_[i][n][e];
          }
        if constexpr (kMix) add_to_classes(tile, i, half, decay, sum);
        if (!(kMix && call_.visual.on && tile.run >= kSinks)) state.sum = state.sum * decay + sum;
        if constexpr (!kPlain)
          if (a_.gains) apply_gains(phase, i, half, decay);
        if constexpr (kMix)
          if (call_.visual.on && tile.run >= kSinks) {
            ATTELIER_UNROLL
            for (int n = 0; n < kKeyColumns; ++n)
              ATTELIER_UNROLL
              for (int e = 2 * half; e < 2 * half + 2; ++e) s_[i][n][e] *= mix_[i][half].gains.sinks;
          }
        ATTELIER_UNROLL
        for (int accumulator = 0; accumulator < Shape::kAccumulators; ++accumulator) {
          if (accumulator == 1 && call_.blend) break;  // holds finished sources
          ATTELIER_UNROLL
          for (int n = 0; n < kValueColumns; ++n)
            ATTELIER_UNROLL
            for (int e = 2 * half; e < 2 * half + 2; ++e) o_[accumulator][i][n][e] *= decay;
        }
      }
  }

  ATTELIER_DEVICE void apply_gains(int phase, int i, int half, float decay) {
    float gained = 0;
    ATTELIER_UNROLL
    for (int n = 0; n < kKeyColumns; ++n)
      ATTELIER_UNROLL
      for (int e = 0; e < 2; ++e) {
        float& p = s_[i][n][2 * half + e];
        p *= tables_[phase].gain[n * 8 + 2 * (lane_index() % 4) + e];
        gained += p;
      }
    state_[i][half].gained = state_[i][half].gained * decay + gained;
  }

  ATTELIER_DEVICE void add_to_classes(const KeyTile& tile, int i, int half, float decay, float sum) {
    if (!call_.visual.on) return;
    MixState& mix = mix_[i][half];
    mix.visual = mix.visual * decay + (tile.run == 1 ? sum : 0);
    mix.sinks = mix.sinks * decay + (tile.run == kSinkSums || tile.run == kSinkSums + 1 ? sum : 0);
    mix.visual_sinks = mix.visual_sinks * decay + (tile.run == 3 ? sum : 0);
  }

  /// o += P V
  ATTELIER_DEVICE void multiply_values(const KeyTile& tile, float (&o)[kRowTiles][kValueColumns][4]) {
    ATTELIER_UNROLL
    for (int step = 0; step < Shape::kKeys / 16; ++step) {
      if (step * 16 >= tile.count) break;
      Fragment<T> a[kRowTiles];
      ATTELIER_UNROLL
      for (int i = 0; i < kRowTiles; ++i) to_a(a[i], s_[i][2 * step], s_[i][2 * step + 1]);
      ATTELIER_UNROLL
      for (int n = 0; n < kValueColumns; n += 2) {
        if (n * 8 >= value_width()) break;
        Fragment<T> b;
        load_b_by_row(b, v_ + step * 16 * Shape::kValueStride + n * 8, Shape::kValueStride);
        ATTELIER_UNROLL
        for (int i = 0; i < kRowTiles; ++i) multiply_pair(o[i][n], o[i][n + 1], a[i], b);
      }
    }
  }

  /// All sums of the classes are known: their coefficients.
  ATTELIER_DEVICE void decide() {
    ATTELIER_UNROLL
    for (int i = 0; i < kRowTiles; ++i)
      ATTELIER_UNROLL
      for (int half = 0; half < 2; ++half) {
        MixState& mix = mix_[i][half];
        const float all = quad_sum(state_[i][half].sum), visual = quad_sum(mix.visual), sinks = quad_sum(mix.sinks), visual_sinks = quad_sum(mix.visual_sinks);
        mix.gains = redistribute(call_, a_.class_count + b_ * kClasses, h_, row_of_tile(i, half), all, visual, sinks, visual_sinks);
      }
  }

  ATTELIER_DEVICE bool writes_statistics() const { return a_.statistics != nullptr && first_value_ == 0 && lane_index() % 4 == 0; }

  /// Sources without a tile keep these.
  ATTELIER_DEVICE void start_statistics() {
    if (!writes_statistics()) return;
    ATTELIER_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = row_of_tile(0, half);
      if (row >= call_.rows) continue;
      for (int s = 0; s < kSources; ++s) write_statistics(row, s, -kInfinity, 0, s, 0);
    }
  }

  ATTELIER_DEVICE void write_statistics(int row, int source, float highest, float sum, int entry, float factor) {
    cuda::write_statistics(a_.statistics, flat_row(row), source, highest, sum, entry, factor);
  }

  /// Blend: the source is done; its output, divided and weighted, joins those before it.
  ATTELIER_DEVICE void finish_source(int source) {
    const cpu::Factors& weights = call_.sources[source].blend_weight;
    ATTELIER_UNROLL
    for (int i = 0; i < kRowTiles; ++i)
      ATTELIER_UNROLL
      for (int half = 0; half < 2; ++half) {
        RowState& state = state_[i][half];
        MixState& mix = mix_[i][half];
        const int row = row_of_tile(i, half);
        const float sum = quad_sum(state.sum), gained = quad_sum(state.gained);
        const float weight = row < call_.rows ? weights.data[b_ * weights.batch + h_ * weights.head + row * weights.item] : 0;
        const float factor = weight * inverse(renormalises() ? gained : sum);
        ATTELIER_UNROLL
        for (int n = 0; n < kValueColumns; ++n)
          ATTELIER_UNROLL
          for (int e = 2 * half; e < 2 * half + 2; ++e) {
            o_[Shape::kAccumulators - 1][i][n][e] += factor * o_[0][i][n][e];
            o_[0][i][n][e] = 0;
          }
        if (writes_statistics() && row < call_.rows) write_statistics(row, source, state.highest, sum, source, renormalises() ? sum * inverse(gained) : 1);
        if (state.highest != -kInfinity) {
          const float highest = larger(mix.highest, state.highest);
          mix.sum = mix.sum * exp2_of(mix.highest - highest) + sum * exp2_of(state.highest - highest);
          mix.highest = highest;
        }
        state = {};
      }
  }

  ATTELIER_DEVICE bool renormalises() const { return call_.renorm && a_.gains; }

  /// Everything is summed: O, L, statistics, or the state of a part.
  ATTELIER_DEVICE void finish() {
    ATTELIER_UNROLL
    for (int i = 0; i < kRowTiles; ++i)
      ATTELIER_UNROLL
      for (int half = 0; half < 2; ++half) {
        const RowState& state = state_[i][half];
        const float sum = quad_sum(state.sum), gained = kPlain ? 0 : quad_sum(state.gained);
        const float highest = kPlain ? state.highest * scale_ : state.highest;
        const int row = row_of_tile(i, half);
        if (row >= call_.rows) continue;
        if (a_.parts > 0) {
          write_part(i, half, row, highest, sum, gained);
          continue;
        }
        const float divisor = inverse(!kPlain && renormalises() ? gained : sum);
        float lse = highest == -kInfinity ? -kInfinity : highest + log2_of(sum);
        if constexpr (kMix) {
          const MixState& mix = mix_[i][half];
          if (call_.blend) lse = mix.highest == -kInfinity ? -kInfinity : mix.highest + log2_of(mix.sum);
          if (writes_statistics() && !call_.blend)
            for (int k = 0; k < kClasses; ++k) write_statistics(row, 0, highest, sum, k, k == 0 ? 1 : k == 1 ? mix.gains.visual : mix.gains.sinks);
          const float own = call_.blend ? 0 : divisor, other = call_.blend ? 1 : divisor * mix.gains.visual;
          if (call_.o) write_row(half, row, [&](int n, int e) { return own * o_[0][i][n][e] + other * o_[Shape::kAccumulators - 1][i][n][e]; });
        } else {
          if (writes_statistics()) write_statistics(row, 0, highest, sum, 0, renormalises() ? sum * inverse(gained) : 1);
          if (call_.o) write_row(half, row, [&](int n, int e) { return divisor * o_[0][i][n][e]; });
        }
        if (call_.lse && first_value_ == 0 && lane_index() % 4 == 0) call_.lse[flat_row(row)] = lse * kLn2;
      }
  }

  template <typename Value>
  ATTELIER_DEVICE void write_row(int half, int row, const Value& value) {
    T* out = places_.template output<T>(call_, b_, h_, row);
    if constexpr (!Places::kDense)
      if (out == nullptr) return;
    cuda::write_row<kValueColumns>(out + first_value_, value_width(), sizeof(T) == 2 && places_.has_words(call_), [&](int n, int e) { return value(n, 2 * half + e); });
  }

  ATTELIER_DEVICE void write_part(int i, int half, int row, float highest, float sum, float gained) {
    const int64_t at = block_y() * call_.batches * call_.heads * call_.rows + flat_row(row);
    if (first_value_ == 0 && lane_index() % 4 == 0) {
      float* const state = a_.partial_state + at * kPartState;
      state[0] = highest;
      state[1] = sum;
      state[2] = gained;
    }
    float* const out = a_.partial + at * call_.value_depth + first_value_;
    ATTELIER_UNROLL
    for (int n = 0; n < kValueColumns; ++n)
      ATTELIER_UNROLL
      for (int e = 0; e < 2; ++e) {
        const int column = n * 8 + 2 * (lane_index() % 4) + e;
        if (column < value_width()) out[column] = o_[0][i][n][2 * half + e];
      }
  }

  const Arguments& a_;
  const Call& call_;
  const Places& places_;
  const int blocks_, b_, h_, first_, first_value_;
  T* const q_;
  T* const k_;
  T* const v_;
  Table* const tables_;
  float scale_ = 1;
  float s_[kRowTiles][kKeyColumns][4];
  float o_[Shape::kAccumulators][kRowTiles][kValueColumns][4] = {};
  RowState state_[kRowTiles][2];
  MixState mix_[kMix ? kRowTiles : 1][kMix ? 2 : 1];
};

}  // namespace attelier::kernels::cuda
