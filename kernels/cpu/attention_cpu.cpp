#include "kernels/cpu/attention_cpu.h"

#include <ATen/core/grad_mode.h>

#include "kernels/cpu/binding.h"
#include "kernels/cpu/level.h"
#include "kernels/parallel.h"

namespace attelier::kernels::cpu {
namespace {

bool wants_gradient(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!at::GradMode::is_enabled()) return false;
  const auto wanted = [](const at::Tensor& x) { return x.defined() && x.requires_grad(); };
  if (wanted(q) || wanted(k) || wanted(v) || wanted(control.pair_bias)) return true;
  if (control.q_blend && (wanted(control.q_blend->q2) || wanted(control.q_blend->rows))) return true;
  return std::any_of(control.blend_weight_map.begin(), control.blend_weight_map.end(), wanted) ||
         std::any_of(control.sources.begin(), control.sources.end(), [&](const Source& s) {
           return wanted(s.k) || wanted(s.v) || wanted(s.log_weight_rows) || wanted(s.key_bias) || wanted(s.key_scale) || wanted(s.key_gain);
         });
}

void run(const Call& call) {
  const Kernels& kernels = kernels_of(current_level());
  const double operations = 2.0 * static_cast<double>(call.batches * call.heads * call.rows) * static_cast<double>(call.keys * (call.depth + call.value_depth));
  run_in_parallel(kernels.task_count(call), kernels.workspace_bytes(call), operations, [&](int64_t begin, int64_t end, void* scratch) { kernels.run(call, begin, end, scratch); });
}

}  // namespace

bool takes(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const at::ScalarType type = q.scalar_type();
  const bool fits = type == at::kFloat || type == at::kBFloat16 || type == at::kHalf;
  return fits && q.is_cpu() && k.is_cpu() && v.is_cpu() && k.scalar_type() == type && v.scalar_type() == type && !wants_gradient(control, q, k, v);
}

AttentionResult attention(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, Wanted wanted) {
  Binding binding(canonical, q, k, v);
  const auto has_lse = [](const Probe& probe) { return probe.kind == ProbeKind::kLse; };
  wanted.lse |= std::any_of(canonical.probes.begin(), canonical.probes.end(), has_lse);
  AttentionResult result;
  if (wanted.o) result.o = at::empty({q.size(0), q.size(2), q.size(1), v.size(3)}, q.options()).transpose(1, 2);
  if (wanted.lse) result.lse = at::empty({q.size(0), q.size(1), q.size(2)}, q.options().dtype(at::kFloat));
  binding.set_outputs(result.o, result.lse);
  binding.set_probes(canonical.probes);
  run(binding.call());
  for (const auto& probe : binding.probes()) result.probes.push_back(probe.result(result.lse));
  return result;
}

}  // namespace attelier::kernels::cpu
