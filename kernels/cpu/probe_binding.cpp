#include "kernels/cpu/probe_binding.h"

#include <algorithm>
#include <numeric>

namespace attelier::kernels::cpu {
namespace {

using List = std::optional<std::vector<int64_t>>;

std::vector<int64_t> sorted_unique(const List& list, int64_t size) {
  std::vector<int64_t> all;
  if (list) {
    all = *list;
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
  } else {
    all.resize(static_cast<size_t>(size));
    std::iota(all.begin(), all.end(), 0);
  }
  return all;
}

std::vector<int32_t> slots(const std::vector<int64_t>& chosen, int64_t size) {
  std::vector<int32_t> slot(static_cast<size_t>(size), -1);
  for (size_t i = 0; i < chosen.size(); ++i) slot[static_cast<size_t>(chosen[i])] = static_cast<int32_t>(i);
  return slot;
}

/// Entries along `dimension`, computed for `chosen`, in the order of `list`.
at::Tensor in_order(const at::Tensor& x, int64_t dimension, const List& list, const std::vector<int64_t>& chosen) {
  if (!list || *list == chosen || !x.defined()) return x;
  std::vector<int64_t> positions;
  for (const int64_t item : *list) positions.push_back(std::lower_bound(chosen.begin(), chosen.end(), item) - chosen.begin());
  return x.index_select(dimension, at::tensor(positions, at::kLong).to(x.device()));
}

bool sums_heads(const Probe& probe) { return probe.kind == ProbeKind::kHeadSum || probe.reduce_heads != ReduceHeads::kNone; }

Reading reading_of(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kClassMass: return Reading::kClassMass;
    case ProbeKind::kKeys: return Reading::kKeys;
    case ProbeKind::kTopk: return Reading::kTopk;
    case ProbeKind::kColSum: return Reading::kColSum;
    default: return Reading::kRows;
  }
}

}  // namespace

ProbeBinding::ProbeBinding(const Probe& probe, const Call& call, int64_t groups, at::Device device)
    : probe_(probe), heads_(sorted_unique(probe.heads, call.heads)), rows_(sorted_unique(probe.rows, call.rows)), keys_(sorted_unique(probe.keys, call.keys)) {
  if (is_lse()) return;
  head_slot_ = slots(heads_, call.heads);
  row_slot_ = slots(rows_, call.rows);
  // A head or row that is listed twice counts twice in a sum.
  head_weight_.assign(static_cast<size_t>(call.heads), 0);
  const std::vector<int64_t>& listed = probe.heads ? *probe.heads : heads_;
  const float share = probe.reduce_heads == ReduceHeads::kMean ? 1 / static_cast<float>(listed.size()) : 1;
  for (const int64_t h : listed) head_weight_[static_cast<size_t>(h)] += share;

  view_.reading = reading_of(probe.kind);
  view_.post = probe.when == ProbeWhen::kPost;
  view_.reduce = sums_heads(probe);
  view_.head_slot = head_slot_.data();
  view_.head_weight = head_weight_.data();
  view_.row_slot = row_slot_.data();
  view_.keys = keys_.data();
  view_.heads = view_.reduce ? 1 : static_cast<int64_t>(heads_.size());
  view_.rows = static_cast<int64_t>(rows_.size());
  view_.width = probe.kind == ProbeKind::kKeys ? static_cast<int64_t>(keys_.size()) : probe.kind == ProbeKind::kTopk ? probe.k : probe.kind == ProbeKind::kClassMass ? kClasses : call.keys;
  std::vector<int64_t> shape = {call.batches, view_.heads, view_.rows, view_.width};
  if (probe.kind == ProbeKind::kColSum) {
    shape = {call.batches, groups, view_.heads, view_.width};
    row_weight_ = at::ones({1, call.rows}, at::TensorOptions(at::kFloat).device(device));
    if (probe.rows) {
      at::Tensor times = at::zeros({1, call.rows}, at::kFloat);
      for (const int64_t r : *probe.rows) times.data_ptr<float>()[r] += 1;
      row_weight_ = times.to(device);
    }
    if (probe.row_weight.defined()) row_weight_ = row_weight_ * probe.row_weight.to(at::kFloat);
    row_weight_ = row_weight_.contiguous();
    view_.row_weight = {row_weight_.const_data_ptr<float>(), row_weight_.size(0) == 1 ? 0 : row_weight_.stride(0), 0, row_weight_.stride(1)};
  }
  value_ = at::zeros(shape, at::TensorOptions(at::kFloat).device(device));
  view_.value = value_.data_ptr<float>();
  if (probe.kind != ProbeKind::kTopk) return;
  index_ = at::zeros(shape, at::TensorOptions(at::kLong).device(device));
  view_.index = index_.data_ptr<int64_t>();
}

ProbeResult ProbeBinding::result(const at::Tensor& lse) const {
  if (is_lse()) {
    at::Tensor value = in_order(lse, 1, probe_.heads, sorted_unique({}, lse.size(1)));
    value = in_order(value, 2, probe_.rows, sorted_unique({}, lse.size(2)));
    if (sums_heads(probe_)) value = probe_.reduce_heads == ReduceHeads::kMean ? value.mean(1) : value.sum(1);
    return {value, {}};
  }
  at::Tensor value = value_, index = index_;
  if (probe_.kind == ProbeKind::kColSum) {
    value = value.size(1) == 1 ? value.squeeze(1) : value.sum(1);  // [B,heads,Lk]
  } else {
    value = in_order(value, 2, probe_.rows, rows_);
    index = in_order(index, 2, probe_.rows, rows_);
    if (probe_.kind == ProbeKind::kKeys) value = in_order(value, 3, probe_.keys, keys_);
  }
  if (sums_heads(probe_)) {
    value = value.squeeze(1);
    if (index.defined()) index = index.squeeze(1);
  } else {
    value = in_order(value, 1, probe_.heads, heads_);
    index = in_order(index, 1, probe_.heads, heads_);
  }
  return {value, index};
}

}  // namespace attelier::kernels::cpu
