#include "kernels/attention.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <stdexcept>

#include "kernels/blocks.h"
#include "kernels/cpu/attention_cpu.h"
#include "kernels/cuda/attention_cuda.h"
#include "kernels/fused.h"

namespace attelier::kernels {

at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::optional<double> scale, bool causal) {
  AttentionControl plain;
  if (cpu::takes(plain, q, k, v)) {
    plain.scale = scale;
    if (causal) plain.causal = Causal{};
    return cpu::attention(plain, q, k, v, {}).o;
  }
  const bool grouped = k.size(1) != q.size(1);
  if (q.is_cpu() && q.scalar_type() == at::kBFloat16 && at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad())) {
    // Training: libtorch's bfloat16 kernels call one library product a tile, forwards and backwards; float32 is 1.5 to 10 times as fast at such widths.
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    return plain_attention(q.to(at::kFloat), k.to(at::kFloat), v.to(at::kFloat), scale, causal).to(q.scalar_type());
  }
  if (q.size(3) == v.size(3)) return at::scaled_dot_product_attention(q, k, v, {}, 0.0, causal, scale, grouped);
  // The fused operators want one width and fall back to the full matrix otherwise. A pad of zeros changes neither scores nor the kept values.
  const int64_t width = std::max(q.size(3), v.size(3));
  const auto padded = [width](const at::Tensor& x) { return x.size(3) == width ? x : at::constant_pad_nd(x, {0, width - x.size(3)}); };
  const double true_scale = scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3))));
  return at::scaled_dot_product_attention(padded(q), padded(k), padded(v), {}, 0.0, causal, true_scale, grouped).slice(3, 0, v.size(3));
}

namespace {

/// Whether two canonical forms of one control, without and with its probes, lead to the same computation of o.
bool computes_the_same(const AttentionControl& bare, const AttentionControl& whole) {
  return bare.renorm == whole.renorm && bare.combine == whole.combine && std::max<size_t>(1, bare.sources.size()) == std::max<size_t>(1, whole.sources.size());
}

/// The fused CPU kernels: o, L and the probes in one pass; in two where the smallest control that gives o does not give the probes.
AttentionResult attention_on_cpu(const AttentionControl& control, const AttentionControl& bare, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  AttentionResult result;
  if (control.probes.empty()) {
    result = cpu::attention(bare, q, k, v, {.lse = !is_plain(bare)});
  } else if (const AttentionControl whole = canonicalise(control); computes_the_same(bare, whole)) {
    result = cpu::attention(whole, q, k, v, {.lse = true});
  } else {
    result = cpu::attention(bare, q, k, v, {});
    result.probes = cpu::attention(whole, q, k, v, {.o = false}).probes;
  }
  // Gains that became a bias changed L, and under blend removed sources are missing from it.
  if (control.renorm || control.combine == Combine::kBlend) result.lse = at::Tensor();
  return result;
}

/// The CUDA kernels for what libtorch's attention does not compute. Nothing but plain attention stays with libtorch, and is watched from a pass of its own.
AttentionResult attention_on_cuda(const AttentionControl& control, const AttentionControl& bare, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  AttentionResult result;
  const AttentionControl whole = canonicalise(control);
  if (!is_plain(bare) && computes_the_same(bare, whole)) {
    result = cuda::attention(whole, q, k, v, {.lse = true});
  } else {
    if (is_plain(bare)) result.o = plain_attention(q, k, v, bare.scale);
    else result = cuda::attention(bare, q, k, v, {.lse = true});
    if (!control.probes.empty()) result.probes = cuda::attention(whole, q, k, v, {.o = false}).probes;
  }
  // Gains that became a bias changed L, and under blend removed sources are missing from it.
  if (control.renorm || control.combine == Combine::kBlend) result.lse = at::Tensor();
  return result;
}

}  // namespace

AttentionResult attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionControl& control) {
  validate(control, q, k, v);
  AttentionControl bare = control;
  bare.probes.clear();
  bare = canonicalise(std::move(bare));
  AttentionResult result;
  if (cpu::takes(bare, q, k, v)) return attention_on_cpu(control, bare, q, k, v);
  if (cuda::takes(bare, q, k, v)) return attention_on_cuda(control, bare, q, k, v);
  if (is_plain(bare)) {
    result.o = plain_attention(q, k, v, bare.scale);
  } else if (const ResolvedCall call = resolve(bare, q, k, v); is_fusable(bare, call)) {
    FusedResult fused = fused_attention(bare, call);
    result.o = fused.o;
    // Gains that became a bias changed L, and under blend removed sources are missing from it.
    if (!control.renorm && control.combine == Combine::kConcat) result.lse = fused.lse;
  } else if (at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad())) {
    throw std::invalid_argument("/: this control has no gradient; run it without gradients (c10::InferenceMode), or without redistribute and causal biases");
  }
  const bool with_output = !result.o.defined();
  if (!with_output && control.probes.empty()) return result;
  // Probes never change the output: it comes from the same operators with and without them wherever those can compute it.
  const at::NoGradGuard no_gradients;
  const AttentionControl whole = control.probes.empty() ? bare : canonicalise(control);
  const ResolvedCall call = resolve(whole, q, k, v);
  std::vector<ProbeOutput> probes;
  for (const Probe& probe : control.probes) probes.emplace_back(probe, call.batches(), call.heads(), call.rows(), call.keys, q.device());
  const at::Tensor o = blocked_attention(whole, call, with_output, probes);
  if (with_output) result.o = o;
  for (const ProbeOutput& probe : probes) result.probes.push_back(probe.result());
  return result;
}

}  // namespace attelier::kernels
