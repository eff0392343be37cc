// A canonical control and its tensors as the pointers and strides of cpu/call.h.
#pragma once

#include <deque>

#include "kernels/attention.h"
#include "kernels/cpu/probe_binding.h"

namespace attelier::kernels::cpu {

/// Keeps alive what its call points to. q, k and v need no copy as long as their last dimension is dense.
class Binding {
 public:
  Binding(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
  Binding(const Binding&) = delete;

  /// o [B,H,Lq,Dv] with a dense last dimension, lse float32 [B,H,Lq] contiguous; undefined where not wanted.
  void set_outputs(const at::Tensor& o, const at::Tensor& lse);
  void set_probes(const std::vector<Probe>& probes);
  const std::deque<ProbeBinding>& probes() const { return probes_; }
  const Call& call() const { return call_; }

 private:
  Rows rows(const at::Tensor& tensor);
  /// Strides of [first|1, second|1, third|1], or of two or three of them: `dimensions` names which stride of Factors each dimension is.
  Factors factors(const at::Tensor& tensor, std::initializer_list<int64_t Factors::*> dimensions);
  void bind_source(const AttentionControl& control, size_t s, const at::Tensor& k, const at::Tensor& v);
  void bind_redistribution(const AttentionControl& control);

  Call call_ = {};
  std::vector<at::Tensor> tensors_;
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<int64_t>> integers_;
  std::deque<std::vector<uint8_t>> flags_;
  std::deque<ProbeBinding> probes_;
};

}  // namespace attelier::kernels::cpu
