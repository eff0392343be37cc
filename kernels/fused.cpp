#include "kernels/fused.h"

#include <algorithm>
#include <limits>

namespace attelier::kernels {
namespace {

/// One softmax: q [B,H,Lq,D], k [B,Hkv,Lk,D], v [B,Hkv,Lk,Dv], bias broadcasting to [B,H,Lq,Lk] or undefined.
struct Problem {
  at::Tensor q, k, v, bias;
  double scale = 1;
  bool causal = false;
};

bool is_half_precision(at::ScalarType type) { return type == at::kBFloat16 || type == at::kHalf; }

at::Tensor with_unit_stride(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

at::Tensor padded_to(const at::Tensor& x, int64_t width) { return x.size(3) == width ? with_unit_stride(x) : at::constant_pad_nd(x, {0, width - x.size(3)}); }

FusedResult compute(const Problem& p) {
  // The fused operators want one width; a pad of zeros changes neither scores nor the kept part of the values.
  const int64_t width = std::max(p.q.size(3), p.v.size(3));
  const at::Tensor q = padded_to(p.q, width), k = padded_to(p.k, width), v = padded_to(p.v, width);
  const std::optional<at::Tensor> mask = p.bias.defined() ? std::optional(p.bias) : std::nullopt;
  FusedResult result;
  if (q.is_cpu())
    std::tie(result.o, result.lse) = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, p.causal, mask, p.scale);
  else
    result.o = at::scaled_dot_product_attention(q, k, v, mask, 0.0, p.causal, p.scale, k.size(1) != q.size(1));
  if (p.bias.defined()) {
    const at::Tensor dead = p.bias.amax(-1) == -std::numeric_limits<double>::infinity();  // [B|1,H|1,Lq|1]
    if (result.lse.defined()) result.lse = result.lse.masked_fill(dead, -std::numeric_limits<double>::infinity());
    if (!q.is_cpu()) result.o = result.o.masked_fill(dead.unsqueeze(-1), 0);
  }
  // In half precision the operator sums rounded probabilities: good enough for o, not for L.
  if (is_half_precision(q.scalar_type())) result.lse = at::Tensor();
  if (width != p.v.size(3)) result.o = result.o.slice(3, 0, p.v.size(3));
  return result;
}

/// f32 [B|1,H|1,1,Lk] over all given sources, or undefined.
at::Tensor joined_bias(const std::vector<const ResolvedSource*>& sources) {
  int64_t batches = 1, heads = 1;
  at::TensorOptions options;
  bool any = false;
  for (const ResolvedSource* source : sources)
    if (source->bias.defined()) {
      batches = std::max(batches, source->bias.size(0));
      heads = std::max(heads, source->bias.size(1));
      options = source->bias.options();
      any = true;
    }
  if (!any) return {};
  std::vector<at::Tensor> parts;
  for (const ResolvedSource* source : sources)
    parts.push_back((source->bias.defined() ? source->bias : at::zeros({1, 1, 1}, options)).expand({batches, heads, source->length}));
  return at::cat(parts, 2).unsqueeze(2);
}

/// K/V heads repeated to `heads`, for factors that differ between the query heads of one K/V head, or sources with different head counts.
at::Tensor per_query_head(const at::Tensor& x, int64_t heads) { return x.size(1) == heads ? x : x.repeat_interleave(heads / x.size(1), 1); }

Problem problem_of(const ResolvedCall& call, const std::vector<const ResolvedSource*>& sources, const at::Tensor& pair_bias, at::ScalarType type) {
  Problem p;
  p.q = call.q.to(type);
  p.scale = call.scales[0];
  if (call.scales.size() > 1) {
    p.scale = 1;
    p.q = p.q * at::tensor(call.scales, p.q.options()).view({1, -1, 1, 1});
  }
  std::vector<at::Tensor> keys, values;
  for (const ResolvedSource* source : sources) {
    const auto factor = [&](const at::Tensor& x, const at::Tensor& f) {
      return f.defined() ? per_query_head(x.to(type), f.size(1) == 1 ? x.size(1) : call.heads()) * f.unsqueeze(3) : x.to(type);
    };
    keys.push_back(factor(source->k, source->scale));
    values.push_back(factor(source->v, source->gain));
  }
  const auto fits = [&](const at::Tensor& x) { return x.size(1) == keys[0].size(1); };
  if (!std::all_of(keys.begin(), keys.end(), fits) || !std::all_of(values.begin(), values.end(), fits)) {
    for (at::Tensor& x : keys) x = per_query_head(x, call.heads());
    for (at::Tensor& x : values) x = per_query_head(x, call.heads());
  }
  p.k = keys.size() == 1 ? keys[0] : at::cat(keys, 2);
  p.v = values.size() == 1 ? values[0] : at::cat(values, 2);
  p.bias = joined_bias(sources);
  if (pair_bias.defined()) {
    const at::Tensor pairs = pair_bias.to(type == at::kDouble ? at::kDouble : at::kFloat).narrow(2, sources[0]->begin, p.k.size(2)).unsqueeze(0);
    p.bias = p.bias.defined() ? p.bias + pairs : pairs;
  }
  return p;
}

}  // namespace

bool is_fusable(const AttentionControl& c, const ResolvedCall& call) {
  if (!c.probes.empty() || c.class_table || c.visual || c.renorm) return false;
  const bool has_bias = c.pair_bias.defined() || std::any_of(call.sources.begin(), call.sources.end(), [](const ResolvedSource& s) { return s.bias.defined(); });
  // The operators know the causal rule with offset 0 and without a mask; on the GPU they take masks in the dtype of q, which rounds the bias.
  if (call.causal_offset && (*call.causal_offset != 0 || has_bias || c.combine == Combine::kBlend)) return false;
  return !has_bias || call.q.is_cpu() || !is_half_precision(call.q.scalar_type());
}

FusedResult fused_attention(const AttentionControl& c, const ResolvedCall& call) {
  const auto scaled = [](const ResolvedSource& s) { return s.scale.defined() || s.gain.defined(); };
  const bool blend = c.combine == Combine::kBlend;
  // Scaled tensors and blended outputs may be rounded only once, at the end.
  const bool wide = is_half_precision(call.q.scalar_type()) && (blend || call.scales.size() > 1 || std::any_of(call.sources.begin(), call.sources.end(), scaled));
  const at::ScalarType type = wide ? at::kFloat : call.q.scalar_type();
  if (!blend) {
    std::vector<const ResolvedSource*> all;
    for (const ResolvedSource& source : call.sources) all.push_back(&source);
    Problem problem = problem_of(call, all, c.pair_bias, type);
    problem.causal = call.causal_offset.has_value();
    FusedResult result = compute(problem);
    return {result.o.to(call.q.scalar_type()), result.lse};
  }
  at::Tensor o;
  for (const ResolvedSource& source : call.sources) {
    const at::Tensor part = compute(problem_of(call, {&source}, c.pair_bias, type)).o * source.blend_weight.unsqueeze(3);
    o = o.defined() ? o + part : part;
  }
  return {o.to(call.q.scalar_type()), {}};
}

}  // namespace attelier::kernels
