// Keeps what attention was computed from, so that any map of it can be computed later: queries and keys instead of weights, which are Lq / D times as many.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/attention/program.h"

namespace attelier {

/// One call of one site, of one batch row, on the CPU in the run's dtype.
struct CapturedAttention {
  AttentionSite site;
  int64_t step = 0;
  double timestep = 0;
  int64_t grid_height = 0, grid_width = 0;  // token grid of the queries, 0 where tokens are not pixels
  at::Tensor q, k;                          // [1, H, Lq, D], [1, H, Lk, D]
  kernels::AttentionControl control;        // what the method asked for there, without probes; values of other sources are their keys

  int64_t bytes() const;
};

/// Of the self- and cross-attention of the UNet, one picture's rows with the prompt. Stays within its budget by keeping every second, fourth, ... step.
class AttentionRecorder : public AttentionProgram {
 public:
  explicit AttentionRecorder(int64_t maximum_bytes = int64_t{1} << 30, int64_t image = 0) : maximum_bytes_(maximum_bytes), image_(image) {}

  /// What a pipeline runs in place of its own program (may be null): the same, recorded. The recorder stays valid for further passes; the last one counts.
  AttentionProgram* over(std::shared_ptr<AttentionProgram> own);

  std::optional<kernels::AttentionControl> control(const AttentionCall& call) override;
  void observe(const AttentionCall& call, const kernels::AttentionResult& result) override;

  /// All that is kept so far, in order. From any thread, also while the run goes on.
  std::vector<CapturedAttention> captures() const;
  int64_t bytes() const;
  /// Every how many steps one is kept.
  int64_t stride() const;
  /// One step alone was more than the budget: sites are missing.
  bool is_incomplete() const;

 private:
  void keep(CapturedAttention capture);

  const int64_t maximum_bytes_, image_;
  std::shared_ptr<AttentionProgram> own_;
  bool own_answered_ = false;
  mutable std::mutex mutex_;  // of everything below
  std::vector<CapturedAttention> captures_;
  int64_t bytes_ = 0, stride_ = 1;
  bool incomplete_ = false;
};

}  // namespace attelier
