#include "kernels/resolve.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attelier::kernels {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

at::Tensor blended_queries(const std::optional<QueryBlend>& blend, const at::Tensor& q) {
  if (!blend) return q;
  const at::ScalarType wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor q2 = blend->q2.to(wide);
  if (!blend->rows.defined()) return (blend->gamma * q2 + (1 - blend->gamma) * q.to(wide)).to(q.scalar_type());
  const at::Tensor gamma = (blend->gamma * blend->rows.to(wide)).unsqueeze(1).unsqueeze(3);  // [B|1,1,Lq,1]
  return (gamma * q2 + (1 - gamma) * q.to(wide)).to(q.scalar_type());
}

/// Rows of a source tensor for every batch row, zeros for -1.
at::Tensor gather_rows(const at::Tensor& tensor, const std::vector<int64_t>& map, int64_t batches) {
  if (map.empty()) return tensor.size(0) == batches ? tensor : tensor.expand({batches, -1, -1, -1});
  if (std::all_of(map.begin(), map.end(), [&](int64_t row) { return row == map[0]; }) && map[0] >= 0)
    return tensor.narrow(0, map[0], 1).expand({batches, -1, -1, -1});
  std::vector<at::Tensor> rows;
  for (const int64_t row : map) rows.push_back(row < 0 ? at::zeros_like(tensor[0]) : tensor[row]);
  return at::stack(rows);
}

at::Tensor plus(const at::Tensor& sum, const at::Tensor& term) { return sum.defined() ? sum + term : term; }

at::Tensor total_bias(const Source& source, const std::vector<bool>& absent, const at::TensorOptions& options) {
  at::Tensor bias;
  if (source.key_bias.defined()) bias = source.key_bias.to(options);
  if (source.log_weight_rows.defined()) bias = plus(bias, source.log_weight_rows.to(options).unsqueeze(2));
  if (source.log_weight != 0) bias = plus(bias, at::full({1, 1, 1}, source.log_weight, options));
  if (!absent.empty()) {
    at::Tensor hidden = at::zeros({static_cast<int64_t>(absent.size()), 1, 1}, at::kFloat);
    for (size_t b = 0; b < absent.size(); ++b)
      if (absent[b]) hidden[static_cast<int64_t>(b)].fill_(kMinusInfinity);
    bias = plus(bias, hidden.to(options));
  }
  return bias;
}

}  // namespace

ResolvedCall resolve(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  ResolvedCall call;
  call.q = blended_queries(control.q_blend, q);
  call.value_depth = v.size(3);
  const double scale = control.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3))));
  for (const double temperature : control.temperature) call.scales.push_back(temperature * scale);

  const at::TensorOptions options = q.options().dtype(q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  std::vector<Source> sources = control.sources;
  if (sources.empty()) sources.emplace_back();
  for (size_t s = 0; s < sources.size(); ++s) {
    const Source& source = sources[s];
    ResolvedSource resolved;
    resolved.k = gather_rows(source.k.defined() ? source.k : k, source.batch_map, call.batches());
    resolved.v = gather_rows(source.v.defined() ? source.v : v, source.batch_map, call.batches());
    if (std::find(source.batch_map.begin(), source.batch_map.end(), -1) != source.batch_map.end())
      for (const int64_t row : source.batch_map) resolved.absent.push_back(row < 0);
    resolved.bias = total_bias(source, resolved.absent, options);
    if (source.key_scale.defined()) resolved.scale = source.key_scale.to(options);
    if (source.key_gain.defined()) resolved.gain = source.key_gain.to(options);
    resolved.key_class = source.key_class;
    resolved.begin = call.keys;
    resolved.length = resolved.k.size(2);
    call.keys += resolved.length;
    if (!control.blend_weight.empty()) resolved.blend_weight = at::full({1, 1, 1}, control.blend_weight[s], options);
    if (!control.blend_weight_map.empty()) {
      const at::Tensor map = control.blend_weight_map[s].to(options);
      const bool by_head = map.size(0) == call.batches() && map.size(1) == call.heads();
      resolved.blend_weight = map.unsqueeze(by_head ? 2 : 1);
    }
    call.sources.push_back(std::move(resolved));
  }
  if (control.causal && control.causal->offset < call.keys - 1) call.causal_offset = control.causal->offset;
  return call;
}

}  // namespace attelier::kernels
