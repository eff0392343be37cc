// One call of the CPU kernels in raw pointers and strides: what the launcher hands to the code that is compiled once per instruction set.
// Plain data without functions, so that no inline function of it is compiled for two instruction sets.
#pragma once

#include <cstdint>

namespace attelier::kernels::cpu {

inline constexpr int kSources = 4;
inline constexpr int kProbes = 4;
inline constexpr int kClasses = 4;
/// Queries that pass over the keys together, so that a tile of keys is fetched, and converted, once for all of them.
inline constexpr int64_t kBlockQueries = 192;

enum class Element : uint8_t { kFloat32, kBFloat16, kFloat16 };

/// Rows of a [B,H,L,D] tensor: strides in elements, those of the last dimension are 1.
struct Rows {
  const void* data;
  int64_t batch, head, row;
};

/// float32 factors [B|1,H|1,N|1] by strides (0 where broadcast). data null = absent.
struct Factors {
  const float* data;
  int64_t batch, head, item;
};

struct SourceView {
  Rows k, v;
  int64_t length;
  int64_t group;             // query heads per K/V head
  const int64_t* batch_map;  // [B], -1 = absent; null = identity (a broadcast source has batch stride 0)
  int64_t begin;             // its first column among the keys of all sources
  float log_weight;
  Factors log_weight_rows;  // item stride 0
  Factors bias, scale, gain;
  const uint8_t* key_class;  // null = all 0
  int64_t class_batch, class_key;
  Factors blend_weight;  // items are queries
};

/// Visual attention redistribution, kernels/attention.h.
struct RedistributionView {
  bool on;
  float keep, rho_nonsink, min_vis_mass, eps;
  int64_t row_from;
  const uint8_t* heads;  // [H], 1 = on
};

enum class Reading : uint8_t { kClassMass, kRows, kKeys, kTopk, kColSum };

/// One probe over sorted lists of heads, rows and keys without repetitions. Slots are positions in those lists, -1 = not asked for.
struct ProbeView {
  Reading reading;
  bool post;                 // P' instead of P
  bool reduce;               // heads are summed with head_weight
  const int32_t* head_slot;  // [H]
  const float* head_weight;  // [H]
  const int32_t* row_slot;   // [Lq]
  const int64_t* keys;       // kKeys: columns
  Factors row_weight;        // kColSum: batch and item (query) strides
  int64_t heads, rows, width;  // sizes of the output: heads is 1 when reduced; width = keys, k, classes or columns
  float* value;              // [B,heads,rows,width]; kColSum: [B,groups,heads,width], partial sums of groups of queries
  int64_t* index;            // kTopk
};

struct Call {
  Element element;
  int64_t batches, heads, rows, keys;  // B, H, Lq, Lk over all sources
  int64_t depth, value_depth;          // D, Dv
  Rows q, q2;                          // q2.data null = no blend
  float gamma;
  Factors gamma_rows;  // batch and item (query) strides
  const float* scales;  // [H|1], temperature * scale
  int64_t scale_stride;
  int source_count;
  SourceView sources[kSources];
  bool blend;   // one softmax per source
  bool renorm;  // gains divided by the new row sum
  bool causal;
  int64_t causal_offset;
  Factors pair_bias;  // batch stride = per query row, head = per head, item = per column
  const float* class_gain;  // [H|1][4] of a class table; null = none
  int64_t class_gain_stride;
  RedistributionView visual;
  int probe_count;
  ProbeView probes[kProbes];
  int64_t groups;  // with probes: into how many parts the queries of a batch row are split, at multiples of kBlockQueries
  void* o;         // [B,H,Lq,Dv] by strides, the element of q
  int64_t o_batch, o_head, o_row;
  float* lse;  // [B,H,Lq] contiguous; null = not wanted
};

/// The kernels of one instruction set.
struct Kernels {
  /// Independent tasks that a call falls into; their number does not depend on threads.
  int64_t (*task_count)(const Call&);
  /// Scratch memory of one thread.
  int64_t (*workspace_bytes)(const Call&);
  /// Runs tasks [begin, end). `workspace` is aligned to 64 bytes.
  void (*run)(const Call&, int64_t begin, int64_t end, void* workspace);
  /// Multiplies and adds in registers as often as one thread can, for measuring what is attainable; returns the operations done (two a multiply-add).
  double (*spin)(Element, int64_t passes);
};

}  // namespace attelier::kernels::cpu
