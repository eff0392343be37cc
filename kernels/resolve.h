// A canonical control applied to the tensors of one call: what the paths on libtorch's operators start from.
#pragma once

#include <vector>

#include "kernels/attention.h"

namespace attelier::kernels {

struct ResolvedSource {
  at::Tensor k, v;       // [B,Hkv,Lk,D], [B,Hkv,Lk,Dv]: rows gathered by the batch map, zeros where absent
  at::Tensor bias;       // f32 [B|1,H|1,Lk|1]: key bias and log weights, -inf where the source is absent; or undefined
  at::Tensor scale;      // f32 [B|1,H|1,Lk] or undefined
  at::Tensor gain;       // f32 [B|1,H|1,Lk|1] or undefined
  at::Tensor key_class;  // u8 [B|1,Lk] or undefined (all 0)
  std::vector<bool> absent;  // per batch row; empty = present everywhere
  int64_t begin = 0, length = 0;  // columns among the keys of all sources
  at::Tensor blend_weight;        // f32, broadcasts to [B,H,Lq]; undefined under concat
};

struct ResolvedCall {
  at::Tensor q;                // q^, in the call's dtype
  std::vector<double> scales;  // temperature * scale, one or one per head
  std::vector<ResolvedSource> sources;
  std::optional<int64_t> causal_offset;  // absent where the rule hides nothing
  int64_t keys = 0, value_depth = 0;     // Lk over all sources, Dv

  int64_t batches() const { return q.size(0); }
  int64_t heads() const { return q.size(1); }
  int64_t rows() const { return q.size(2); }
};

/// `canonical` must have passed validate() for these tensors.
ResolvedCall resolve(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace attelier::kernels
