#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention.h"

namespace attelier::kernels {
namespace {

bool all_equal(const at::Tensor& tensor, double value) { return (tensor == value).all().item<bool>(); }

void drop_if_all(at::Tensor& tensor, double neutral) {
  if (tensor.defined() && all_equal(tensor, neutral)) tensor = at::Tensor();
}

bool is_identity(const std::vector<int64_t>& map) {
  for (size_t b = 0; b < map.size(); ++b)
    if (map[b] != static_cast<int64_t>(b)) return false;
  return true;
}

bool is_absent(const Source& source) {
  const auto& map = source.batch_map;
  return source.log_weight == -std::numeric_limits<double>::infinity() || (!map.empty() && std::all_of(map.begin(), map.end(), [](int64_t row) { return row == -1; }));
}

bool is_neutral(const Source& s) {
  return !s.k.defined() && !s.v.defined() && s.batch_map.empty() && s.log_weight == 0 && !s.log_weight_rows.defined() && !s.key_bias.defined() &&
         !s.key_scale.defined() && !s.key_gain.defined() && !s.key_class.defined();
}

void drop_neutral_fields(AttentionControl& control) {
  auto& temperature = control.temperature;
  if (std::equal(temperature.begin() + 1, temperature.end(), temperature.begin())) temperature.resize(1);
  // gamma 0 must drop q2, since 0 * NaN is NaN.
  if (control.q_blend && control.q_blend->gamma == 0) control.q_blend.reset();
  drop_if_all(control.pair_bias, 0);
  if (control.class_table && std::all_of(control.class_table->gain.begin(), control.class_table->gain.end(), [](const auto& g) { return g == std::array<double, 4>{1, 1, 1, 1}; }))
    control.class_table.reset();
  for (Source& source : control.sources) drop_if_all(source.key_class, 0);
  const bool has_classes = std::any_of(control.sources.begin(), control.sources.end(), [](const Source& s) { return s.key_class.defined(); });
  if (control.visual && (control.visual->keep == 1 || control.visual->min_vis_mass > 1 || !has_classes)) control.visual.reset();
  const bool classes_matter = control.class_table || control.visual ||
                              std::any_of(control.probes.begin(), control.probes.end(), [](const Probe& p) { return p.kind == ProbeKind::kClassMass; });
  for (Source& source : control.sources) {
    drop_if_all(source.log_weight_rows, 0);
    drop_if_all(source.key_bias, 0);
    drop_if_all(source.key_scale, 1);
    drop_if_all(source.key_gain, 1);
    if (!classes_matter) source.key_class = at::Tensor();
    if (source.k.defined() && source.k.size(0) == static_cast<int64_t>(source.batch_map.size()) && is_identity(source.batch_map)) source.batch_map.clear();
  }
}

/// P' = u P / sum u P is the softmax of z + ln u.
void fold_renormalised_gain(AttentionControl& control) {
  if (!control.renorm) return;
  for (Source& source : control.sources) {
    if (!source.key_gain.defined()) continue;
    const at::Tensor bias = source.key_gain.to(at::kDouble).log();
    source.key_bias = source.key_bias.defined() ? source.key_bias + bias : bias;
    source.key_gain = at::Tensor();
  }
  control.renorm = false;
}

void remove_sources_without_weight(AttentionControl& control) {
  for (size_t s = control.sources.size(); s-- > 0 && control.sources.size() > 1;) {
    const bool blend = control.combine == Combine::kBlend;
    const bool weightless = blend && !control.blend_weight.empty() ? control.blend_weight[s] == 0 : blend && all_equal(control.blend_weight_map[s], 0);
    // Columns of pair_bias and the causal rule count the keys of all sources.
    if (control.pair_bias.defined() || control.causal || !(weightless || is_absent(control.sources[s]))) continue;
    const auto at = static_cast<std::ptrdiff_t>(s);
    control.sources.erase(control.sources.begin() + at);
    if (!control.blend_weight.empty()) control.blend_weight.erase(control.blend_weight.begin() + at);
    if (!control.blend_weight_map.empty()) control.blend_weight_map.erase(control.blend_weight_map.begin() + at);
  }
}

/// Blending one source is attention with a gain. Weights per query stay a blend, since a gain is per key.
void unblend_one_source(AttentionControl& control) {
  if (control.combine != Combine::kBlend || control.sources.size() > 1 || control.blend_weight.size() != 1) return;
  const double weight = control.blend_weight[0];
  if (weight != 1) {
    if (control.sources.empty()) control.sources.emplace_back();
    at::Tensor& gain = control.sources[0].key_gain;
    gain = gain.defined() ? gain * weight : at::full({1, 1, 1}, weight, at::kFloat);
  }
  control.combine = Combine::kConcat;
  control.blend_weight.clear();
}

}  // namespace

AttentionControl canonicalise(AttentionControl control) {
  drop_neutral_fields(control);
  const bool has_gain = std::any_of(control.sources.begin(), control.sources.end(), [](const Source& s) { return s.key_gain.defined(); });
  if (!has_gain) control.renorm = false;
  // Probes see every source, the probabilities before the gain, and those after it without the blend weight: all of it must stay.
  if (control.probes.empty()) {
    fold_renormalised_gain(control);
    remove_sources_without_weight(control);
    unblend_one_source(control);
  }
  if (control.sources.size() == 1 && is_neutral(control.sources[0])) control.sources.clear();
  return control;
}

bool is_plain(const AttentionControl& c) {
  return !c.q_blend && c.temperature == std::vector<double>{1} && c.sources.empty() && c.combine == Combine::kConcat && !c.pair_bias.defined() && !c.causal &&
         !c.class_table && !c.visual && c.probes.empty();
}

}  // namespace attelier::kernels
