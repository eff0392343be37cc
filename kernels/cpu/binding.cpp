#include "kernels/cpu/binding.h"

#include <algorithm>
#include <cmath>

namespace attelier::kernels::cpu {
namespace {

Element element_of(at::ScalarType type) {
  return type == at::kFloat ? Element::kFloat32 : type == at::kBFloat16 ? Element::kBFloat16 : Element::kFloat16;
}

}  // namespace

Rows Binding::rows(const at::Tensor& tensor) {
  const bool dense = tensor.size(3) == 1 || tensor.stride(3) == 1;
  const at::Tensor& kept = tensors_.emplace_back(dense ? tensor : tensor.contiguous());
  const auto stride = [&](int64_t d) { return kept.size(d) == 1 ? 0 : kept.stride(d); };
  return {kept.const_data_ptr(), stride(0), stride(1), stride(2)};
}

Factors Binding::factors(const at::Tensor& tensor, std::initializer_list<int64_t Factors::*> dimensions) {
  if (!tensor.defined()) return {};
  const at::Tensor& kept = tensors_.emplace_back(tensor.to(at::kFloat));
  Factors factors = {kept.const_data_ptr<float>(), 0, 0, 0};
  int64_t d = 0;
  for (const auto dimension : dimensions) {
    factors.*dimension = kept.size(d) == 1 ? 0 : kept.stride(d);
    ++d;
  }
  return factors;
}

Binding::Binding(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  call_.element = element_of(q.scalar_type());
  call_.batches = q.size(0);
  call_.heads = q.size(1);
  call_.rows = q.size(2);
  call_.depth = q.size(3);
  call_.value_depth = v.size(3);
  call_.q = rows(q);
  if (control.q_blend) {
    call_.q2 = rows(control.q_blend->q2);
    call_.gamma = static_cast<float>(control.q_blend->gamma);
    call_.gamma_rows = factors(control.q_blend->rows, {&Factors::batch, &Factors::item});
  }
  const double scale = control.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3))));
  std::vector<float>& scales = floats_.emplace_back();
  for (const double temperature : control.temperature) scales.push_back(static_cast<float>(temperature * scale));
  call_.scales = scales.data();
  call_.scale_stride = scales.size() > 1 ? 1 : 0;
  call_.blend = control.combine == Combine::kBlend;
  call_.renorm = control.renorm;
  call_.source_count = static_cast<int>(std::max<size_t>(1, control.sources.size()));
  for (size_t s = 0; s < static_cast<size_t>(call_.source_count); ++s) bind_source(control, s, k, v);
  // A rule that hides nothing is no rule.
  call_.causal = control.causal && control.causal->offset < call_.keys - 1;
  if (call_.causal) call_.causal_offset = control.causal->offset;
  call_.pair_bias = factors(control.pair_bias, {&Factors::head, &Factors::batch, &Factors::item});
  bind_redistribution(control);
}

void Binding::bind_source(const AttentionControl& control, size_t s, const at::Tensor& k, const at::Tensor& v) {
  const Source source = control.sources.empty() ? Source{} : control.sources[s];
  const at::Tensor& own_k = source.k.defined() ? source.k : k;
  SourceView& view = call_.sources[s];
  view.k = rows(own_k);
  view.v = rows(source.v.defined() ? source.v : v);
  view.length = own_k.size(2);
  view.group = call_.heads / own_k.size(1);
  if (!source.batch_map.empty()) view.batch_map = integers_.emplace_back(source.batch_map).data();
  view.begin = call_.keys;
  call_.keys += view.length;
  view.log_weight = static_cast<float>(source.log_weight);
  view.log_weight_rows = factors(source.log_weight_rows, {&Factors::batch, &Factors::head});
  view.bias = factors(source.key_bias, {&Factors::batch, &Factors::head, &Factors::item});
  view.scale = factors(source.key_scale, {&Factors::batch, &Factors::head, &Factors::item});
  view.gain = factors(source.key_gain, {&Factors::batch, &Factors::head, &Factors::item});
  if (source.key_class.defined()) {
    const at::Tensor& classes = tensors_.emplace_back(source.key_class);
    view.key_class = classes.const_data_ptr<uint8_t>();
    view.class_batch = classes.size(0) == 1 ? 0 : classes.stride(0);
    view.class_key = classes.stride(1);
  }
  if (!call_.blend) return;
  if (control.blend_weight_map.empty()) {
    view.blend_weight = {floats_.emplace_back(1, static_cast<float>(control.blend_weight[s])).data(), 0, 0, 0};
    return;
  }
  const at::Tensor& map = control.blend_weight_map[s];
  const bool by_head = map.size(0) == call_.batches && map.size(1) == call_.heads;
  view.blend_weight = factors(map, {&Factors::batch, by_head ? &Factors::head : &Factors::item});
}

void Binding::bind_redistribution(const AttentionControl& control) {
  if (control.class_table) {
    std::vector<float>& gains = floats_.emplace_back();
    for (const auto& row : control.class_table->gain)
      for (const double gain : row) gains.push_back(static_cast<float>(gain));
    call_.class_gain = gains.data();
    call_.class_gain_stride = control.class_table->gain.size() > 1 ? kClasses : 0;
  }
  if (!control.visual) return;
  const VisualRedistribution& rule = *control.visual;
  RedistributionView& view = call_.visual;
  view = {true, static_cast<float>(rule.keep), static_cast<float>(rule.rho_nonsink), static_cast<float>(rule.min_vis_mass), static_cast<float>(rule.eps), rule.row_from, nullptr};
  if (rule.heads.empty()) return;
  std::vector<uint8_t>& on = flags_.emplace_back(static_cast<size_t>(call_.heads), uint8_t{0});
  for (const int64_t h : rule.heads) on[static_cast<size_t>(h)] = 1;
  view.heads = on.data();
}

void Binding::set_outputs(const at::Tensor& o, const at::Tensor& lse) {
  if (o.defined()) {
    call_.o = o.data_ptr();
    call_.o_batch = o.stride(0);
    call_.o_head = o.stride(1);
    call_.o_row = o.stride(2);
  }
  if (lse.defined()) call_.lse = lse.data_ptr<float>();
  tensors_.push_back(o);
  tensors_.push_back(lse);
}

void Binding::set_probes(const std::vector<Probe>& probes) {
  // Enough tasks for many threads, few partial column sums, and groups of one size.
  constexpr int64_t kTasks = 32;
  const auto parts = [](int64_t n, int64_t size) { return (n + size - 1) / size; };
  const int64_t blocks = std::max<int64_t>(1, parts(call_.rows, kBlockQueries)), wanted = std::clamp<int64_t>(kTasks / call_.batches, 1, blocks);
  call_.groups = parts(blocks, parts(blocks, wanted));
  for (const Probe& probe : probes) {
    const ProbeBinding& bound = probes_.emplace_back(probe, call_, call_.groups, tensors_.front().device());
    if (!bound.is_lse()) call_.probes[call_.probe_count++] = bound.view();
  }
}

}  // namespace attelier::kernels::cpu
