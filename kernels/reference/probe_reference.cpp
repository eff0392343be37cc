#include "kernels/reference/probe_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attelier::kernels::reference {
namespace {

std::vector<int64_t> chosen(const std::optional<std::vector<int64_t>>& list, int64_t size) {
  if (list) return *list;
  std::vector<int64_t> all(static_cast<size_t>(size));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

ProbeReading::ProbeReading(const Probe& probe, int64_t batches, int64_t heads, int64_t rows, int64_t keys)
    : probe_(probe), heads_(chosen(probe.heads, heads)), rows_(chosen(probe.rows, rows)), keys_(chosen(probe.keys, keys)) {
  const auto h = static_cast<int64_t>(heads_.size()), r = static_cast<int64_t>(rows_.size());
  // With a head dimension of 1 while reduced, which result() drops.
  const int64_t slots = probe.kind == ProbeKind::kHeadSum || probe.reduce_heads != ReduceHeads::kNone ? 1 : h;
  std::vector<int64_t> shape = {batches, slots, r};
  switch (probe.kind) {
    case ProbeKind::kLse: break;
    case ProbeKind::kClassMass: shape.push_back(kMaximumClasses); break;
    case ProbeKind::kKeys: shape.push_back(static_cast<int64_t>(keys_.size())); break;
    case ProbeKind::kTopk: shape.push_back(probe.k); break;
    case ProbeKind::kColSum: shape = {batches, slots, keys}; break;
    case ProbeKind::kRows:
    case ProbeKind::kMap:
    case ProbeKind::kHeadSum: shape.push_back(keys); break;
  }
  result_.value = at::zeros(shape, at::kDouble);
  if (probe.kind == ProbeKind::kTopk) result_.index = at::zeros(shape, at::kLong);
  if (slots == 1 && (probe.kind == ProbeKind::kHeadSum || probe.reduce_heads != ReduceHeads::kNone)) {
    result_.value = result_.value.squeeze(1);
    if (result_.index.defined()) result_.index = result_.index.squeeze(1);
  }
}

void ProbeReading::add(int64_t b, int64_t r, const std::vector<CapturedRow>& heads) {
  const bool reduced = probe_.kind == ProbeKind::kHeadSum || probe_.reduce_heads != ReduceHeads::kNone;
  const double factor = probe_.reduce_heads == ReduceHeads::kMean ? 1 / static_cast<double>(heads_.size()) : 1;
  for (size_t slot = 0; slot < rows_.size(); ++slot) {
    if (rows_[slot] != r) continue;
    if (probe_.kind == ProbeKind::kTopk) {
      std::vector<std::vector<double>> rows;
      for (const int64_t h : heads_) {
        const CapturedRow& row = heads[static_cast<size_t>(h)];
        const std::vector<double>& p = probe_.when == ProbeWhen::kPre ? row.pre : row.post;
        if (!reduced || rows.empty()) rows.emplace_back(p.size(), 0.0);
        for (size_t j = 0; j < p.size(); ++j) rows.back()[j] += factor * p[j];
      }
      pick_largest(b, static_cast<int64_t>(slot), rows);
      continue;
    }
    for (size_t i = 0; i < heads_.size(); ++i) {
      // One head's part, or, when heads are reduced, the part that they share.
      const at::Tensor part = reduced ? result_.value[b] : result_.value[b][static_cast<int64_t>(i)];
      add_row(part.data_ptr<double>(), b, static_cast<int64_t>(slot), r, heads[static_cast<size_t>(heads_[i])], factor);
    }
  }
}

void ProbeReading::add_row(double* out, int64_t b, int64_t slot, int64_t r, const CapturedRow& row, double factor) const {
  const std::vector<double>& p = probe_.when == ProbeWhen::kPre ? row.pre : row.post;
  const auto keys = static_cast<int64_t>(p.size());
  switch (probe_.kind) {
    case ProbeKind::kLse: out[slot] += factor * row.lse; break;
    case ProbeKind::kClassMass:
      for (int64_t j = 0; j < keys; ++j) out[slot * kMaximumClasses + row.classes[static_cast<size_t>(j)]] += factor * p[static_cast<size_t>(j)];
      break;
    case ProbeKind::kKeys:
      for (size_t i = 0; i < keys_.size(); ++i) out[slot * static_cast<int64_t>(keys_.size()) + static_cast<int64_t>(i)] += factor * p[static_cast<size_t>(keys_[i])];
      break;
    case ProbeKind::kColSum: {
      const double weight = probe_.row_weight.defined() ? probe_.row_weight[probe_.row_weight.size(0) == 1 ? 0 : b][r].item<double>() : 1;
      for (int64_t j = 0; j < keys; ++j) out[j] += factor * weight * p[static_cast<size_t>(j)];
      break;
    }
    default:
      for (int64_t j = 0; j < keys; ++j) out[slot * keys + j] += factor * p[static_cast<size_t>(j)];
  }
}

void ProbeReading::pick_largest(int64_t b, int64_t slot, const std::vector<std::vector<double>>& rows) {
  const bool reduced = probe_.reduce_heads != ReduceHeads::kNone;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<int64_t> order(rows[i].size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t x, int64_t y) { return rows[i][static_cast<size_t>(x)] > rows[i][static_cast<size_t>(y)]; });
    at::Tensor value = reduced ? result_.value[b][slot] : result_.value[b][static_cast<int64_t>(i)][slot];
    at::Tensor index = reduced ? result_.index[b][slot] : result_.index[b][static_cast<int64_t>(i)][slot];
    for (int64_t n = 0; n < probe_.k; ++n) {
      value[n] = rows[i][static_cast<size_t>(order[static_cast<size_t>(n)])];
      index[n] = order[static_cast<size_t>(n)];
    }
  }
}

}  // namespace attelier::kernels::reference
