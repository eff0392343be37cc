// Every probe, before and after the edits, with chosen and reduced heads, rows and keys, against the reference.
#include "tests/kernels/attention_testing.h"
#include "tests/kernels/levels.h"

namespace attelier::kernels {
namespace {

constexpr int64_t kHeads = 3, kRows = 37, kKeys = 29;

Problem small_problem(at::ScalarType type = at::kFloat) {
  return random_problem({.batches = 3, .heads = kHeads, .key_heads = 1, .queries = kRows, .keys = kKeys, .depth = 24, .value_depth = 24}, Layout::kTokensFirst, type);
}

/// Controls under which probes are read: fused with a bias, edited, blended, with hidden rows.
std::vector<std::pair<std::string, AttentionControl>> controls(const Problem& p) {
  AttentionControl neutral, biased, edited, blended, renormalised;
  biased.sources.resize(2);
  biased.sources[1].key_bias = random_bias(3, 1, kKeys);
  biased.sources[1].batch_map = {0, -1, 1};
  biased.temperature = {0.5, 1, 2};
  edited.sources.emplace_back().key_class = at::randint(0, 4, {3, kKeys}, at::kByte);
  edited.sources[0].key_gain = at::rand({1, kHeads, kKeys});
  edited.visual = VisualRedistribution{.keep = 0.5, .rho_nonsink = 0.3, .min_vis_mass = 0.1};
  edited.causal = Causal{-1};
  blended.sources.resize(2);
  blended.sources[1].k = at::randn({3, kHeads, 17, 24}).to(p.q.scalar_type());
  blended.sources[1].v = at::randn({3, kHeads, 17, 24}).to(p.q.scalar_type());
  blended.sources[1].key_class = at::randint(0, 4, {1, 17}, at::kByte);
  blended.combine = Combine::kBlend;
  blended.blend_weight = {0, 0.7};
  renormalised.sources.emplace_back().key_gain = at::rand({1, kHeads, kKeys});
  renormalised.renorm = true;
  return {{"neutral", neutral}, {"biased", biased}, {"edited", edited}, {"blended", blended}, {"renormalised", renormalised}};
}

const std::vector<std::pair<const char*, ProbeKind>> kKinds = {
    {"lse", ProbeKind::kLse},   {"class_mass", ProbeKind::kClassMass}, {"rows", ProbeKind::kRows},        {"keys", ProbeKind::kKeys},
    {"topk", ProbeKind::kTopk}, {"col_sum", ProbeKind::kColSum},       {"head_sum", ProbeKind::kHeadSum}, {"map", ProbeKind::kMap}};

void expect_kind(const Problem& p, ProbeKind kind, const char* name) {
  for (auto [control_name, control] : controls(p))
    for (const ReduceHeads reduce : {ReduceHeads::kNone, ReduceHeads::kSum, ReduceHeads::kMean}) {
      Probe all = probe(kind, ProbeWhen::kPre, reduce), after = probe(kind, ProbeWhen::kPost, reduce), some = after, one_row = all;
      some.heads = {{2, 0}};
      some.rows = {{30, 3, 3, 12}};
      one_row.rows = {{9}};
      one_row.heads = {{1}};
      if (kind == ProbeKind::kKeys) some.keys = {{5, 28, 0}};
      if (kind == ProbeKind::kColSum) {
        all.row_weight = at::rand({3, kRows});
        some.row_weight = at::rand({1, kRows});
      }
      // Rows that see one key tie everywhere else, and their order says nothing.
      if (kind == ProbeKind::kTopk) all.k = after.k = some.k = one_row.k = control.causal ? 1 : 8;
      if (kind == ProbeKind::kTopk && control.causal) all.rows = after.rows = {{20, 30}};
      control.probes = {all, after, some, one_row};
      expect_parity(p, control, fmt::format("{} {}, reduce {}", name, control_name, static_cast<int>(reduce)));
      // Without the first two only four rows are computed.
      control.probes = {some, one_row};
      expect_parity(p, control, fmt::format("{} {}, few rows, reduce {}", name, control_name, static_cast<int>(reduce)));
    }
}

TEST(AttentionProbes, EveryKindUnderEveryControl) {
  at::manual_seed(21);
  const Problem p = small_problem();
  for (const auto& [name, kind] : kKinds) expect_kind(p, kind, name);
}

TEST(AttentionProbes, BFloat16InputsGiveFloat32Probes) {
  at::manual_seed(22);
  const Problem p = small_problem(at::kBFloat16);
  expect_kind(p, ProbeKind::kMap, "map");
  AttentionControl control;
  control.probes = {probe(ProbeKind::kColSum)};
  EXPECT_EQ(attention(p.q, p.k, p.v, control).probes[0].value.scalar_type(), at::kFloat);
}

// More queries than pass over the keys together, so that strips of one block see different tiles of a causal rule and need different heads.
TEST(AttentionProbes, BlocksOfManyQueries) {
  at::manual_seed(24);
  const Problem p = random_problem({.batches = 2, .heads = 3, .key_heads = 3, .queries = 430, .keys = 250, .depth = 8, .value_depth = 8});
  AttentionControl control;
  control.sources.emplace_back().key_gain = at::rand({1, 3, 250});
  control.causal = Causal{-30};
  Probe sums = probe(ProbeKind::kColSum), mean = probe(ProbeKind::kColSum, ProbeWhen::kPre, ReduceHeads::kMean), largest = probe(ProbeKind::kTopk, ProbeWhen::kPre, ReduceHeads::kMean);
  sums.heads = {{1}};
  sums.rows = {{3, 250, 251, 400}};
  largest.k = 3;
  largest.rows = {{60, 100, 150, 199, 429}};
  Probe rows = probe(ProbeKind::kRows);
  rows.rows = {{0, 90, 191, 192, 300}};
  on_every_level([&] {
    for (const std::vector<Probe>& probes : {std::vector<Probe>{mean}, {sums, largest}, {mean, sums, largest, rows}}) {
      control.probes = probes;
      expect_parity(p, control, fmt::format("{} probes", probes.size()));
    }
  });
}

TEST(AttentionProbes, ShapesOfTheDescription) {
  at::manual_seed(23);
  const Problem p = small_problem();
  const auto shape = [&](Probe probe) {
    AttentionControl control;
    control.sources.resize(2);
    control.probes = {std::move(probe)};
    const std::vector<ProbeResult> results = attention(p.q, p.k, p.v, control).probes;
    return results[0].value.sizes().vec();
  };
  using Shape = std::vector<int64_t>;
  Probe some;
  some.heads = {{0, 2}};
  some.rows = {{1, 2, 5, 7}};
  const auto with = [&](ProbeKind kind, ReduceHeads reduce = ReduceHeads::kNone) {
    Probe p = some;
    p.kind = kind;
    p.reduce_heads = reduce;
    return p;
  };
  EXPECT_EQ(shape(with(ProbeKind::kLse)), (Shape{3, 2, 4}));
  EXPECT_EQ(shape(with(ProbeKind::kLse, ReduceHeads::kMean)), (Shape{3, 4}));
  EXPECT_EQ(shape(with(ProbeKind::kClassMass)), (Shape{3, 2, 4, 4}));
  EXPECT_EQ(shape(with(ProbeKind::kRows)), (Shape{3, 2, 4, 2 * kKeys}));
  EXPECT_EQ(shape(with(ProbeKind::kMap, ReduceHeads::kSum)), (Shape{3, 4, 2 * kKeys}));
  Probe keys = with(ProbeKind::kKeys);
  keys.keys = {{0, 2 * kKeys - 1, 7}};
  EXPECT_EQ(shape(keys), (Shape{3, 2, 4, 3}));
  Probe topk = with(ProbeKind::kTopk);
  topk.k = 5;
  EXPECT_EQ(shape(topk), (Shape{3, 2, 4, 5}));
  EXPECT_EQ(shape(with(ProbeKind::kColSum)), (Shape{3, 2, 2 * kKeys}));
  EXPECT_EQ(shape(with(ProbeKind::kColSum, ReduceHeads::kMean)), (Shape{3, 2 * kKeys}));
  EXPECT_EQ(shape(with(ProbeKind::kHeadSum)), (Shape{3, 4, 2 * kKeys}));
}

}  // namespace
}  // namespace attelier::kernels
