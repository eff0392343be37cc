// Joins the parts of split keys: each part is an attention over its own keys with its own maximum, and parts never cross the border of a segment, so any
// coefficient of a source or class can still be applied here.
#pragma once

#include "kernels/cuda/redistribution.h"

namespace attelier::kernels::cuda {

inline constexpr int kCombineThreads = 128;
static_assert(kClasses * kMaximumParts <= kCombineThreads && kSources <= kClasses);

/// Shared memory: what each part counts for in O.
inline constexpr int64_t kCombineSharedBytes = kClasses * kMaximumParts * 4;

/// Grid: x = rows of [B,H,Lq].
template <typename T>
ATTELIER_DEVICE void combine(const Arguments& a) {
  const Call& call = a.call;
  float* const weight = reinterpret_cast<float*>(shared_memory());
  const int64_t flat = block_x(), rows = call.batches * call.heads * call.rows;
  const int b = static_cast<int>(flat / call.rows / call.heads), h = static_cast<int>(flat / call.rows % call.heads), row = static_cast<int>(flat % call.rows);
  const int segments = a.segments, parts = a.parts;
  const auto state = [&](int segment, int part) { return a.partial_state + ((static_cast<int64_t>(segment) * parts + part) * rows + flat) * kPartState; };

  // Per segment: the largest logit, and the sums relative to it.
  float top[kClasses], sum[kClasses], gained[kClasses], highest = -kInfinity;
  ATTELIER_UNROLL
  for (int s = 0; s < kClasses; ++s) {
    top[s] = -kInfinity;
    sum[s] = gained[s] = 0;
    if (s >= segments) continue;
    for (int p = 0; p < parts; ++p) top[s] = larger(top[s], state(s, p)[0]);
    highest = larger(highest, top[s]);
    for (int p = 0; p < parts && top[s] != -kInfinity; ++p) {
      const float share = exp2_of(state(s, p)[0] - top[s]);
      sum[s] += share * state(s, p)[1];
      gained[s] += share * state(s, p)[2];
    }
  }
  // All of them relative to the largest of all.
  float all = 0, mass[kClasses];
  ATTELIER_UNROLL
  for (int s = 0; s < kClasses; ++s) {
    mass[s] = top[s] == -kInfinity ? 0 : sum[s] * exp2_of(top[s] - highest);
    all += mass[s];
  }
  const float lse = highest == -kInfinity ? -kInfinity : highest + log2_of(all);
  ClassGains gains;
  if (call.visual.on) gains = redistribute(call, a.class_count + b * kClasses, h, row, all, mass[1], mass[2] + mass[3], mass[3]);

  ATTELIER_UNROLL
  for (int s = 0; s < kClasses; ++s) {
    if (s >= segments) continue;
    const bool renorm = call.renorm && a.gains;
    // Factor of P' over P times the gain, and of exponentials relative to `base` in O.
    float post = renorm ? sum[s] * inverse(gained[s]) : 1, base = top[s], factor = renorm ? inverse(gained[s]) : inverse(sum[s]);
    if (call.visual.on) {
      post = s == 0 ? 1 : s == 1 ? gains.visual : gains.sinks;
      base = highest;
      factor = post * inverse(all);
    }
    if (call.blend) {
      const cpu::Factors& weights = call.sources[s].blend_weight;
      factor *= weights.data[b * weights.batch + h * weights.head + row * weights.item];
    }
    for (int p = thread_index(); p < parts; p += kCombineThreads) {
      const float own = state(s, p)[0];
      weight[s * parts + p] = own == -kInfinity ? 0 : factor * exp2_of(own - base);
    }
    if (a.statistics && thread_index() == 0) {
      float* const statistics = a.statistics + flat * kStatistics;
      statistics[call.blend ? s : 0] = call.blend ? top[s] : highest;
      statistics[kInverseSums + (call.blend ? s : 0)] = inverse(call.blend ? sum[s] : all);
      statistics[kFactors + s] = post;
    }
  }
  if (call.lse && thread_index() == 0) call.lse[flat] = lse * kLn2;
  barrier();
  if (call.o == nullptr) return;
  T* const out = static_cast<T*>(call.o) + b * call.o_batch + h * call.o_head + row * call.o_row;
  for (int d = thread_index(); d < call.value_depth; d += kCombineThreads) {
    float o = 0;
    for (int i = 0; i < segments * parts; ++i)
      if (weight[i] != 0) o += weight[i] * a.partial[(i * rows + flat) * call.value_depth + d];
    round_to(out[d], o);
  }
}

}  // namespace attelier::kernels::cuda
