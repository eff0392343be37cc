#include <cmath>

#include "kernels/attention.h"
#include "kernels/refuse.h"

namespace attelier::kernels {
namespace {

constexpr int64_t kMaximumTopk = 8;

enum class Content { kFinite, kBias /* -inf allowed */ };

/// What a call looks like, and the checks that need it.
struct Call {
  int64_t batches, heads, rows, depth;
  at::ScalarType type;
  at::Device device;

  void check_content(const at::Tensor& tensor, const std::string& pointer, Content content) const {
    if (tensor.device() != device) refuse(pointer, "is on {}, the call on {}; move it there", tensor.device().str(), device.str());
    // One pass is enough for most: a sum of finite numbers is finite, unless it overflows. In another dtype libtorch would copy them first.
    if (tensor.is_floating_point() && std::isfinite(tensor.sum().item<double>())) return;
    if (at::isnan(tensor).any().item<bool>()) refuse(pointer, "holds NaN; every value must be a number");
    const at::Tensor infinite = content == Content::kBias ? tensor == INFINITY : at::isinf(tensor);
    if (infinite.any().item<bool>()) refuse(pointer, "holds an infinity; allowed are finite values{}", content == Content::kBias ? " and -inf" : "");
  }

  /// A floating tensor of `shape`, each dimension of which may be 1 where `may_be_one` says so.
  void check_floats(const at::Tensor& tensor, const std::string& pointer, const std::vector<int64_t>& shape, const std::vector<bool>& may_be_one,
                    Content content = Content::kFinite) const {
    if (!tensor.is_floating_point()) refuse(pointer, "has dtype {}; it must be a floating-point tensor", c10::toString(tensor.scalar_type()));
    check_shape(tensor, pointer, shape, may_be_one);
    check_content(tensor, pointer, content);
  }

  void check_shape(const at::Tensor& tensor, const std::string& pointer, const std::vector<int64_t>& shape, const std::vector<bool>& may_be_one) const {
    bool fits = tensor.dim() == static_cast<int64_t>(shape.size());
    for (size_t d = 0; fits && d < shape.size(); ++d) {
      const int64_t size = tensor.size(static_cast<int64_t>(d));
      fits = size == shape[d] || (size == 1 && may_be_one[d]);
    }
    if (fits) return;
    std::vector<std::string> allowed;
    for (size_t d = 0; d < shape.size(); ++d) allowed.push_back(may_be_one[d] && shape[d] != 1 ? fmt::format("{}|1", shape[d]) : fmt::format("{}", shape[d]));
    refuse(pointer, "has shape {}, which does not broadcast to [{}]", shape_text(tensor), fmt::join(allowed, ","));
  }

  void check_indices(const std::vector<int64_t>& list, const std::string& pointer, int64_t size, const char* what) const {
    for (size_t i = 0; i < list.size(); ++i)
      if (list[i] < 0 || list[i] >= size) refuse(fmt::format("{}/{}", pointer, i), "is {}; there are {} {}, counted from 0", list[i], size, what);
  }
};

void check_finite(double value, const std::string& pointer) {
  if (!std::isfinite(value)) refuse(pointer, "is {}; it must be a finite number", value);
}

void check_keys_and_values(const Call& call, const at::Tensor& k, const at::Tensor& v, int64_t value_depth, const std::string& base) {
  for (const auto& [name, tensor] : {std::pair<const char*, const at::Tensor&>{"k", k}, {"v", v}}) {
    const std::string pointer = base + "/" + name;
    if (tensor.dim() != 4) refuse(pointer, "has shape {}; it must be [B,Hkv,Lk,D]", shape_text(tensor));
    if (tensor.scalar_type() != call.type) refuse(pointer, "has dtype {}, q has {}; they must be equal", c10::toString(tensor.scalar_type()), c10::toString(call.type));
    if (tensor.device() != call.device) refuse(pointer, "is on {}, q on {}; move it there", tensor.device().str(), call.device.str());
  }
  if (k.size(0) < 1 || k.size(2) < 1) refuse(base + "/k", "has shape {}; it must hold at least one batch row and one key", shape_text(k));
  if (k.size(3) != call.depth) refuse(base + "/k", "has width {}, q has {}; they must be equal", k.size(3), call.depth);
  if (k.size(1) < 1 || call.heads % k.size(1) != 0) refuse(base + "/k", "has {} heads, which do not divide the {} heads of q", k.size(1), call.heads);
  if (v.size(0) != k.size(0) || v.size(1) != k.size(1) || v.size(2) != k.size(2))
    refuse(base + "/v", "has shape {}, k has {}; all but the last dimension must be equal", shape_text(v), shape_text(k));
  if (v.size(3) != value_depth) refuse(base + "/v", "has width {}; all sources must have the same, {}", v.size(3), value_depth);
}

void check_batch_map(const Call& call, const std::vector<int64_t>& map, int64_t source_batches, const std::string& base) {
  const std::string pointer = base + "/batch_map";
  if (map.empty()) {
    if (source_batches != call.batches && source_batches != 1)
      refuse(base + "/k", "has {} batch rows, q has {}; give a batch_map, or as many rows", source_batches, call.batches);
    return;
  }
  if (static_cast<int64_t>(map.size()) != call.batches) refuse(pointer, "has {} entries; it needs one per batch row, {}", map.size(), call.batches);
  for (size_t b = 0; b < map.size(); ++b)
    if (map[b] < -1 || map[b] >= source_batches) refuse(fmt::format("{}/{}", pointer, b), "is {}; allowed are -1 (absent) to {}", map[b], source_batches - 1);
}

void check_source(const Call& call, const Source& source, const at::Tensor& k, const at::Tensor& v, int64_t value_depth, bool renorm, const std::string& base) {
  if (source.k.defined() != source.v.defined()) refuse(base + (source.k.defined() ? "/v" : "/k"), "is missing; a source gives both k and v, or neither");
  const at::Tensor& own_k = source.k.defined() ? source.k : k;
  check_keys_and_values(call, own_k, source.v.defined() ? source.v : v, value_depth, base);
  check_batch_map(call, source.batch_map, own_k.size(0), base);
  if (std::isnan(source.log_weight) || source.log_weight == INFINITY) refuse(base + "/log_weight", "is {}; allowed are finite numbers and -inf", source.log_weight);
  if (source.log_weight_rows.defined())
    call.check_floats(source.log_weight_rows, base + "/log_weight", {call.batches, call.heads}, {true, true}, Content::kBias);
  const std::vector<int64_t> per_key = {call.batches, call.heads, own_k.size(2)};
  const std::vector<bool> broadcast = {true, true, false};
  if (source.key_bias.defined()) call.check_floats(source.key_bias, base + "/key_bias", per_key, broadcast, Content::kBias);
  if (source.key_scale.defined()) call.check_floats(source.key_scale, base + "/key_scale", per_key, broadcast);
  if (source.key_gain.defined()) {
    call.check_floats(source.key_gain, base + "/key_gain", per_key, broadcast);
    if (renorm && (source.key_gain < 0).any().item<bool>()) refuse(base + "/key_gain", "holds negative values; with renorm all must be >= 0");
  }
  if (source.key_class.defined()) {
    if (source.key_class.scalar_type() != at::kByte) refuse(base + "/key_class", "has dtype {}; it must be uint8", c10::toString(source.key_class.scalar_type()));
    call.check_shape(source.key_class, base + "/key_class", {call.batches, own_k.size(2)}, {true, false});
    call.check_content(source.key_class, base + "/key_class", Content::kFinite);
    if ((source.key_class >= kMaximumClasses).any().item<bool>()) refuse(base + "/key_class", "holds a class above {}", kMaximumClasses - 1);
  }
}

void check_combination(const Call& call, const AttentionControl& control, size_t sources) {
  if (control.combine == Combine::kConcat) {
    if (!control.blend_weight.empty() || !control.blend_weight_map.empty()) refuse("/blend_weight", "has a meaning only with combine \"blend\"");
    return;
  }
  if (control.class_table || control.visual) refuse("/redistribute", "cannot be used with combine \"blend\"; use \"concat\"");
  if (!control.blend_weight.empty() && !control.blend_weight_map.empty()) refuse("/blend_weight", "is given as numbers and as tensors; give one of them");
  const size_t given = control.blend_weight.size() + control.blend_weight_map.size();
  if (given != sources) refuse("/blend_weight", "has {} entries; combine \"blend\" needs one per source, {}", given, sources);
  for (size_t s = 0; s < control.blend_weight.size(); ++s) check_finite(control.blend_weight[s], fmt::format("/blend_weight/{}", s));
  for (size_t s = 0; s < control.blend_weight_map.size(); ++s) {
    const at::Tensor& map = control.blend_weight_map[s];
    const std::string pointer = fmt::format("/blend_weight/{}", s);
    const bool by_head = map.dim() == 2 && map.size(0) == call.batches && map.size(1) == call.heads;
    if (!by_head && !(map.dim() == 2 && (map.size(0) == 1 || map.size(0) == call.batches) && map.size(1) == call.rows))
      refuse(pointer, "has shape {}; allowed are [B,H] = [{},{}] and [B|1,Lq] = [{}|1,{}]", shape_text(map), call.batches, call.heads, call.batches, call.rows);
    if (!map.is_floating_point()) refuse(pointer, "has dtype {}; it must be a floating-point tensor", c10::toString(map.scalar_type()));
    call.check_content(map, pointer, Content::kFinite);
  }
}

void check_redistribution(const Call& call, const AttentionControl& control) {
  if (!control.class_table && !control.visual) return;
  if (control.class_table && control.visual) refuse("/redistribute", "asks for a class table and for VAR; choose one");
  if (control.renorm) refuse("/redistribute", "cannot be used with renorm");
  if (control.class_table) {
    const auto& gain = control.class_table->gain;
    if (gain.size() != 1 && static_cast<int64_t>(gain.size()) != call.heads)
      refuse("/redistribute/gain", "has {} rows; allowed are one, or one per head, {}", gain.size(), call.heads);
    for (size_t h = 0; h < gain.size(); ++h)
      for (size_t c = 0; c < 4; ++c) check_finite(gain[h][c], fmt::format("/redistribute/gain/{}/{}", h, c));
    return;
  }
  const VisualRedistribution& rule = *control.visual;
  const auto in_unit = [](double value, const char* name) {
    if (!(value >= 0 && value <= 1)) refuse(std::string("/redistribute/") + name, "is {}; allowed is [0, 1]", value);
  };
  in_unit(rule.keep, "keep");
  in_unit(rule.rho_nonsink, "rho_nonsink");
  if (!(std::isfinite(rule.min_vis_mass) && rule.min_vis_mass >= 0)) refuse("/redistribute/min_vis_mass", "is {}; it must be a finite number >= 0", rule.min_vis_mass);
  if (!(std::isfinite(rule.eps) && rule.eps >= 0)) refuse("/redistribute/eps", "is {}; it must be a finite number >= 0", rule.eps);
  if (rule.row_from < 0) refuse("/redistribute/row_from", "is {}; it must be >= 0", rule.row_from);
  call.check_indices(rule.heads, "/redistribute/heads", call.heads, "heads");
}

void check_probe(const Call& call, const Probe& probe, int64_t keys, const std::string& base) {
  const auto check_list = [&](const std::optional<std::vector<int64_t>>& list, const char* name, int64_t size) {
    if (!list) return;
    const std::string pointer = base + "/" + name;
    if (list->empty()) refuse(pointer, "is empty; leave it out to mean all");
    call.check_indices(*list, pointer, size, name);
  };
  check_list(probe.heads, "heads", call.heads);
  check_list(probe.rows, "rows", call.rows);
  check_list(probe.keys, "keys", keys);
  if (probe.keys && probe.kind != ProbeKind::kKeys) refuse(base + "/keys", "belongs to the kind \"keys\" alone");
  if (probe.row_weight.defined()) {
    if (probe.kind != ProbeKind::kColSum) refuse(base + "/row_weight", "belongs to the kind \"col_sum\" alone");
    call.check_floats(probe.row_weight, base + "/row_weight", {call.batches, call.rows}, {true, false});
  }
  if (probe.kind == ProbeKind::kTopk && (probe.k < 1 || probe.k > std::min(kMaximumTopk, keys)))
    refuse(base + "/k", "is {}; allowed is 1 to {}", probe.k, std::min(kMaximumTopk, keys));
}

}  // namespace

void validate(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (q.dim() != 4 || q.numel() == 0) refuse("/q", "has shape {}; it must be [B,H,Lq,D], none of them 0", shape_text(q));
  if (!q.is_floating_point()) refuse("/q", "has dtype {}; it must be a floating-point tensor", c10::toString(q.scalar_type()));
  const Call call{q.size(0), q.size(1), q.size(2), q.size(3), q.scalar_type(), q.device()};
  if (v.dim() != 4 || v.size(3) < 1) refuse("/v", "has shape {}; it must be [B,Hkv,Lk,Dv]", shape_text(v));
  check_keys_and_values(call, k, v, v.size(3), "");

  if (control.scale) check_finite(*control.scale, "/scale");
  const auto& temperature = control.temperature;
  if (temperature.size() != 1 && static_cast<int64_t>(temperature.size()) != call.heads)
    refuse("/temperature", "has {} entries; allowed are one, or one per head, {}", temperature.size(), call.heads);
  for (size_t h = 0; h < temperature.size(); ++h)
    if (!(std::isfinite(temperature[h]) && temperature[h] > 0))
      refuse(temperature.size() == 1 ? "/temperature" : fmt::format("/temperature/{}", h), "is {}; it must be a finite number > 0", temperature[h]);

  if (control.q_blend) {
    const QueryBlend& blend = *control.q_blend;
    if (!(blend.gamma >= 0 && blend.gamma <= 1)) refuse("/q_blend/gamma", "is {}; allowed is [0, 1]", blend.gamma);
    if (!blend.q2.defined()) refuse("/q_blend/q2", "is missing");
    if (blend.q2.scalar_type() != call.type) refuse("/q_blend/q2", "has dtype {}, q has {}; they must be equal", c10::toString(blend.q2.scalar_type()), c10::toString(call.type));
    call.check_floats(blend.q2, "/q_blend/q2", {call.batches, call.heads, call.rows, call.depth}, {true, false, false, false});
    if (blend.rows.defined()) call.check_floats(blend.rows, "/q_blend/rows", {call.batches, call.rows}, {true, false});
  }

  if (control.sources.size() > kMaximumSources) refuse("/sources", "has {} entries; at most {} are allowed", control.sources.size(), kMaximumSources);
  if (control.probes.size() > kMaximumProbes) refuse("/probes", "has {} entries; at most {} are allowed", control.probes.size(), kMaximumProbes);
  int64_t keys = control.sources.empty() ? k.size(2) : 0;
  if (control.sources.empty()) check_batch_map(call, {}, k.size(0), "");
  for (size_t s = 0; s < control.sources.size(); ++s) {
    check_source(call, control.sources[s], k, v, v.size(3), control.renorm, fmt::format("/sources/{}", s));
    keys += (control.sources[s].k.defined() ? control.sources[s].k : k).size(2);
  }
  check_combination(call, control, std::max<size_t>(1, control.sources.size()));

  if (control.pair_bias.defined()) {
    if (call.rows > kMaximumPairTokens || keys > kMaximumPairTokens)
      refuse("/pair_bias", "is for at most {} tokens; this call has {} queries and {} keys", kMaximumPairTokens, call.rows, keys);
    call.check_floats(control.pair_bias, "/pair_bias", {call.heads, call.rows, keys}, {true, false, false}, Content::kBias);
  }
  check_redistribution(call, control);
  for (size_t p = 0; p < control.probes.size(); ++p) check_probe(call, control.probes[p], keys, fmt::format("/probes/{}", p));
}

}  // namespace attelier::kernels
