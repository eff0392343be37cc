#include "core/attention/attention_maps.h"

#include <algorithm>
#include <numeric>

#include "core/base/error.h"

namespace attelier {
namespace {

constexpr int64_t kRowsAtOnce = 256;  // of the attention matrix in memory

/// Whether the capture's queries saw the keys that the scope asks for.
bool sees(const CapturedAttention& capture, const std::optional<int64_t>& source) {
  const auto& sources = capture.control.sources;
  if (!source) return sources.empty() || std::any_of(sources.begin(), sources.end(), [](const kernels::Source& one) { return !one.k.defined(); });
  if (*source < 0 || *source >= static_cast<int64_t>(sources.size())) return false;
  const at::Tensor& k = sources[static_cast<size_t>(*source)].k;
  return k.defined() && k.size(2) == capture.grid_height * capture.grid_width;  // a map has the grid of the queries
}

bool is_within(const CapturedAttention& capture, const MapScope& scope, AttentionKind kind) {
  return capture.site.kind == kind && sees(capture, scope.source) && capture.grid_height > 0 && (scope.site.empty() || capture.site.path == scope.site) && (!scope.step || capture.step == *scope.step) &&
         (!scope.head || *scope.head < capture.site.heads);
}

/// Which token of a captured grid a place falls into.
int64_t token_at(const CapturedAttention& capture, double x, double y) {
  const auto cell = [](double share, int64_t cells) { return std::clamp<int64_t>(static_cast<int64_t>(share * static_cast<double>(cells)), 0, cells - 1); };
  return cell(y, capture.grid_height) * capture.grid_width + cell(x, capture.grid_width);
}

/// The call with these of its queries alone, in their order: a map of one place costs no attention of all others. False where the control says something
/// about places in the order of queries that could not be told apart, or depends on that order; then nothing is changed.
bool restrict_to(const std::vector<int64_t>& rows, at::Tensor& q, kernels::AttentionControl& control) {
  const int64_t heads = q.size(1), places = q.size(2), count = static_cast<int64_t>(rows.size());
  const bool by_head = std::any_of(control.blend_weight_map.begin(), control.blend_weight_map.end(), [&](const at::Tensor& map) { return map.size(1) != places; });
  if (control.causal || control.visual || by_head || (!control.blend_weight_map.empty() && heads == count)) return false;
  const at::Tensor index = at::tensor(rows);
  q = q.index_select(2, index).contiguous();
  if (control.q_blend) {
    control.q_blend->q2 = control.q_blend->q2.index_select(2, index).contiguous();
    if (control.q_blend->rows.defined()) control.q_blend->rows = control.q_blend->rows.index_select(1, index).contiguous();
  }
  for (at::Tensor& map : control.blend_weight_map) map = map.index_select(1, index).contiguous();
  if (control.pair_bias.defined()) control.pair_bias = control.pair_bias.index_select(1, index).contiguous();
  return true;
}

/// Weights that the queries `rows` give to the scope's keys: f32 [H or 1, R, Lk]. Under blend the parts of its sources are added as they were mixed.
at::Tensor weights(const CapturedAttention& capture, const MapScope& scope, const std::vector<int64_t>& rows) {
  const std::optional<int64_t>& head = scope.head;
  kernels::AttentionControl control = capture.control;
  const bool half = capture.q.scalar_type() == at::kHalf;
  at::Tensor q = half ? capture.q.to(at::kFloat) : capture.q;
  const at::Tensor k = half ? capture.k.to(at::kFloat) : capture.k;
  if (half)
    for (kernels::Source& source : control.sources)
      if (source.k.defined()) source.v = source.k = source.k.to(at::kFloat);
  if (half && control.q_blend) control.q_blend->q2 = control.q_blend->q2.to(at::kFloat);
  kernels::Probe probe;
  probe.kind = kernels::ProbeKind::kRows;
  if (!restrict_to(rows, q, control)) probe.rows = rows;
  if (head) probe.heads = std::vector<int64_t>{*head};
  control.probes = {probe};
  const at::Tensor all = kernels::attention(q, k, k, control).probes.at(0).value[0];
  if (control.sources.empty()) return all;
  const at::Tensor index = at::tensor(rows);
  at::Tensor sum;
  for (int64_t s = 0, first = 0; s < static_cast<int64_t>(control.sources.size()); ++s) {
    const kernels::Source& source = control.sources[static_cast<size_t>(s)];
    const int64_t keys = (source.k.defined() ? source.k : k).size(2);
    at::Tensor part = all.slice(2, first, first + keys);
    first += keys;
    if (scope.source ? s != *scope.source : source.k.defined()) continue;  // another picture's
    if (control.combine == kernels::Combine::kBlend) {
      if (!control.blend_weight.empty()) {
        part = part * control.blend_weight[static_cast<size_t>(s)];
      } else if (const at::Tensor& map = capture.control.blend_weight_map[static_cast<size_t>(s)]; map.size(1) == capture.q.size(2)) {
        part = part * map[0].index_select(0, index).view({1, -1, 1});
      } else {
        const at::Tensor per_head = head ? map[0].slice(0, *head, *head + 1) : map[0];
        part = part * per_head.view({-1, 1, 1});
      }
    }
    sum = sum.defined() ? sum + part : part;
  }
  return sum.defined() ? sum : at::zeros({all.size(0), all.size(1), k.size(2)});
}

/// f32 [values per row] for every query, in blocks: `reduce` gets weights [H, R, Lk] and answers [R].
template <typename Reduce>
at::Tensor over_rows(const CapturedAttention& capture, const MapScope& scope, const std::stop_token& stop, const Reduce& reduce) {
  std::vector<at::Tensor> parts;
  for (int64_t first = 0; first < capture.q.size(2); first += kRowsAtOnce) {
    if (stop.stop_requested()) throw Interrupted();
    std::vector<int64_t> rows(static_cast<size_t>(std::min(kRowsAtOnce, capture.q.size(2) - first)));
    std::iota(rows.begin(), rows.end(), first);
    parts.push_back(reduce(weights(capture, scope, rows)));
  }
  return at::cat(parts);
}

/// Averages over all captures of the scope what `map` makes of each: f32 [height * width].
template <typename Map>
at::Tensor average(std::span<const CapturedAttention> captures, const MapScope& scope, AttentionKind kind, const std::stop_token& stop, const Map& map) {
  int64_t height = 0, width = 0, count = 0;
  for (const CapturedAttention& capture : captures)
    if (is_within(capture, scope, kind) && capture.grid_height * capture.grid_width > height * width) {
      height = capture.grid_height;
      width = capture.grid_width;
    }
  at::Tensor sum = at::zeros({height, width}, at::kFloat);
  for (const CapturedAttention& capture : captures) {
    if (!is_within(capture, scope, kind)) continue;
    if (stop.stop_requested()) throw Interrupted();
    at::Tensor one = map(capture).view({1, 1, capture.grid_height, capture.grid_width});
    if (capture.grid_height != height || capture.grid_width != width) one = at::upsample_bilinear2d(one, {height, width}, false);
    sum.add_(one[0][0]);
    ++count;
  }
  return count > 1 ? sum.div_(static_cast<double>(count)) : sum;
}

}  // namespace

at::Tensor word_map(std::span<const CapturedAttention> captures, const MapScope& scope, const std::vector<int64_t>& tokens, const std::stop_token& stop) {
  return average(captures, scope, AttentionKind::kCross, stop, [&](const CapturedAttention& capture) {
    std::vector<int64_t> known;
    std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(known), [&](int64_t token) { return token >= 0 && token < capture.k.size(2); });
    const at::Tensor index = at::tensor(known, at::kLong);
    return over_rows(capture, scope, stop, [&](const at::Tensor& p) { return p.index_select(2, index).sum(2).mean(0); });
  });
}

at::Tensor place_map(std::span<const CapturedAttention> captures, const MapScope& scope, double x, double y, const std::stop_token& stop) {
  return average(captures, scope, AttentionKind::kSelf, stop, [&](const CapturedAttention& capture) {
    // In units of the mean weight, so that grids of different fineness count the same.
    return weights(capture, scope, {token_at(capture, x, y)}).mean(0)[0] * static_cast<double>(capture.k.size(2));
  });
}

at::Tensor received_map(std::span<const CapturedAttention> captures, const MapScope& scope, const std::stop_token& stop) {
  return average(captures, scope, AttentionKind::kSelf, stop, [&](const CapturedAttention& capture) {
    at::Tensor sum = at::zeros({capture.k.size(2)}, at::kFloat);
    over_rows(capture, scope, stop, [&](const at::Tensor& p) {
      sum.add_(p.mean(0).sum(0));
      return at::empty({0});
    });
    return sum * (static_cast<double>(capture.k.size(2)) / static_cast<double>(capture.q.size(2)));
  });
}

at::Tensor entropy_map(std::span<const CapturedAttention> captures, const MapScope& scope, AttentionKind kind, const std::stop_token& stop) {
  return average(captures, scope, kind, stop, [&](const CapturedAttention& capture) {
    return over_rows(capture, scope, stop, [&](const at::Tensor& p) { return at::special_entr(p).sum(2).mean(0) / std::log(2.0); });
  });
}

std::vector<double> word_shares(std::span<const CapturedAttention> captures, const MapScope& scope, double x, double y, const std::stop_token& stop) {
  at::Tensor sum;
  int64_t count = 0;
  for (const CapturedAttention& capture : captures) {
    if (!is_within(capture, scope, AttentionKind::kCross)) continue;
    if (stop.stop_requested()) throw Interrupted();
    const at::Tensor one = weights(capture, scope, {token_at(capture, x, y)}).mean(0)[0].to(at::kDouble);
    sum = sum.defined() ? sum + one : one;
    ++count;
  }
  if (count == 0) return {};
  sum = (sum / static_cast<double>(count)).contiguous();
  return {sum.data_ptr<double>(), sum.data_ptr<double>() + sum.numel()};
}

std::vector<CapturedSite> captured_sites(std::span<const CapturedAttention> captures, AttentionKind kind) {
  std::vector<CapturedSite> sites;
  for (const CapturedAttention& capture : captures)
    if (capture.site.kind == kind && std::none_of(sites.begin(), sites.end(), [&](const CapturedSite& known) { return known.site.path == capture.site.path; }))
      sites.push_back({capture.site, capture.grid_height, capture.grid_width});
  return sites;
}

std::vector<int64_t> captured_steps(std::span<const CapturedAttention> captures) {
  std::vector<int64_t> steps;
  for (const CapturedAttention& capture : captures) steps.push_back(capture.step);
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  return steps;
}

}  // namespace attelier
