// What a kernel of this folder gets: the call of kernels/cpu/call.h with pointers that are valid on the device, the workspace, and the tile of each kernel.
// No header of CUDA or libtorch.
#pragma once

#include "kernels/cpu/call.h"

namespace attelier::kernels::cuda {

using cpu::Call;
using cpu::kClasses;
using cpu::kSources;

/// What the inner loop has to do; a canonical control takes the smallest that covers it.
///   plain  one source, one positive scale
///   score  everything before the softmax, several sources, the causal rule, gains, class tables
///   mix    blend and visual redistribution in one pass, with a second accumulator
/// Probes need no bundle of their own: all write the statistics that probes start from when asked, so that watching changes no bit of the output.
enum class Bundle { kPlain, kScore, kMix };
inline constexpr int kBundles = 3;

/// Head widths that kernels are compiled for. Both D and Dv fit; their pads exist in shared memory and registers only.
inline constexpr int kWidths[] = {32, 48, 64, 80, 96, 128, 160, 256};
inline constexpr int kFloatWidths[] = {64, 256};
inline constexpr int kMaximumWidth = 256;

/// Floats of a row's statistics: for each source (entry 0 for all of them, unless blended) the highest logit, in log2 units, and 1 / the sum of exponentials
/// relative to it; then the factor that turns gain * P into P' for each source (blend) or class. Highest and sum stay apart, since a large logit leaves
/// their sum no digits.
inline constexpr int kInverseSums = cpu::kSources, kFactors = 2 * cpu::kSources, kStatistics = kFactors + cpu::kClasses;
/// Floats of a row's state in one part of the keys: highest logit (log2), sum, sum with gains.
inline constexpr int kPartState = 3;
/// At most this many parts of the keys in a segment.
inline constexpr int kMaximumParts = 32;

struct Arguments {
  Call call;
  float scale;   // of all heads, where call.scale_stride is 0; call.scales is null then
  bool aligned;  // every row of Q, K and V begins on 16 bytes
  bool plain;    // the plain kernel computes it
  bool gains;    // some key has a gain or a class coefficient
  int segments;  // segment_count(call)
  int parts;     // each segment's keys are computed in so many blocks and combined later; 0 = one block computes all keys
  float* partial;        // [segments * parts, B*H*Lq, Dv], not yet divided by the sum
  float* partial_state;  // [segments * parts, B*H*Lq, kPartState]
  float* statistics;     // [B*H*Lq, kStatistics]; null = not wanted
  const int32_t* order;        // [B, keys]: columns sorted by class, ascending within each; visual redistribution only
  const int32_t* class_count;  // [B, kClasses]: keys of each class in the sources that the batch row has
};

/// Sets of keys with a softmax state of their own: sources under blend, classes under visual redistribution.
constexpr int segment_count(const Call& call) { return call.visual.on ? kClasses : call.blend ? call.source_count : 1; }

/// The tile of the attention kernel for element type T, width W and a bundle.
template <typename T, int W, Bundle kBundle>
struct Tile {
  static constexpr bool kNarrow = sizeof(T) == 2;
  static constexpr bool kMix = kBundle == Bundle::kMix;
  static constexpr int kWarps = kNarrow ? 4 : 2;
  static constexpr int kThreads = 32 * kWarps;
  /// 16-row products per warp: two share each operand of K and V where the accumulators and the factors of keys leave room.
  static constexpr int kRowTiles = kNarrow && W <= 64 && kBundle == Bundle::kPlain ? 2 : 1;
  static constexpr int kRows = 16 * kRowTiles * kWarps;
  static constexpr int kKeys = !kNarrow ? 16 : W > 160 || (kMix && W > 96) ? 32 : 64;
  static constexpr int kAccumulators = kMix ? 2 : 1;
  /// Columns of V per block: two accumulators of the widest heads do not fit the registers, so there a block computes half of them.
  static constexpr int kValues = kMix && W > 160 ? W / 2 : W;
  static constexpr int kValueChunks = W / kValues;
  /// Blocks that a multiprocessor should hold at once: bounds the registers of a thread to 65536 / (kThreads * kBlocks).
  static constexpr int kBlocks = kNarrow ? 2 : 1;
  /// Elements between rows in shared memory: 16 bytes more than the row, so that the eight rows of a matrix load fall into different banks.
  static constexpr int kStride = W + 16 / static_cast<int>(sizeof(T));
  static constexpr int kValueStride = kValues + 16 / static_cast<int>(sizeof(T));
};

}  // namespace attelier::kernels::cuda
