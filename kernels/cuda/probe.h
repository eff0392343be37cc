// Probes: P or P' is computed a second time, from Q K^T and the statistics that attention left, and read. Attention itself does not know of it, so probes
// never change a bit of the output; nothing of size Lq x Lk exists. Every value is summed by one block in one order: no atomics.
//
// One block owns a tile of P per step: kRows queries x kKeys keys, summed over the heads that the probe reduces. It stands in shared memory for the reader.
#pragma once

#include "kernels/cuda/fragments.h"
#include "kernels/cuda/tiles.h"

namespace attelier::kernels::cuda {

using cpu::ProbeView;
using cpu::Reading;

template <typename T>
struct ProbeTile {
  static constexpr int kWarps = sizeof(T) == 2 ? 4 : 2;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kRows = 16 * kWarps;
  static constexpr int kKeys = sizeof(T) == 2 ? 64 : 16;
  static constexpr int kMaximumTopk = 8;
  /// Columns of a row of P in shared memory; odd, so that a column meets every bank.
  static constexpr int kColumns = kKeys + 1;
};

/// Elements between rows of Q and K in shared memory; depth is padded to 16, and 16 bytes keep the rows of a matrix load in different banks.
template <typename T>
ATTELIER_ANYWHERE constexpr int64_t probe_stride(int64_t depth) { return (depth + 15) / 16 * 16 + 16 / static_cast<int64_t>(sizeof(T)); }

template <typename T>
constexpr int64_t probe_shared_bytes(int64_t depth) {
  using Shape = ProbeTile<T>;
  return (Shape::kRows + Shape::kKeys) * probe_stride<T>(depth) * static_cast<int64_t>(sizeof(T)) + static_cast<int64_t>(sizeof(KeyTable<Shape::kKeys>)) +
         (Shape::kRows * Shape::kColumns + 3) / 4 * 16;
}

/// The tiles of P that a block sees. Rows: x-th tile of queries; kColSum: the x-th group of them. Keys: y-th tile of keys; all for kTopk and kClassMass.
/// z: batch rows * heads of the value.
template <typename T>
class ProbeReader {
  using Shape = ProbeTile<T>;
  using Table = KeyTable<Shape::kKeys>;
  static constexpr int kKeyColumns = Shape::kKeys / 8;

 public:
  ATTELIER_DEVICE ProbeReader(const Arguments& a, const ProbeView& probe)
      : a_(a), call_(a.call), probe_(probe), b_(block_z() / static_cast<int>(probe.heads)), slot_(block_z() % static_cast<int>(probe.heads)),
        keys_(static_cast<int>(probe.reading == Reading::kKeys ? probe.width : a.call.keys)), stride_(static_cast<int>(probe_stride<T>(a.call.depth))),
        q_(reinterpret_cast<T*>(shared_memory())), k_(q_ + Shape::kRows * stride_), table_(reinterpret_cast<Table*>(k_ + Shape::kKeys * stride_)),
        p_(reinterpret_cast<float*>(table_ + 1)) {}

  ATTELIER_DEVICE void run() {
    const int row_tiles = (static_cast<int>(call_.rows) + Shape::kRows - 1) / Shape::kRows, key_tiles = (keys_ + Shape::kKeys - 1) / Shape::kKeys;
    const bool sums = probe_.reading == Reading::kColSum, walks = probe_.reading == Reading::kTopk || probe_.reading == Reading::kClassMass;
    const int groups = static_cast<int>(call_.groups);
    const int first_row = sums ? row_tiles * block_x() / groups : block_x(), last_row = sums ? row_tiles * (block_x() + 1) / groups : block_x() + 1;
    const int first_key = walks ? 0 : block_y(), last_key = walks ? key_tiles : block_y() + 1;
    float column_sum = 0;
    for (int tile = first_row; tile < last_row; ++tile) {
      if (!wants_rows(tile * Shape::kRows)) continue;
      start_row();
      for (int keys = first_key; keys < last_key; ++keys) {
        compute(tile * Shape::kRows, keys * Shape::kKeys);
        read(tile * Shape::kRows, keys * Shape::kKeys, column_sum);
      }
      if (walks) write_row(tile * Shape::kRows);
    }
    const int column = block_y() * Shape::kKeys + thread_index();
    if (sums && thread_index() < Shape::kKeys && column < keys_)
      probe_.value[((static_cast<int64_t>(b_) * call_.groups + block_x()) * probe_.heads + slot_) * probe_.width + column] = column_sum;
  }

 private:
  /// The place of query r among the rows of the value, -1 = not asked for.
  ATTELIER_DEVICE int row_slot(int64_t r) const { return r >= call_.rows ? -1 : probe_.row_slot ? probe_.row_slot[r] : static_cast<int>(r); }
  ATTELIER_DEVICE int head_slot(int h) const { return probe_.head_slot ? probe_.head_slot[h] : h; }

  ATTELIER_DEVICE bool wants_rows(int first) const {
    if (probe_.row_slot == nullptr) return true;
    for (int i = 0; i < Shape::kRows; ++i)
      if (row_slot(first + i) >= 0) return true;
    return false;
  }

  /// p_ [kRows][kColumns] = P of queries from `first` and keys from `key` on.
  ATTELIER_DEVICE void compute(int first, int key) {
    ATTELIER_UNROLL
    for (int n = 0; n < kKeyColumns; ++n)
      ATTELIER_UNROLL
      for (int e = 0; e < 4; ++e) sum_[n][e] = 0;
    for (int h = 0; h < call_.heads; ++h) {
      if (probe_.reduce ? head_slot(h) < 0 : head_slot(h) != slot_) continue;
      barrier();  // the tiles of the step before are not read any more
      for (int i = thread_index(); i < Shape::kKeys; i += Shape::kThreads) {
        if (key + i < keys_) fill_slot<T>(a_, b_, h, probe_.reading == Reading::kKeys ? probe_.keys[key + i] : key + i, i, *table_);
        else table_->set_empty(i);
      }
      barrier();
      // The widest head decides the bound; depth and stride are those of this call.
      load_queries_at(h, first);
      load_rows_at([&](int i) { return static_cast<const T*>(table_->k[i]); });
      wait_copies();
      barrier();
      add_head(h, first, probe_.reduce ? probe_.head_weight[h] : 1);
    }
    const int lane = lane_index();
    ATTELIER_UNROLL
    for (int n = 0; n < kKeyColumns; ++n)
      ATTELIER_UNROLL
      for (int e = 0; e < 4; ++e) p_[(warp_index() * 16 + lane / 4 + 8 * (e / 2)) * Shape::kColumns + n * 8 + 2 * (lane % 4) + e % 2] = sum_[n][e];
    barrier();
  }

  ATTELIER_DEVICE int padded_depth() const { return stride_ - 16 / static_cast<int>(sizeof(T)); }

  ATTELIER_DEVICE void load_queries_at(int h, int first) {
    const int width = padded_depth();
    for (int i = thread_index(); i < Shape::kRows * width; i += Shape::kThreads) {
      const int row = i / width, d = i % width;
      const bool there = first + row < call_.rows && d < call_.depth;
      q_[row * stride_ + d] = !there ? T{} : call_.q2.data ? blended_query<T>(call_, b_, h, first + row, d) : row_of<T>(call_.q, b_, h, first + row)[d];
    }
  }

  template <typename RowOf>
  ATTELIER_DEVICE void load_rows_at(const RowOf& row_of) {
    constexpr int kPiece = 16 / static_cast<int>(sizeof(T));
    const int pieces = padded_depth() / kPiece;
    for (int i = thread_index(); i < Shape::kKeys * pieces; i += Shape::kThreads)
      load_piece(k_ + i / pieces * stride_ + i % pieces * kPiece, row_of(i / pieces), i % pieces * kPiece, static_cast<int>(call_.depth), a_.aligned, call_.q.data);
  }

  ATTELIER_DEVICE void add_head(int h, int first, float weight) {
    const int lane = lane_index();
    float s[kKeyColumns][4] = {};
    for (int step = 0; step * 16 < call_.depth; ++step) {
      Fragment<T> a;
      load_a(a, q_ + warp_index() * 16 * stride_ + step * 16, stride_);
      ATTELIER_UNROLL
      for (int n = 0; n < kKeyColumns; n += 2) {
        Fragment<T> b;
        load_b_by_column(b, k_ + n * 8 * stride_ + step * 16, stride_);
        multiply_pair(s[n], s[n + 1], a, b);
      }
    }
    ATTELIER_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = first + warp_index() * 16 + lane / 4 + 8 * half;
      if (row >= call_.rows) continue;
      const float* const statistics = a_.statistics + ((static_cast<int64_t>(b_) * call_.heads + h) * call_.rows + row) * kStatistics;
      ATTELIER_UNROLL
      for (int n = 0; n < kKeyColumns; ++n)
        ATTELIER_UNROLL
        for (int e = 0; e < 2; ++e) {
          const int at = n * 8 + 2 * (lane % 4) + e, column = table_->column[at], source = call_.blend ? table_->source[at] : 0;
          const float highest = statistics[source], x = s[n][2 * half + e];
          float z = table_->bias[at] == -kInfinity ? -kInfinity : multiply_add(x, table_->scale[at], table_->bias[at]);
          if (call_.pair_bias.data) z = with_pair_bias(call_, h, row, column, z);
          if (z == -kInfinity || highest == -kInfinity || (call_.causal && column > row + call_.causal_offset)) continue;
          // With the roundings of the attention kernel, or large logits would not meet their highest.
          float p = exp2_of(a_.plain ? multiply_add(x, table_->scale[at], -highest) : z - highest) * statistics[kInverseSums + source];
          if (probe_.post) p *= table_->gain[at] * statistics[kFactors + (call_.blend ? source : call_.visual.on ? table_->key_class[at] : 0)];
          sum_[n][2 * half + e] += weight * p;
        }
    }
  }

  /// p_ goes where the probe wants it. Walking probes keep one row per thread.
  ATTELIER_DEVICE void read(int first, int key, float& column_sum) {
    const int thread = thread_index(), count = keys_ - key < Shape::kKeys ? keys_ - key : Shape::kKeys;
    switch (probe_.reading) {
      case Reading::kRows:
      case Reading::kKeys:
        for (int i = thread; i < Shape::kRows * Shape::kKeys; i += Shape::kThreads) {
          const int row = i / Shape::kKeys, column = i % Shape::kKeys, slot = row_slot(first + row);
          if (slot >= 0 && column < count) probe_.value[((static_cast<int64_t>(b_) * probe_.heads + slot_) * probe_.rows + slot) * probe_.width + key + column] = p_[row * Shape::kColumns + column];
        }
        break;
      case Reading::kColSum:
        for (int row = 0; thread < count && row < Shape::kRows; ++row) {
          const int64_t r = first + row;
          if (row_slot(r) >= 0) column_sum += probe_.row_weight.data[b_ * probe_.row_weight.batch + r * probe_.row_weight.item] * p_[row * Shape::kColumns + thread];
        }
        break;
      case Reading::kClassMass:
        for (int column = 0; thread < Shape::kRows && column < count; ++column)
          ATTELIER_UNROLL
          for (int k = 0; k < kClasses; ++k) best_[k] += table_->key_class[column] == k ? p_[thread * Shape::kColumns + column] : 0;
        break;
      case Reading::kTopk:
        for (int column = 0; thread < Shape::kRows && column < count; ++column) insert(p_[thread * Shape::kColumns + column], key + column);
        break;
    }
  }

  ATTELIER_DEVICE void start_row() {
    ATTELIER_UNROLL
    for (int i = 0; i < Shape::kMaximumTopk; ++i) {
      best_[i] = probe_.reading == Reading::kTopk ? -kInfinity : 0;
      best_column_[i] = 0;
    }
  }

  /// Keeps best_ sorted; the earlier column wins a tie.
  ATTELIER_DEVICE void insert(float p, int column) {
    ATTELIER_UNROLL
    for (int i = 0; i < Shape::kMaximumTopk; ++i) {
      if (!(p > best_[i])) continue;
      const float pushed = best_[i];
      const int pushed_column = best_column_[i];
      best_[i] = p;
      best_column_[i] = column;
      p = pushed;
      column = pushed_column;
    }
  }

  ATTELIER_DEVICE void write_row(int first) {
    const int slot = thread_index() < Shape::kRows ? row_slot(first + thread_index()) : -1;
    if (slot < 0) return;
    const int64_t at = ((static_cast<int64_t>(b_) * probe_.heads + slot_) * probe_.rows + slot) * probe_.width;
    ATTELIER_UNROLL
    for (int i = 0; i < Shape::kMaximumTopk; ++i) {
      if (i >= probe_.width) break;
      probe_.value[at + i] = best_[i];
      if (probe_.reading == Reading::kTopk) probe_.index[at + i] = best_column_[i];
    }
  }

  const Arguments& a_;
  const Call& call_;
  const ProbeView& probe_;
  const int b_, slot_, keys_, stride_;
  T* const q_;
  T* const k_;
  Table* const table_;
  float* const p_;
  float sum_[kKeyColumns][4];
  float best_[Shape::kMaximumTopk];
  int best_column_[Shape::kMaximumTopk];
};

}  // namespace attelier::kernels::cuda
