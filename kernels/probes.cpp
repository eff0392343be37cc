#include "kernels/probes.h"

#include <algorithm>

namespace attelier::kernels {
namespace {

int64_t chosen_count(const std::optional<std::vector<int64_t>>& list, int64_t all) { return list ? static_cast<int64_t>(list->size()) : all; }

bool sums_heads(const Probe& probe) { return probe.kind == ProbeKind::kHeadSum || probe.reduce_heads != ReduceHeads::kNone; }

bool is_range(const std::vector<int64_t>& list, int64_t begin) {
  for (size_t i = 0; i < list.size(); ++i)
    if (list[i] != begin + static_cast<int64_t>(i)) return false;
  return true;
}

at::Tensor indices(const std::vector<int64_t>& list, at::Device device) { return at::tensor(list, at::kLong).to(device); }

at::Tensor select(const at::Tensor& x, int64_t dimension, const std::vector<int64_t>& list) {
  if (!list.empty() && is_range(list, list[0])) return x.narrow(dimension, list[0], static_cast<int64_t>(list.size()));
  return x.index_select(dimension, indices(list, x.device()));
}

}  // namespace

std::vector<int64_t> probe_shape(const Probe& probe, int64_t batches, int64_t heads, int64_t rows, int64_t keys) {
  std::vector<int64_t> shape = {batches};
  if (!sums_heads(probe)) shape.push_back(chosen_count(probe.heads, heads));
  if (probe.kind != ProbeKind::kColSum) shape.push_back(chosen_count(probe.rows, rows));
  switch (probe.kind) {
    case ProbeKind::kLse: break;
    case ProbeKind::kClassMass: shape.push_back(kMaximumClasses); break;
    case ProbeKind::kKeys: shape.push_back(chosen_count(probe.keys, keys)); break;
    case ProbeKind::kTopk: shape.push_back(probe.k); break;
    default: shape.push_back(keys);
  }
  return shape;
}

ProbeOutput::ProbeOutput(const Probe& probe, int64_t batches, int64_t heads, int64_t rows, int64_t keys, at::Device device)
    : probe_(probe), sums_heads_(sums_heads(probe)) {
  const std::vector<int64_t> shape = probe_shape(probe, batches, heads, rows, keys);
  const at::TensorOptions options = at::TensorOptions().device(device);
  result_.value = at::zeros(shape, options.dtype(at::kFloat));
  if (probe.kind == ProbeKind::kTopk) result_.index = at::zeros(shape, options.dtype(at::kLong));
}

/// Over the heads, dimension 0.
at::Tensor ProbeOutput::reduced(const at::Tensor& part) const {
  if (!sums_heads_) return part;
  return probe_.reduce_heads == ReduceHeads::kMean ? part.mean(0) : part.sum(0);
}

void ProbeOutput::add(const ProbeBlock& block) {
  std::vector<int64_t> slots, local, absolute;  // the output row, the block's row and the query of every pair that meets
  if (probe_.rows) {
    for (size_t slot = 0; slot < probe_.rows->size(); ++slot) {
      const auto found = std::lower_bound(block.rows.begin(), block.rows.end(), (*probe_.rows)[slot]);
      if (found == block.rows.end() || *found != (*probe_.rows)[slot]) continue;
      slots.push_back(static_cast<int64_t>(slot));
      local.push_back(found - block.rows.begin());
      absolute.push_back(*found);
    }
    if (slots.empty()) return;
  } else {
    slots = absolute = block.rows;
    for (size_t i = 0; i < slots.size(); ++i) local.push_back(static_cast<int64_t>(i));
  }

  at::Tensor part = probe_.kind == ProbeKind::kLse ? block.lse : block.p;
  if (probe_.kind == ProbeKind::kKeys && probe_.keys) part = select(part, 2, *probe_.keys);
  if (probe_.heads) part = select(part, 0, *probe_.heads);
  part = select(part, 1, local);

  at::Tensor out = result_.value[block.batch];
  if (probe_.kind == ProbeKind::kColSum) {
    at::Tensor weight = at::ones({1, part.size(1)}, part.options());
    if (probe_.row_weight.defined()) {
      const at::Tensor all = probe_.row_weight[probe_.row_weight.size(0) == 1 ? 0 : block.batch].to(part.options());
      weight = select(all, 0, absolute).unsqueeze(0);
    }
    out.add_(reduced(at::matmul(weight, part).squeeze(1)));
    return;
  }
  if (probe_.kind == ProbeKind::kClassMass) part = at::matmul(part, block.class_share);
  part = reduced(part);
  at::Tensor index;
  if (probe_.kind == ProbeKind::kTopk) std::tie(part, index) = part.topk(probe_.k, -1);
  const int64_t row_dimension = sums_heads_ ? 0 : 1;
  const at::Tensor positions = indices(slots, part.device());
  out.index_copy_(row_dimension, positions, part.to(at::kFloat));
  if (index.defined()) {
    at::Tensor out_index = result_.index[block.batch];
    out_index.index_copy_(row_dimension, positions, index);
  }
}

}  // namespace attelier::kernels
