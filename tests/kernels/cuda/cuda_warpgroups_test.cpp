// The kernels of compute capability 9.0 against the double-precision reference, on the emulator: every compiled kernel, random calls, and what must hold exactly.
#include "kernels/cuda/arguments.h"
#include "tests/kernels/cuda/cuda_testing.h"
#include "tests/kernels/cuda/emulated_attention.h"

namespace attelier::kernels::cuda {
namespace {

/// One multiprocessor: calls are not split.
constexpr DeviceCaps kHopper = {.multiprocessors = 1, .shared_bytes = 227 << 10, .warpgroups = true};
constexpr DeviceCaps kAmpere = {.multiprocessors = 1, .shared_bytes = 163 << 10};

constexpr int kCases = 250;
constexpr int kWidths[] = {40, 64, 80, 128, 160};

AttentionResult compute(const Problem& p, const AttentionControl& control, Plan* plan = nullptr, const DeviceCaps& caps = kHopper) {
  return emulated_attention(canonicalise(control), p.q, p.k, p.v, caps, plan);
}

void expect_close(Case& c, const AttentionResult& fast, const Plan& plan) {
  const AttentionResult exact = reference::attention(c.problem.q, c.problem.k, c.problem.v, c.control);
  c.what += ", " + describe(plan);
  ASSERT_TRUE(at::isfinite(fast.o).all().item<bool>()) << c.what;
  expect_output(c, fast.o, exact.o);
  if (!c.control.renorm) {
    if (!exact.lse.isinf().any().item<bool>()) expect_lse(fast.lse, exact.lse, c.what);
    EXPECT_TRUE(at::equal(fast.lse.isinf(), exact.lse.isinf())) << c.what;
  }
  ASSERT_EQ(fast.probes.size(), exact.probes.size());
  for (size_t i = 0; i < exact.probes.size(); ++i) expect_probe_value(c, i, fast.probes[i], exact.probes[i], rounding_of_large_logits(c));
}

/// Rows of others are for the other kernels, as cuda_warpgroup_plan_test.cpp sees to.
bool has_boxes(const at::Tensor& x) { return !x.defined() || (x.stride(0) % 8 == 0 && x.stride(1) % 8 == 0 && x.stride(2) % 8 == 0); }
bool has_boxes(const Case& c) {
  bool all = has_boxes(c.problem.k) && has_boxes(c.problem.v);
  for (const Source& s : c.control.sources) all &= has_boxes(s.k) && has_boxes(s.v);
  return all;
}

TEST(CudaWarpgroups, RandomCalls) {
  at::manual_seed(71);
  Generator generator(71);
  int listed = 0, plain = 0, causal = 0, sources = 0, watched = 0;
  for (int n = 0, compared = 0; compared < kCases && !HasFailure(); ++n) {
    ASSERT_LT(n, 60 * kCases);
    Case c = CaseMaker(generator, warpgroup_sizes).make();
    // What these kernels leave to the others is left out.
    c.control.pair_bias = at::Tensor();
    c.control.visual.reset();
    if (c.control.combine == Combine::kBlend || c.problem.q.scalar_type() == at::kFloat || !has_boxes(c)) continue;
    c.what = fmt::format("case {}, {}", n, c.what);
    Plan plan;
    const AttentionResult fast = compute(c.problem, c.control, &plan);
    if (plan.family != Family::kWarpgroup) continue;
    expect_close(c, fast, plan);
    ++compared;
    listed += plan.listed;
    plain += plan.bundle == Bundle::kPlain;
    causal += c.control.causal.has_value();
    sources += c.control.sources.size() > 1;
    watched += !c.control.probes.empty();
  }
  fmt::print("{} calls: {} listed, {} plain, {} causal, {} with several sources, {} watched\n", kCases, listed, plain, causal, sources, watched);
  for (const int count : {listed, plain, causal, sources, watched}) EXPECT_GE(count, kCases / 25);
}

/// Two sources of many tiles, so that every stage comes round more than once.
AttentionControl typical(bool listed, const Problem& p) {
  AttentionControl control;
  Source other;
  other.k = random_heads(p.q.size(0), p.q.size(1), 150, p.q.size(3), Layout::kTokensFirst, p.q.scalar_type());
  other.v = random_heads(p.q.size(0), p.q.size(1), 150, p.v.size(3), Layout::kTokensFirst, p.q.scalar_type());
  other.log_weight = -0.5;
  control.sources = {Source{}, other};
  control.temperature = {1.5};
  if (listed) control.sources[0].key_bias = at::randn({1, p.q.size(1), p.k.size(2)}).masked_fill(at::rand({1, p.q.size(1), p.k.size(2)}) < 0.1, -kInfinity);
  return control;
}

TEST(CudaWarpgroups, EveryCompiledKernel) {
  at::manual_seed(72);
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf})
    for (const int width : kWidths)
      for (const bool listed : {false, true})
        for (const int64_t less : {0, 8}) {
          Case c;
          c.problem = random_problem({.batches = 1, .heads = 1, .key_heads = 1, .queries = 70, .keys = 600, .depth = width - less, .value_depth = width}, Layout::kTokensFirst, type);
          c.control = typical(listed, c.problem);
          c.what = c10::toString(type);
          Plan plan;
          const AttentionResult fast = compute(c.problem, c.control, &plan);
          EXPECT_EQ(plan.family, Family::kWarpgroup);
          EXPECT_EQ(plan.width, width);
          EXPECT_EQ(plan.listed, listed);
          expect_close(c, fast, plan);
        }
}

TEST(CudaWarpgroups, PlainCallsOfModels) {
  at::manual_seed(73);
  for (const Layout layout : {Layout::kHeadsFirst, Layout::kTokensFirst})
    for (const int64_t depth : {40, 64, 80, 128, 160}) {
      Case c;
      c.problem = random_problem({.batches = 2, .heads = 4, .key_heads = 2, .queries = 140, .keys = 300, .depth = depth, .value_depth = depth}, layout, at::kBFloat16);
      Plan plan;
      const AttentionResult fast = compute(c.problem, {}, &plan);
      EXPECT_EQ(plan.family, Family::kWarpgroup);
      EXPECT_EQ(plan.bundle, Bundle::kPlain);
      expect_close(c, fast, plan);
    }
}

/// Keys and values that all batch rows or heads share, and heads that come in groups.
TEST(CudaWarpgroups, BroadcastSources) {
  at::manual_seed(74);
  for (const int64_t shared : {0, 1}) {
    Case c;
    c.problem = random_problem({.batches = 3, .heads = 4, .key_heads = 4, .queries = 66, .keys = 130, .depth = 64, .value_depth = 64}, Layout::kHeadsFirst, at::kHalf);
    c.problem.k = c.problem.k.narrow(shared, 0, 1).expand_as(c.problem.k);
    c.problem.v = c.problem.v.narrow(shared, 0, 1).expand_as(c.problem.v);
    Source other;
    other.k = random_heads(2, 1, 40, 64, Layout::kHeadsFirst, at::kHalf);
    other.v = random_heads(2, 1, 40, 64, Layout::kHeadsFirst, at::kHalf);
    other.batch_map = {1, -1, 0};
    c.control.sources = {Source{}, other};
    Plan plan;
    const AttentionResult fast = compute(c.problem, c.control, &plan);
    EXPECT_EQ(plan.family, Family::kWarpgroup);
    expect_close(c, fast, plan);
  }
}

TEST(CudaWarpgroups, WatchingChangesNoBit) {
  at::manual_seed(75);
  const Problem p = random_problem({.queries = 70, .keys = 300, .depth = 64, .value_depth = 64}, Layout::kTokensFirst, at::kHalf);
  for (const bool listed : {false, true}) {
    AttentionControl control = typical(listed, p);
    const AttentionResult alone = compute(p, control);
    control.probes = {probe(ProbeKind::kColSum), probe(ProbeKind::kTopk), probe(ProbeKind::kHeadSum), probe(ProbeKind::kClassMass)};
    Plan plan;
    const AttentionResult watched = compute(p, control, &plan);
    EXPECT_EQ(plan.family, Family::kWarpgroup);
    EXPECT_TRUE(at::equal(alone.o, watched.o));
    EXPECT_TRUE(at::equal(alone.lse, watched.lse));
  }
}

TEST(CudaWarpgroups, WhatHiddenKeysHoldIsNotRead) {
  at::manual_seed(76);
  Problem p = random_problem({.heads = 1, .key_heads = 1, .queries = 80, .keys = 400, .depth = 80, .value_depth = 80}, Layout::kTokensFirst, at::kBFloat16);
  AttentionControl control;
  at::Tensor bias = at::zeros({1, 1, 400});
  bias.slice(2, 10, 275).fill_(-kInfinity);
  bias.slice(2, 399, 400).fill_(-kInfinity);
  control.sources.emplace_back().key_bias = bias;
  const AttentionResult before = compute(p, control);
  for (const auto& [begin, end] : {std::pair{10, 275}, {399, 400}}) {
    p.k.slice(2, begin, end).fill_(std::numeric_limits<double>::quiet_NaN());
    p.v.slice(2, begin, end).fill_(kInfinity);
  }
  Plan plan;
  EXPECT_TRUE(at::equal(compute(p, control, &plan).o, before.o));
  EXPECT_EQ(plan.family, Family::kWarpgroup);
  // A source that a weight of zero hides from one batch row and head.
  AttentionControl weighted;
  Source bad;
  bad.k = at::full_like(p.k, std::numeric_limits<double>::quiet_NaN()).slice(2, 0, 40);
  bad.v = bad.k.clone();
  bad.log_weight_rows = at::full({1, 1}, -kInfinity);
  p = random_problem({.heads = 1, .key_heads = 1, .queries = 80, .keys = 150, .depth = 80, .value_depth = 80}, Layout::kTokensFirst, at::kBFloat16);
  weighted.sources = {Source{}, bad, Source{}};
  weighted.sources[2].k = p.k.clone();
  weighted.sources[2].v = p.v.clone();
  const at::Tensor with_bad = compute(p, weighted, &plan).o;
  EXPECT_EQ(plan.family, Family::kWarpgroup);
  EXPECT_FALSE(plan.listed);
  weighted.sources.erase(weighted.sources.begin() + 1);
  EXPECT_TRUE(at::equal(with_bad, compute(p, weighted).o));
}

TEST(CudaWarpgroups, RowsWithoutVisibleKeysAreZero) {
  at::manual_seed(77);
  const Problem p = random_problem({.queries = 150, .keys = 300, .depth = 64, .value_depth = 64}, Layout::kHeadsFirst, at::kHalf);
  for (const bool listed : {false, true}) {
    AttentionControl control;
    if (listed) control.sources.emplace_back().key_bias = at::randn({1, 1, 300});
    control.causal = Causal{-70};
    Plan plan;
    const AttentionResult result = compute(p, control, &plan);
    EXPECT_EQ(plan.family, Family::kWarpgroup);
    EXPECT_EQ(result.o.slice(2, 0, 70).abs().max().item<double>(), 0);
    EXPECT_TRUE((result.lse.slice(2, 0, 70) == -kInfinity).all().item<bool>());
    EXPECT_TRUE(at::isfinite(result.lse.slice(2, 70)).all().item<bool>());
    control.causal.reset();
    if (!listed) continue;
    control.sources[0].key_bias.fill_(-kInfinity);
    const AttentionResult nothing = compute(p, control, &plan);
    EXPECT_EQ(nothing.o.abs().max().item<double>(), 0);
    EXPECT_TRUE((nothing.lse == -kInfinity).all().item<bool>());
  }
}

/// No source for a batch row, and sources of one key.
TEST(CudaWarpgroups, NoKeysAndOneKey) {
  at::manual_seed(78);
  Case c;
  c.problem = random_problem({.batches = 2, .heads = 2, .key_heads = 2, .queries = 66, .keys = 200, .depth = 40, .value_depth = 40}, Layout::kTokensFirst, at::kBFloat16);
  Source own, one;
  own.k = c.problem.k;
  own.v = c.problem.v;
  own.batch_map = {-1, 1};
  one.k = random_heads(1, 2, 1, 40, Layout::kTokensFirst, at::kBFloat16);
  one.v = random_heads(1, 2, 1, 40, Layout::kTokensFirst, at::kBFloat16);
  one.batch_map = {0, -1};
  c.control.sources = {own, one};
  Plan plan;
  const AttentionResult result = compute(c.problem, c.control, &plan);
  EXPECT_EQ(plan.family, Family::kWarpgroup);
  expect_close(c, result, plan);
  EXPECT_TRUE(at::equal(result.o[0], one.v[0].expand_as(result.o[0]))) << "one key: its value";
  c.control.sources[1].batch_map = {-1, 0};
  const AttentionResult none = compute(c.problem, c.control, &plan);
  EXPECT_EQ(plan.family, Family::kWarpgroup);
  EXPECT_EQ(none.o[0].abs().max().item<double>(), 0);
  EXPECT_TRUE((none.lse[0] == -kInfinity).all().item<bool>());
}

TEST(CudaWarpgroups, TwoSourcesAreTheirConcatenation) {
  at::manual_seed(79);
  const Problem p = random_problem({.queries = 70, .keys = 256, .depth = 64, .value_depth = 64}, Layout::kHeadsFirst, at::kBFloat16);
  AttentionControl halves;
  for (const int64_t begin : {0, 128}) {
    Source& s = halves.sources.emplace_back();
    s.k = p.k.slice(2, begin, begin + 128);
    s.v = p.v.slice(2, begin, begin + 128);
  }
  Plan plan;
  EXPECT_TRUE(at::equal(compute(p, halves, &plan).o, compute(p, {}).o)) << "the border is a border of tiles";
  EXPECT_EQ(plan.family, Family::kWarpgroup);
}

/// The other kernels round P and O at the same places.
TEST(CudaWarpgroups, AgreeWithTheKernelsOf80) {
  at::manual_seed(80);
  const Problem p = random_problem({.queries = 130, .keys = 400, .depth = 64, .value_depth = 64}, Layout::kTokensFirst, at::kHalf);
  for (const bool listed : {false, true}) {
    const AttentionControl control = typical(listed, p);
    Plan ninety, eighty;
    const AttentionResult a = compute(p, control, &ninety), b = compute(p, control, &eighty, kAmpere);
    EXPECT_EQ(ninety.family, Family::kWarpgroup);
    EXPECT_EQ(eighty.family, Family::kDense);
    EXPECT_LE(relative_difference(a.o, b.o), 6e-4);
    EXPECT_LE(relative_difference(a.lse, b.lse), 1e-6);
  }
}

}  // namespace
}  // namespace attelier::kernels::cuda
