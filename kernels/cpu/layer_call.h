// Calls of the layer kernels in raw pointers. Plain data, see call.h.
#pragma once

#include "kernels/cpu/call.h"

namespace attelier::kernels::cpu {

/// x and y [batches][positions][channels]. The positions of a batch row are cut into chunks, the unit of work: sums of a chunk do not depend on who
/// computes them, so neither does the result.
struct GroupNormCall {
  const void* x;
  void* y;
  Element element;
  int64_t batches, positions, channels, groups;
  const float* weight;  // [channels]
  const float* bias;    // [channels]
  const float* shift;   // [batches][channels], or null: added to x first
  float epsilon;
  bool silu;
  float* sums;     // [batches][chunks][2][channels]: sums of x minus the pivot, and of its square
  float* factors;  // [batches][2][channels]: y = x * factor + offset
  int64_t chunk, chunks;  // positions of one chunk, chunks of one batch row
};

/// x [rows][2 width] -> y [rows][width].
struct GatedGeluCall {
  const void* x;
  void* y;
  Element element;
  int64_t width;
};

/// The steps of group normalisation, over ranges of batches * chunks (sums, apply) and of batches (factors); and GEGLU over ranges of rows.
struct LayerKernels {
  void (*group_norm_sums)(const GroupNormCall& call, int64_t begin, int64_t end);
  void (*group_norm_factors)(const GroupNormCall& call, int64_t begin, int64_t end);
  void (*group_norm_apply)(const GroupNormCall& call, int64_t begin, int64_t end);
  void (*gated_gelu)(const GatedGeluCall& call, int64_t begin, int64_t end);
};

}  // namespace attelier::kernels::cpu
