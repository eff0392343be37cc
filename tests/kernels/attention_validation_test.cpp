// Every forbidden field and combination, with the pointer that names it.
#include "tests/kernels/attention_testing.h"

namespace attelier::kernels {
namespace {

constexpr int64_t kBatches = 2, kHeads = 4, kRows = 6, kKeys = 5, kDepth = 8;

struct Case {
  const char* pointer;
  const char* message;
  std::function<void(AttentionControl&)> change;
};

Source& first(AttentionControl& control) { return control.sources.empty() ? control.sources.emplace_back() : control.sources[0]; }
at::Tensor nan_in(at::IntArrayRef shape) {
  at::Tensor x = at::ones(shape);
  x.flatten()[0].fill_(std::numeric_limits<double>::quiet_NaN());
  return x;
}

std::vector<Case> cases() {
  using C = AttentionControl&;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto table = [](C c) { c.class_table = ClassTable{{{1, 2, 1, 1}}}; };
  const auto with_probe = [](auto change) {
    return [change](C c) { change(c.probes.emplace_back()); };
  };
  return {
      {"/sources:", "at most 4", [](C c) { c.sources.resize(5); }},
      {"/probes:", "at most 4", [](C c) { c.probes.resize(5); }},
      {"/redistribute:", "blend", [=](C c) { table(c); c.combine = Combine::kBlend; c.blend_weight = {1}; }},
      {"/redistribute:", "blend", [](C c) { c.visual.emplace(); c.combine = Combine::kBlend; c.blend_weight = {1}; }},
      {"/redistribute:", "renorm", [=](C c) { table(c); c.renorm = true; }},
      {"/redistribute:", "choose one", [=](C c) { table(c); c.visual.emplace(); }},
      {"/sources/0/key_gain:", "negative", [](C c) { first(c).key_gain = at::full({1, 1, kKeys}, -0.1); c.renorm = true; }},
      {"/scale:", "finite", [=](C c) { c.scale = nan; }},
      {"/temperature:", "> 0", [](C c) { c.temperature = {0}; }},
      {"/temperature:", "> 0", [=](C c) { c.temperature = {nan}; }},
      {"/temperature/2:", "> 0", [](C c) { c.temperature = {1, 1, -1, 1}; }},
      {"/temperature:", "one per head, 4", [](C c) { c.temperature = {1, 1}; }},
      {"/temperature:", "0 entries", [](C c) { c.temperature = {}; }},
      {"/q_blend/gamma:", "[0, 1]", [](C c) { c.q_blend = QueryBlend{at::ones({kBatches, kHeads, kRows, kDepth}), 1.1, {}}; }},
      {"/q_blend/gamma:", "[0, 1]", [=](C c) { c.q_blend = QueryBlend{at::ones({kBatches, kHeads, kRows, kDepth}), nan, {}}; }},
      {"/q_blend/q2:", "missing", [](C c) { c.q_blend = QueryBlend{{}, 0.5, {}}; }},
      {"/q_blend/q2:", "broadcast", [](C c) { c.q_blend = QueryBlend{at::ones({kBatches, kHeads, kRows + 1, kDepth}), 0.5, {}}; }},
      {"/q_blend/q2:", "dtype", [](C c) { c.q_blend = QueryBlend{at::ones({kBatches, kHeads, kRows, kDepth}, at::kDouble), 0.5, {}}; }},
      {"/q_blend/q2:", "NaN", [](C c) { c.q_blend = QueryBlend{nan_in({kBatches, kHeads, kRows, kDepth}), 0.5, {}}; }},
      {"/q_blend/rows:", "[2|1,6]", [](C c) { c.q_blend = QueryBlend{at::ones({kBatches, kHeads, kRows, kDepth}), 0.5, at::ones({3, kRows})}; }},
      {"/sources/0/v:", "missing", [](C c) { first(c).k = at::ones({kBatches, kHeads, 3, kDepth}); }},
      {"/sources/0/k:", "missing", [](C c) { first(c).v = at::ones({kBatches, kHeads, 3, kDepth}); }},
      {"/sources/1/k:", "width 7", [](C c) { c.sources.resize(2); c.sources[1].k = at::ones({kBatches, kHeads, 3, 7}); c.sources[1].v = at::ones({kBatches, kHeads, 3, kDepth}); }},
      {"/sources/1/k:", "3 heads", [](C c) { c.sources.resize(2); c.sources[1].k = c.sources[1].v = at::ones({kBatches, 3, 3, kDepth}); }},
      {"/sources/1/k:", "batch_map", [](C c) { c.sources.resize(2); c.sources[1].k = c.sources[1].v = at::ones({3, kHeads, 3, kDepth}); }},
      {"/sources/1/k:", "dtype", [](C c) { c.sources.resize(2); c.sources[1].k = c.sources[1].v = at::ones({2, kHeads, 3, kDepth}, at::kDouble); }},
      {"/sources/1/k:", "at least one", [](C c) { c.sources.resize(2); c.sources[1].k = c.sources[1].v = at::ones({2, kHeads, 0, kDepth}); }},
      {"/sources/1/v:", "all but the last", [](C c) { c.sources.resize(2); c.sources[1].k = at::ones({2, kHeads, 3, kDepth}); c.sources[1].v = at::ones({2, kHeads, 4, kDepth}); }},
      {"/sources/1/v:", "width 9", [](C c) { c.sources.resize(2); c.sources[1].k = at::ones({2, kHeads, 3, kDepth}); c.sources[1].v = at::ones({2, kHeads, 3, 9}); }},
      {"/sources/0/batch_map:", "one per batch row", [](C c) { first(c).batch_map = {0}; }},
      {"/sources/0/batch_map/1:", "-1 (absent) to 1", [](C c) { first(c).batch_map = {0, 2}; }},
      {"/sources/0/batch_map/0:", "-1 (absent) to 1", [](C c) { first(c).batch_map = {-2, 0}; }},
      {"/sources/0/log_weight:", "finite", [=](C c) { first(c).log_weight = nan; }},
      {"/sources/0/log_weight:", "broadcast", [](C c) { first(c).log_weight_rows = at::ones({kBatches, 3}); }},
      {"/sources/0/key_bias:", "[2|1,4|1,5]", [](C c) { first(c).key_bias = at::ones({1, 1, kKeys + 1}); }},
      {"/sources/0/key_bias:", "broadcast", [](C c) { first(c).key_bias = at::ones({kKeys}); }},
      {"/sources/0/key_bias:", "NaN", [](C c) { first(c).key_bias = nan_in({1, 1, kKeys}); }},
      {"/sources/0/key_bias:", "infinity", [](C c) { first(c).key_bias = at::full({1, 1, kKeys}, kInfinity); }},
      {"/sources/0/key_bias:", "floating", [](C c) { first(c).key_bias = at::ones({1, 1, kKeys}, at::kLong); }},
      {"/sources/0/key_scale:", "broadcast", [](C c) { first(c).key_scale = at::ones({1, 3, kKeys}); }},
      {"/sources/0/key_scale:", "infinity", [](C c) { first(c).key_scale = at::full({1, 1, kKeys}, -kInfinity); }},
      {"/sources/0/key_gain:", "NaN", [](C c) { first(c).key_gain = nan_in({1, 1, kKeys}); }},
      {"/sources/0/key_class:", "uint8", [](C c) { first(c).key_class = at::ones({1, kKeys}); }},
      {"/sources/0/key_class:", "above 3", [](C c) { first(c).key_class = at::full({1, kKeys}, 4, at::kByte); }},
      {"/sources/0/key_class:", "[2|1,5]", [](C c) { first(c).key_class = at::ones({1, 1, kKeys}, at::kByte); }},
      {"/blend_weight:", "only with combine", [](C c) { c.blend_weight = {1}; }},
      {"/blend_weight:", "one per source, 1", [](C c) { c.combine = Combine::kBlend; }},
      {"/blend_weight:", "one per source, 2", [](C c) { c.combine = Combine::kBlend; c.sources.resize(2); c.blend_weight = {1}; }},
      {"/blend_weight:", "give one", [](C c) { c.combine = Combine::kBlend; c.blend_weight = {1}; c.blend_weight_map = {at::ones({1, kRows})}; }},
      {"/blend_weight/0:", "finite", [=](C c) { c.combine = Combine::kBlend; c.blend_weight = {nan}; }},
      {"/blend_weight/0:", "[B|1,Lq]", [](C c) { c.combine = Combine::kBlend; c.blend_weight_map = {at::ones({1, kRows + 1})}; }},
      {"/blend_weight/0:", "NaN", [](C c) { c.combine = Combine::kBlend; c.blend_weight_map = {nan_in({1, kRows})}; }},
      {"/pair_bias:", "broadcast", [](C c) { c.pair_bias = at::ones({1, kRows, kKeys + 1}); }},
      {"/pair_bias:", "NaN", [](C c) { c.pair_bias = nan_in({1, kRows, kKeys}); }},
      {"/redistribute/gain:", "one per head", [](C c) { c.class_table = ClassTable{{{1, 1, 1, 1}, {1, 1, 1, 1}}}; }},
      {"/redistribute/gain/0/3:", "finite", [=](C c) { c.class_table = ClassTable{{{1, 1, 1, nan}}}; }},
      {"/redistribute/keep:", "[0, 1]", [](C c) { c.visual = VisualRedistribution{.keep = 1.5}; }},
      {"/redistribute/rho_nonsink:", "[0, 1]", [](C c) { c.visual = VisualRedistribution{.rho_nonsink = -0.5}; }},
      {"/redistribute/min_vis_mass:", ">= 0", [=](C c) { c.visual = VisualRedistribution{.min_vis_mass = nan}; }},
      {"/redistribute/eps:", ">= 0", [](C c) { c.visual = VisualRedistribution{.eps = -1}; }},
      {"/redistribute/row_from:", ">= 0", [](C c) { c.visual = VisualRedistribution{.row_from = -1}; }},
      {"/redistribute/heads/0:", "4 heads", [](C c) { c.visual = VisualRedistribution{.heads = {4}}; }},
      {"/probes/0/heads:", "empty", with_probe([](Probe& p) { p.heads.emplace(); })},
      {"/probes/0/rows:", "empty", with_probe([](Probe& p) { p.rows.emplace(); })},
      {"/probes/0/keys:", "empty", with_probe([](Probe& p) { p.kind = ProbeKind::kKeys; p.keys.emplace(); })},
      {"/probes/0/rows/1:", "6 rows", with_probe([](Probe& p) { p.rows = {{0, kRows}}; })},
      {"/probes/0/heads/0:", "4 heads", with_probe([](Probe& p) { p.heads = {{-1}}; })},
      {"/probes/0/keys/0:", "5 keys", with_probe([](Probe& p) { p.kind = ProbeKind::kKeys; p.keys = {{kKeys}}; })},
      {"/probes/0/keys:", "alone", with_probe([](Probe& p) { p.keys = {{0}}; })},
      {"/probes/0/row_weight:", "alone", with_probe([](Probe& p) { p.row_weight = at::ones({1, kRows}); })},
      {"/probes/0/row_weight:", "broadcast", with_probe([](Probe& p) { p.kind = ProbeKind::kColSum; p.row_weight = at::ones({kRows}); })},
      {"/probes/0/row_weight:", "NaN", with_probe([](Probe& p) { p.kind = ProbeKind::kColSum; p.row_weight = nan_in({1, kRows}); })},
      {"/probes/0/k:", "1 to 5", with_probe([](Probe& p) { p.kind = ProbeKind::kTopk; p.k = 6; })},
      {"/probes/0/k:", "1 to 5", with_probe([](Probe& p) { p.kind = ProbeKind::kTopk; p.k = 0; })},
  };
}

std::string refusal(const AttentionControl& control, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  try {
    attention(q, k, v, control);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(AttentionValidation, EveryForbiddenControlIsNamed) {
  const at::Tensor q = at::ones({kBatches, kHeads, kRows, kDepth}), k = at::ones({kBatches, 2, kKeys, kDepth}), v = k;
  for (const Case& c : cases()) {
    AttentionControl control;
    c.change(control);
    const std::string message = refusal(control, q, k, v);
    EXPECT_TRUE(message.starts_with(c.pointer)) << c.pointer << " expected, got: " << message;
    EXPECT_NE(message.find(c.message), std::string::npos) << c.message << " expected, got: " << message;
    EXPECT_THROW(reference::attention(q, k, v, control), std::invalid_argument) << c.pointer;
  }
}

TEST(AttentionValidation, PairBiasStopsAt256Tokens) {
  AttentionControl control;
  control.pair_bias = at::zeros({1, 257, 4});
  EXPECT_TRUE(refusal(control, at::ones({1, 1, 257, 4}), at::ones({1, 1, 4, 4}), at::ones({1, 1, 4, 4})).starts_with("/pair_bias: is for at most 256"));
  control.pair_bias = at::ones({1, 256, 4});
  EXPECT_EQ(refusal(control, at::ones({1, 1, 256, 4}), at::ones({1, 1, 4, 4}), at::ones({1, 1, 4, 4})), "accepted");
}

TEST(AttentionValidation, TensorsOfTheCall) {
  const at::Tensor q = at::ones({kBatches, kHeads, kRows, kDepth}), k = at::ones({kBatches, 2, kKeys, kDepth});
  EXPECT_TRUE(refusal({}, q[0], k, k).starts_with("/q: has shape"));
  EXPECT_TRUE(refusal({}, at::ones({2, 4, 0, 8}), k, k).starts_with("/q: has shape"));
  EXPECT_TRUE(refusal({}, q.to(at::kLong), k, k).starts_with("/q: has dtype"));
  EXPECT_TRUE(refusal({}, q, k.slice(3, 0, 7), k).starts_with("/k: has width 7"));
  EXPECT_TRUE(refusal({}, q, at::ones({kBatches, 3, kKeys, kDepth}), at::ones({kBatches, 3, kKeys, kDepth})).starts_with("/k: has 3 heads"));
  EXPECT_TRUE(refusal({}, q, k, k.slice(2, 0, 4)).starts_with("/v: has shape"));
  EXPECT_TRUE(refusal({}, q, k.to(at::kDouble), k).starts_with("/k: has dtype"));
}

}  // namespace
}  // namespace attelier::kernels
