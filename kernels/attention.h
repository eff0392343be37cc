// The attention-control descriptor: one plain struct, every field optional and neutral by default.
//
// For one row r of one (b, h), in this order (this list is the specification; kernels/reference computes it literally in double):
//   1. q^ = gamma Q2 + (1 - gamma) Q, rounded once to T
//   2. s_j = q^ . k_j
//   3. z_j = temperature scale key_scale_j s_j + key_bias_j + log_weight(source of j) + pair_bias_rj; masked or absent keys are -inf
//   4. concat: P_j = exp(z_j - L), L = ln sum_j exp z_j over all sources; blend: the same per source. A row without a visible key gives O = 0, L = -inf
//   5. probes that ask for `pre`
//   6. P'_j = g_class(j)(M) key_gain_j P_j, with M_c the sum of P over class c
//   7. probes that ask for `post`
//   8. O = sum_j P'_j v_j (blend: sum_s w_s sum_j P'_j v_j), rounded once to T
// j counts the keys of all sources, for the causal rule, pair_bias and probes alike; L is the logarithm over all sources under blend too, and never
// contains gains.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace attelier::kernels {

inline constexpr size_t kMaximumSources = 4;
inline constexpr size_t kMaximumProbes = 4;
inline constexpr int64_t kMaximumClasses = 4;
inline constexpr int64_t kMaximumPairTokens = 256;

/// One set of keys and values. k [Bs, Hkv, Lk, D], v [Bs, Hkv, Lk, Dv] by strides; head h reads head h / (H / Hkv).
/// Undefined k and v mean the call's own.
struct Source {
  at::Tensor k, v;
  std::vector<int64_t> batch_map;  // batch row b reads row batch_map[b] of this source; -1 = absent for b; empty = identity
  double log_weight = 0;           // added to all its logits
  at::Tensor log_weight_rows;      // f32 [B|1, H|1], added as well
  at::Tensor key_bias;             // f32 [B|1, H|1, Lk]; -inf masks
  at::Tensor key_scale;            // f32 [B|1, H|1, Lk], multiplies scaled logits before the bias
  at::Tensor key_gain;             // f32 [B|1, H|1, Lk], P' = gain P
  at::Tensor key_class;            // u8 [B|1, Lk], at most four classes
};

/// q^ = gamma q2 + (1 - gamma) q; `rows` f32 [B|1, Lq] multiplies gamma.
struct QueryBlend {
  at::Tensor q2;  // [B, H, Lq, D]
  double gamma = 0;
  at::Tensor rows;
};

enum class Combine { kConcat, kBlend };

/// Key j is visible to row r iff j <= r + offset (bottom right: offset = Lk - Lq).
struct Causal {
  int64_t offset = 0;
};

/// Class coefficients g, [H|1] rows of four.
struct ClassTable {
  std::vector<std::array<double, 4>> gain;
};

/// Visual attention redistribution (VAR). Classes: 0 text, 1 visual, 2 text sink, 3 visual sink.
struct VisualRedistribution {
  double keep = 0.6;
  double rho_nonsink = 0.5;
  double min_vis_mass = 0.2;
  double eps = 1e-6;
  int64_t row_from = 0;
  std::vector<int64_t> heads = {};  // empty = all
};

enum class ProbeKind { kLse, kClassMass, kRows, kKeys, kTopk, kColSum, kHeadSum, kMap };
enum class ProbeWhen { kPre, kPost };
enum class ReduceHeads { kNone, kSum, kMean };

/// Something read out of the attention. Absent rows, keys or heads mean all; present but empty ones are refused.
struct Probe {
  ProbeKind kind = ProbeKind::kLse;
  ProbeWhen when = ProbeWhen::kPost;
  std::optional<std::vector<int64_t>> heads, rows, keys;
  ReduceHeads reduce_heads = ReduceHeads::kNone;
  at::Tensor row_weight;  // f32 [B|1, Lq], for kColSum
  int64_t k = 1;          // for kTopk, at most 8
};

/// The whole descriptor. A default-constructed control is neutral: it runs the plain path, bit for bit.
struct AttentionControl {
  std::optional<double> scale;            // default 1/sqrt(D)
  std::vector<double> temperature = {1};  // one, or one per head; > 0
  std::optional<QueryBlend> q_blend;
  std::vector<Source> sources;            // empty = one source, the call's own k and v
  Combine combine = Combine::kConcat;
  std::vector<double> blend_weight;         // one per source, or
  std::vector<at::Tensor> blend_weight_map; // f32 [B, H] or [B|1, Lq] per source
  bool renorm = false;                      // key_gain renormalised per row
  at::Tensor pair_bias;                     // [H|1, Lq, Lk], both at most kMaximumPairTokens
  std::optional<Causal> causal;
  std::optional<ClassTable> class_table;               // at most one of these two
  std::optional<VisualRedistribution> visual;
  std::vector<Probe> probes;
};

/// A probe's value (float32) and, for kTopk, the key indices (i64). Shapes, h = chosen heads (absent when reduced):
/// lse [B,h,rows]; class_mass [B,h,rows,4]; rows, map [B,h,rows,Lk]; keys [B,h,rows,keys]; topk [B,h,rows,k]; col_sum [B,h,Lk]; head_sum [B,rows,Lk].
struct ProbeResult {
  at::Tensor value, index;
};

struct AttentionResult {
  at::Tensor o;    // [B, H, Lq, Dv], q's dtype
  at::Tensor lse;  // f32 [B, H, Lq]; undefined where the path did not compute it
  std::vector<ProbeResult> probes;
};

/// Checks every field against the shapes of q [B,H,Lq,D], k [B,Hkv,Lk,D], v [B,Hkv,Lk,Dv]. Throws std::invalid_argument with one message per
/// forbidden combination, starting with the JSON pointer of the field.
void validate(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// The smallest equal control: neutral fields dropped, gain with renorm turned into a bias, zero-weight sources removed. Pure.
AttentionControl canonicalise(AttentionControl control);

/// True when a canonical control asks for nothing but plain attention with its scale.
bool is_plain(const AttentionControl& canonical);

/// softmax(scale q k^T + causal mask) v: q [B,H,Lq,D], k [B,Hkv,Lk,D], v [B,Hkv,Lk,Dv] -> [B,H,Lq,Dv]. On the CPU without gradients through
/// kernels/cpu, whose result lies in memory as [B,Lq,H,Dv]; otherwise through libtorch's fused SDPA, differentiable.
at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::optional<double> scale = std::nullopt, bool causal = false);

/// The whole descriptor: validates, canonicalises, and takes the fused kernels of kernels/cpu, where a neutral control is plain attention bit for bit.
/// For CUDA tensors, float64 and gradients: plain attention when the control is neutral, otherwise libtorch's operators on blocks of queries, never
/// holding the full matrix (controls that reduce to other q, k, v go through fused SDPA and are differentiable; wanting a gradient of others is
/// std::invalid_argument). Probes change no bit of o.
AttentionResult attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionControl& control = {});

}  // namespace attelier::kernels
