#include "kernels/cpu/attention_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <new>

#include "kernels/cpu/binding.h"
#include "kernels/cpu/level.h"

namespace attelier::kernels::cpu {
namespace {

/// Products below this number of operations are not worth another thread: about 20 microseconds.
constexpr double kOperationsPerThread = 2e6;

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

/// Scratch memory on a cache line.
class Workspace {
 public:
  explicit Workspace(int64_t bytes) : memory_(::operator new(static_cast<size_t>(bytes), kAlignment)) {}
  ~Workspace() { ::operator delete(memory_, kAlignment); }
  Workspace(const Workspace&) = delete;
  void* memory() const { return memory_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  void* memory_;
};

void run(const Call& call) {
  const Kernels& kernels = kernels_of(current_level());
  const int64_t tasks = kernels.task_count(call), bytes = kernels.workspace_bytes(call);
  const double operations = 2.0 * static_cast<double>(call.batches * call.heads * call.rows) * static_cast<double>(call.keys * (call.depth + call.value_depth));
  const auto grain = static_cast<int64_t>(kOperationsPerThread * static_cast<double>(tasks) / std::max(operations, 1.0));
  at::parallel_for(0, tasks, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) {
    const Workspace workspace(bytes);
    kernels.run(call, begin, end, workspace.memory());
  });
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
