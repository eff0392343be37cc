// Probes as cpu/call.h wants them, and their results.
#pragma once

#include <deque>

#include "kernels/attention.h"
#include "kernels/cpu/call.h"

namespace attelier::kernels::cpu {

/// One probe. The kernels see sorted lists without repetitions; results are put into the order that was asked for.
class ProbeBinding {
 public:
  /// Values lie on `device`, where the call's tensors are; lists stay in host memory.
  ProbeBinding(const Probe& probe, const Call& call, int64_t groups, at::Device device);
  ProbeBinding(const ProbeBinding&) = delete;

  /// kLse comes from the L of the call, not from the kernels' captures.
  bool is_lse() const { return probe_.kind == ProbeKind::kLse; }
  const ProbeView& view() const { return view_; }
  /// lse [B,H,Lq] as computed.
  ProbeResult result(const at::Tensor& lse) const;

 private:
  Probe probe_;
  ProbeView view_ = {};
  std::vector<int64_t> heads_, rows_, keys_;  // sorted, unique
  std::vector<int32_t> head_slot_, row_slot_;
  std::vector<float> head_weight_;
  at::Tensor row_weight_, value_, index_;
};

}  // namespace attelier::kernels::cpu
