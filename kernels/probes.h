// Probes of the path in blocks of queries: each block of probabilities is read once, reduced, and dropped.
#pragma once

#include <vector>

#include "kernels/attention.h"

namespace attelier::kernels {

/// Rows of one batch row: the query index of each row of the block, and what was computed for them.
struct ProbeBlock {
  int64_t batch = 0;
  std::vector<int64_t> rows;
  at::Tensor p;            // [H,R,Lk] P or P'
  at::Tensor lse;          // [H,R]; defined where a probe of kind kLse exists
  at::Tensor class_share;  // [Lk,4], one where the key is of the class; defined where a probe of kind kClassMass exists
};

/// The shape of the probe's value, for `rows` queries and `keys` keys of all sources.
std::vector<int64_t> probe_shape(const Probe& probe, int64_t batches, int64_t heads, int64_t rows, int64_t keys);

class ProbeOutput {
 public:
  ProbeOutput(const Probe& probe, int64_t batches, int64_t heads, int64_t rows, int64_t keys, at::Device device);
  const Probe& probe() const { return probe_; }
  void add(const ProbeBlock& block);
  ProbeResult result() const { return result_; }

 private:
  at::Tensor reduced(const at::Tensor& part) const;

  Probe probe_;
  bool sums_heads_;
  ProbeResult result_;
};

}  // namespace attelier::kernels
