// Small kernels around attention: keys sorted by class, and small arrays brought to the device.
#pragma once

#include "kernels/cuda/keys.h"

namespace attelier::kernels::cuda {

inline constexpr int kOrderThreads = 256;
inline constexpr int64_t kOrderSharedBytes = kOrderThreads * kClasses * 4;

/// Grid: x = batch rows. order [B, keys] and class_count [B, kClasses] of arguments.h; a stable counting sort, each thread with consecutive columns.
ATTELIER_DEVICE void order_keys(const Arguments& a, int32_t* order, int32_t* class_count) {
  const Call& call = a.call;
  const int b = block_x(), thread = thread_index();
  int32_t(*const counts)[kClasses] = reinterpret_cast<int32_t(*)[kClasses]>(shared_memory());
  const int64_t share = (call.keys + kOrderThreads - 1) / kOrderThreads, begin = thread * share, end = begin + share < call.keys ? begin + share : call.keys;
  const auto visit = [&](const auto& action) {
    for (int64_t column = begin; column < end; ++column) {
      int s = 0;
      while (s + 1 < call.source_count && column >= call.sources[s + 1].begin) ++s;
      const cpu::SourceView& source = call.sources[s];
      if (source_row(call, s, b) < 0) continue;
      action(column, source.key_class ? source.key_class[b * source.class_batch + (column - source.begin) * source.class_key] : 0);
    }
  };
  for (int k = 0; k < kClasses; ++k) counts[thread][k] = 0;
  visit([&](int64_t, int k) { ++counts[thread][k]; });
  barrier();
  if (thread == 0) {
    int32_t place = 0;
    for (int k = 0; k < kClasses; ++k) {
      const int32_t first = place;
      for (int t = 0; t < kOrderThreads; ++t) {
        const int32_t own = counts[t][k];
        counts[t][k] = place;
        place += own;
      }
      class_count[b * kClasses + k] = place - first;
    }
  }
  barrier();
  visit([&](int64_t column, int k) { order[b * call.keys + counts[thread][k]++] = static_cast<int32_t>(column); });
}

/// Bytes that travel as a kernel parameter. Launching it is all that bringing small host arrays to the device takes: no copy from memory that must stay
/// alive, so a CUDA graph can replay it.
struct Parcel {
  static constexpr int kBytes = 3840;
  char* target;
  int count;
  char bytes[kBytes];
};

inline constexpr int kDeliverThreads = 128;

ATTELIER_DEVICE void deliver(const Parcel& parcel) {
  for (int i = thread_index(); i < parcel.count; i += kDeliverThreads) parcel.target[i] = parcel.bytes[i];
}

}  // namespace attelier::kernels::cuda
