// The fast path against the double-precision reference: sizes, layouts, dtypes, and every field of the descriptor.
#include "tests/kernels/attention_testing.h"

namespace attelier::kernels {
namespace {

using Make = std::function<AttentionControl(const Problem&)>;

Source other_source(const Problem& p, int64_t keys, int64_t heads) {
  Source source;
  source.k = random_heads(p.q.size(0), heads, keys, p.q.size(3), Layout::kTokensFirst, p.q.scalar_type());
  source.v = random_heads(p.q.size(0), heads, keys, p.v.size(3), Layout::kHeadsFirst, p.q.scalar_type());
  return source;
}

at::Tensor random_classes(int64_t batches, int64_t keys) { return at::randint(0, 4, {batches, keys}, at::kByte); }

/// One control per field and the combinations that methods use.
std::vector<std::pair<std::string, Make>> controls() {
  std::vector<std::pair<std::string, Make>> all;
  const auto add = [&](const char* name, auto change) {
    all.emplace_back(name, [change](const Problem& p) {
      AttentionControl control;
      change(control, p);
      return control;
    });
  };
  using C = AttentionControl&;
  using P = const Problem&;
  add("neutral", [](C, P) {});
  add("scale", [](C c, P) { c.scale = 0.3; });
  add("temperature", [](C c, P) { c.temperature = {1.5}; });
  add("temperature per head", [](C c, P p) {
    c.temperature.clear();
    for (int64_t h = 0; h < p.q.size(1); ++h) c.temperature.push_back(0.5 + static_cast<double>(h));
  });
  add("query blend", [](C c, P p) { c.q_blend = QueryBlend{at::randn(p.q.sizes()).to(p.q.scalar_type()), 0.75, {}}; });
  add("query blend by rows", [](C c, P p) { c.q_blend = QueryBlend{at::randn(p.q.sizes()).to(p.q.scalar_type()), 0.75, at::rand({1, p.q.size(2)})}; });
  add("key bias", [](C c, P p) { c.sources.emplace_back().key_bias = random_bias(p.q.size(0), p.q.size(1), p.k.size(2)); });
  add("key bias for all", [](C c, P p) { c.sources.emplace_back().key_bias = random_bias(1, 1, p.k.size(2)); });
  add("everything masked for batch row 0", [](C c, P p) {
    at::Tensor bias = at::zeros({p.q.size(0), 1, p.k.size(2)});
    bias[0].fill_(-kInfinity);
    c.sources.emplace_back().key_bias = bias;
  });
  add("first half of the keys masked", [](C c, P p) {
    at::Tensor bias = at::zeros({1, 1, p.k.size(2)});
    bias.slice(2, 0, p.k.size(2) / 2).fill_(-kInfinity);
    c.sources.emplace_back().key_bias = bias;
  });
  add("key scale", [](C c, P p) { c.sources.emplace_back().key_scale = at::rand({1, p.q.size(1), p.k.size(2)}) * 2; });
  add("key gain", [](C c, P p) { c.sources.emplace_back().key_gain = at::randn({p.q.size(0), 1, p.k.size(2)}); });
  add("key gain, renormalised", [](C c, P p) {
    c.sources.emplace_back().key_gain = at::rand({1, p.q.size(1), p.k.size(2)});
    c.renorm = true;
  });
  add("two sources", [](C c, P p) {
    c.sources = {Source{}, other_source(p, 50, p.k.size(1))};
    c.sources[1].log_weight = 0.7;
    c.sources[1].key_bias = random_bias(1, p.q.size(1), 50);
  });
  add("four sources with other head counts", [](C c, P p) {
    c.sources = {Source{}, other_source(p, 5, 1), other_source(p, 33, p.q.size(1)), other_source(p, 1, 1)};
    c.sources[2].log_weight_rows = at::randn({p.q.size(0), p.q.size(1)});
    c.sources[3].key_gain = at::full({1, 1, 1}, 0.3);
  });
  add("batch map", [](C c, P p) {
    c.sources = {Source{}, other_source(p, 20, p.k.size(1))};
    for (int64_t b = 0; b < p.q.size(0); ++b) c.sources[1].batch_map.push_back(b == 0 ? -1 : 0);
  });
  add("only source absent for batch row 0", [](C c, P p) {
    c.sources = {other_source(p, 20, p.k.size(1))};
    for (int64_t b = 0; b < p.q.size(0); ++b) c.sources[0].batch_map.push_back(b == 0 ? -1 : b);
  });
  add("blend", [](C c, P p) {
    c.sources = {Source{}, other_source(p, 50, p.k.size(1))};
    c.sources[1].key_bias = random_bias(1, 1, 50);
    c.combine = Combine::kBlend;
    c.blend_weight = {0.3, 1.2};
  });
  add("blend by row", [](C c, P p) {
    c.sources = {Source{}, other_source(p, 50, 1)};
    c.combine = Combine::kBlend;
    c.blend_weight_map = {at::rand({1, p.q.size(2)}), at::rand({p.q.size(0), p.q.size(2)})};
  });
  add("blend by head, renormalised gain", [](C c, P p) {
    c.sources = {Source{}, other_source(p, 50, p.k.size(1))};
    c.sources[1].key_gain = at::rand({1, 1, 50});
    c.renorm = true;
    c.combine = Combine::kBlend;
    c.blend_weight_map = {at::rand({p.q.size(0), p.q.size(1)}), at::rand({p.q.size(0), p.q.size(1)})};
  });
  add("causal", [](C c, P) { c.causal = Causal{0}; });
  add("causal, bottom right", [](C c, P p) { c.causal = Causal{p.k.size(2) - p.q.size(2)}; });
  add("causal with hidden rows", [](C c, P) { c.causal = Causal{-3}; });
  add("causal over two sources with a bias", [](C c, P p) {
    c.sources = {Source{}, other_source(p, 20, p.k.size(1))};
    c.sources[0].key_bias = random_bias(1, 1, p.k.size(2));
    c.causal = Causal{15};
  });
  add("class table", [](C c, P p) {
    c.sources.emplace_back().key_class = random_classes(p.q.size(0), p.k.size(2));
    c.class_table = ClassTable{{{1, 0.5, 2, 0}}};
  });
  add("class table per head with gain", [](C c, P p) {
    c.sources.emplace_back().key_class = random_classes(1, p.k.size(2));
    c.sources[0].key_gain = at::rand({1, 1, p.k.size(2)});
    c.class_table = ClassTable{};
    for (int64_t h = 0; h < p.q.size(1); ++h) c.class_table->gain.push_back({1, 0.1 * static_cast<double>(h), 2, -1});
  });
  add("VAR", [](C c, P p) {
    c.sources.emplace_back().key_class = random_classes(p.q.size(0), p.k.size(2));
    c.visual = VisualRedistribution{};
    c.visual->row_from = 5;
    c.visual->heads = {0, p.q.size(1) - 1};
  });
  add("StyleID", [](C c, P p) {
    c.temperature = {1.5};
    c.q_blend = QueryBlend{at::randn(p.q.sizes()).to(p.q.scalar_type()), 0.75, {}};
    c.sources = {other_source(p, p.q.size(2), p.k.size(1))};
  });
  return all;
}

void expect_all(const Sizes& sizes, Layout layout, at::ScalarType type) {
  const Problem p = random_problem(sizes, layout, type);
  for (const auto& [name, make] : controls())
    expect_parity(p, make(p), fmt::format("{}, Lq {}, Lk {}, heads {}/{}, layout {}, {}", name, sizes.queries, sizes.keys, sizes.heads, sizes.key_heads,
                                          static_cast<int>(layout), c10::toString(type)));
}

TEST(AttentionParity, EveryFieldInFloat32) {
  at::manual_seed(1);
  expect_all({.batches = 3, .queries = 78, .keys = 49}, Layout::kTokensFirst, at::kFloat);
}

TEST(AttentionParity, EveryFieldWithGroupedHeads) {
  at::manual_seed(2);
  expect_all({.batches = 1, .heads = 6, .key_heads = 2, .queries = 49, .keys = 77, .depth = 16, .value_depth = 16}, Layout::kHeadsFirst, at::kFloat);
}

TEST(AttentionParity, EveryFieldWithOtherValueWidths) {
  at::manual_seed(3);
  expect_all({.heads = 3, .queries = 64, .keys = 15, .depth = 15, .value_depth = 30}, Layout::kStrided, at::kFloat);
  expect_all({.heads = 1, .key_heads = 1, .queries = 15, .keys = 64, .depth = 40, .value_depth = 7}, Layout::kTokensFirst, at::kFloat);
}

TEST(AttentionParity, EveryFieldInBFloat16) {
  at::manual_seed(4);
  expect_all({.batches = 3, .queries = 78, .keys = 129}, Layout::kTokensFirst, at::kBFloat16);
}

TEST(AttentionParity, EveryFieldInFloat16AndFloat64) {
  at::manual_seed(5);
  expect_all({.batches = 1, .queries = 49, .keys = 64}, Layout::kTokensFirst, at::kHalf);
  expect_all({.batches = 1, .queries = 49, .keys = 64, .depth = 16, .value_depth = 16}, Layout::kTokensFirst, at::kDouble);
}

TEST(AttentionParity, OddSizesAndLayouts) {
  at::manual_seed(6);
  const std::vector<int64_t> sizes = {1, 15, 49, 64, 77, 78, 128, 129, 154, 1000};
  const std::vector<Layout> layouts = {Layout::kHeadsFirst, Layout::kTokensFirst, Layout::kStrided};
  size_t turn = 0;
  for (const int64_t keys : sizes)
    for (const int64_t queries : sizes) {
      if (keys * queries > 100'000) continue;  // 1000 x 1000 has a case of its own
      const Layout layout = layouts[turn % 3];
      const at::ScalarType type = turn % 2 == 0 ? at::kFloat : at::kBFloat16;
      ++turn;
      const Problem p = random_problem({.queries = queries, .keys = keys, .depth = 24, .value_depth = 24}, layout, type);
      const std::string what = fmt::format("Lq {}, Lk {}, {}", queries, keys, c10::toString(type));
      expect_parity(p, {}, "plain, " + what);
      AttentionControl fused;
      fused.temperature = {1.25};
      fused.sources.emplace_back().key_bias = random_bias(1, 3, keys);
      expect_parity(p, fused, "bias, " + what);
      AttentionControl blocked = fused;
      blocked.causal = Causal{keys / 2};
      blocked.sources[0].key_class = random_classes(1, keys);
      blocked.visual = VisualRedistribution{.keep = 0.5, .rho_nonsink = 0.4, .min_vis_mass = 0.1};
      expect_parity(p, blocked, "VAR, " + what);
    }
}

TEST(AttentionParity, AThousandByAThousandInSeveralBlocks) {
  at::manual_seed(7);
  const Problem p = random_problem({.batches = 1, .heads = 5, .key_heads = 5, .queries = 1000, .keys = 1000, .depth = 8, .value_depth = 8});
  AttentionControl control;
  control.sources.emplace_back().key_class = random_classes(1, 1000);
  control.class_table = ClassTable{{{1, 0.5, 2, 0.25}}};
  control.probes = {probe(ProbeKind::kColSum), probe(ProbeKind::kLse)};
  expect_parity(p, control, "1000 x 1000");
}

TEST(AttentionParity, PairBiasOfWindows) {
  at::manual_seed(8);
  const Problem p = random_problem({.batches = 3, .queries = 49, .keys = 49, .depth = 32, .value_depth = 32});
  AttentionControl control;
  control.pair_bias = at::randn({3, 49, 49});
  expect_parity(p, control, "pair bias");
  at::Tensor masked = at::randn({1, 49, 49});
  masked[0][4].fill_(-kInfinity);
  control.pair_bias = masked;
  expect_parity(p, control, "pair bias with a masked row");
  control.sources = {Source{}, other_source(p, 15, 3)};
  control.pair_bias = at::randn({3, 49, 64});
  control.sources[0].key_bias = random_bias(3, 1, 49);
  expect_parity(p, control, "pair bias over two sources");
  control.causal = Causal{0};
  expect_parity(p, control, "pair bias and causal");
}

TEST(AttentionParity, LargeLogits) {
  at::manual_seed(9);
  Problem p = random_problem({.queries = 64, .keys = 154});
  p.q = p.q * 30;
  AttentionControl control;
  control.sources.emplace_back().key_bias = at::randn({1, 1, 154}) * 100;
  // Logits of several hundred have steps of 3e-5 in float32.
  EXPECT_LE(relative_difference(attention(p.q, p.k, p.v, control).o, reference::attention(p.q, p.k, p.v, control).o), 1e-4);
}

}  // namespace
}  // namespace attelier::kernels
