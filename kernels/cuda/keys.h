// The keys of one (b, h) in tiles: which come when, where their rows lie, and the factors of their logits.
#pragma once

#include "kernels/cuda/arguments.h"
#include "kernels/cuda/machine.h"

namespace attelier::kernels::cuda {

inline constexpr float kInfinity = __builtin_inff();
inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

template <typename T>
ATTELIER_DEVICE const T* row_of(const cpu::Rows& rows, int64_t b, int64_t h, int64_t r) {
  return static_cast<const T*>(rows.data) + b * rows.batch + h * rows.head + r * rows.row;
}

/// The batch row of source s that b reads, -1 = none.
ATTELIER_DEVICE int64_t source_row(const Call& call, int s, int b) { return call.sources[s].batch_map ? call.sources[s].batch_map[b] : b; }

/// Consecutive keys of one run; a run is a source, or the keys of one class in the order list (visual redistribution).
struct KeyTile {
  int run = 0;
  int first = 0, count = 0;  // positions in the run; count 0 = no more tiles
};

/// A block that computes visual redistribution in one pass sees the runs of classes 0 to 3, and then those of the sinks (classes 2 and 3) again: the first
/// time for their sums alone, the second time for the output, when the sums have decided their coefficient.
inline constexpr int kSinkSums = 2, kSinks = 4, kVisualRuns = 6;

template <int kKeys, Bundle kBundle>
class KeyTiles {
 public:
  /// Tiles that some query up to `last_row` sees. `part` of a.parts of segment `segment` where the keys are split.
  ATTELIER_DEVICE KeyTiles(const Arguments& a, int b, int last_row, int segment, int part) : a_(a), b_(b), last_row_(last_row), part_(part) {
    const bool one_run = a.parts > 0 && (blends() || by_class());
    run_ = one_run ? segment : 0;
    end_ = one_run ? segment + 1 : by_class() ? (a.parts > 0 ? kClasses : kVisualRuns) : kBundle == Bundle::kPlain ? 1 : a.call.source_count;
    enter();
  }

  ATTELIER_DEVICE KeyTile next() {
    for (; run_ < end_; ++run_, enter()) {
      if (position_ >= stop_) continue;
      // Columns ascend within a run.
      if (kBundle != Bundle::kPlain && a_.call.causal && column(run_, position_) > last_row_ + a_.call.causal_offset) continue;
      const KeyTile tile{run_, position_, stop_ - position_ < kKeys ? stop_ - position_ : kKeys};
      position_ += kKeys;
      return tile;
    }
    return {};
  }

  ATTELIER_DEVICE int64_t column(int run, int position) const {
    return by_class() ? a_.order[b_ * a_.call.keys + class_begin(run) + position] : a_.call.sources[run].begin + position;
  }

 private:
  ATTELIER_DEVICE bool by_class() const { return kBundle != Bundle::kPlain && a_.call.visual.on; }
  ATTELIER_DEVICE bool blends() const { return kBundle != Bundle::kPlain && a_.call.blend; }
  ATTELIER_DEVICE static int class_of(int run) { return run < kSinks ? run : run - kSinks + kSinkSums; }

  ATTELIER_DEVICE int class_begin(int run) const {
    int begin = 0;
    for (int k = 0; k < class_of(run); ++k) begin += a_.class_count[b_ * kClasses + k];
    return begin;
  }

  ATTELIER_DEVICE int length(int run) const {
    if (kBundle == Bundle::kPlain) return static_cast<int>(a_.call.keys);
    if (!by_class()) return source_row(a_.call, run, b_) < 0 ? 0 : static_cast<int>(a_.call.sources[run].length);
    return a_.class_count[b_ * kClasses + class_of(run)];
  }

  ATTELIER_DEVICE void enter() {
    position_ = stop_ = 0;
    if (run_ >= end_) return;
    const int keys = length(run_);
    stop_ = keys;
    if (a_.parts == 0) return;
    const int tiles = (keys + kKeys - 1) / kKeys;
    position_ = tiles * part_ / a_.parts * kKeys;
    stop_ = tiles * (part_ + 1) / a_.parts * kKeys;
    if (stop_ > keys) stop_ = keys;
  }

  const Arguments& a_;
  const int b_, last_row_, part_;
  int run_ = 0, end_ = 0, position_ = 0, stop_ = 0;
};

/// The factors of a tile's keys, in shared memory: z log2(e) = scale s + bias. Keys that are not there, or that a bias of -inf hides, have null rows.
template <int kKeys>
struct KeyTable {
  const void* k[kKeys];
  const void* v[kKeys];
  float scale[kKeys], bias[kKeys], gain[kKeys];
  int32_t column[kKeys];
  int32_t key_class[kKeys], source[kKeys];

  ATTELIER_DEVICE void set_empty(int slot) {
    k[slot] = v[slot] = nullptr;
    scale[slot] = gain[slot] = 0;
    bias[slot] = -kInfinity;
    column[slot] = key_class[slot] = source[slot] = 0;
  }
};

/// Column `column` of all keys, in head h of batch row b, at `slot`.
template <typename T, int kKeys>
ATTELIER_DEVICE void fill_slot(const Arguments& a, int b, int h, int64_t column, int slot, KeyTable<kKeys>& table) {
  const Call& call = a.call;
  int s = 0;
  while (s + 1 < call.source_count && column >= call.sources[s + 1].begin) ++s;
  const cpu::SourceView& source = call.sources[s];
  const int64_t row = source_row(call, s, b), head = h / source.group, j = column - source.begin;
  table.set_empty(slot);
  table.column[slot] = static_cast<int32_t>(column);
  table.source[slot] = s;
  const int key_class = source.key_class ? source.key_class[b * source.class_batch + j * source.class_key] : 0;
  table.key_class[slot] = key_class;
  if (row < 0) return;
  float added = source.log_weight;
  if (source.log_weight_rows.data) added += source.log_weight_rows.data[b * source.log_weight_rows.batch + h * source.log_weight_rows.head];
  const auto factor = [&](const cpu::Factors& f, float absent) { return f.data ? f.data[b * f.batch + h * f.head + j * f.item] : absent; };
  const float bias = (factor(source.bias, 0) + added) * kLog2E;
  if (bias == -kInfinity) return;
  table.k[slot] = row_of<T>(source.k, row, head, j);
  table.v[slot] = row_of<T>(source.v, row, head, j);
  table.scale[slot] = (call.scale_stride ? call.scales[h] : a.scale) * kLog2E * factor(source.scale, 1);
  table.bias[slot] = bias;
  table.gain[slot] = factor(source.gain, 1) * (call.class_gain ? call.class_gain[h * call.class_gain_stride + key_class] : 1);
}

/// pair_bias of query r and a column, in log2 units.
ATTELIER_DEVICE float with_pair_bias(const Call& call, int h, int64_t r, int64_t column, float z) {
  const cpu::Factors& pairs = call.pair_bias;
  const float bias = pairs.data[h * pairs.head + r * pairs.batch + column * pairs.item];
  return bias == -kInfinity ? -kInfinity : multiply_add(bias, kLog2E, z);
}

}  // namespace attelier::kernels::cuda
