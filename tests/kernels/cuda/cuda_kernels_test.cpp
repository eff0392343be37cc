// The CUDA kernels against the double-precision reference, on the emulator: every compiled kernel, random calls of the whole descriptor, and what must hold
// exactly.
#include <array>

#include "tests/kernels/cuda/cuda_testing.h"
#include "tests/kernels/cuda/emulated_attention.h"

namespace attelier::kernels::cuda {
namespace {

/// One multiprocessor: calls are not split. Very many: calls with enough keys are.
constexpr DeviceCaps kSmallDevice = {.multiprocessors = 1};
constexpr DeviceCaps kLargeDevice = {.multiprocessors = 4096};

constexpr int kCases = 1500;

AttentionResult compute(const Problem& p, const AttentionControl& control, const DeviceCaps& caps = kSmallDevice, Plan* plan = nullptr) {
  return emulated_attention(canonicalise(control), p.q, p.k, p.v, caps, plan);
}

void expect_close(Case& c, const DeviceCaps& caps, Plan* plan) {
  const AttentionResult fast = compute(c.problem, c.control, caps, plan);
  const AttentionResult exact = reference::attention(c.problem.q, c.problem.k, c.problem.v, c.control);
  c.what += ", " + describe(*plan);
  ASSERT_TRUE(at::isfinite(fast.o).all().item<bool>()) << c.what;
  expect_output(c, fast.o, exact.o);
  if (!c.control.renorm && c.control.combine == Combine::kConcat) {
    const bool hidden_rows = exact.lse.isinf().any().item<bool>();
    if (!hidden_rows) expect_lse(fast.lse, exact.lse, c.what);
    EXPECT_TRUE(at::equal(fast.lse.isinf(), exact.lse.isinf())) << c.what;
  }
  ASSERT_EQ(fast.probes.size(), exact.probes.size());
  for (size_t i = 0; i < exact.probes.size(); ++i) expect_probe_value(c, i, fast.probes[i], exact.probes[i], rounding_of_large_logits(c));
}

TEST(CudaKernels, RandomCallsOfTheWholeDescriptor) {
  at::manual_seed(31);
  Generator generator(31);
  std::array<int, kBundles> bundles = {};
  int compared = 0, split = 0;
  for (int n = 0; n < kCases && !HasFailure(); ++n) {
    Case c = CaseMaker(generator, generator.one_in(2) ? tile_sizes : small_sizes).make();
    c.what = fmt::format("case {}, {}", n, c.what);
    if (!decides_clearly(c)) continue;
    Plan plan;
    expect_close(c, generator.one_in(2) ? kSmallDevice : kLargeDevice, &plan);
    ++bundles[static_cast<size_t>(plan.bundle)];
    split += plan.parts > 0;
    ++compared;
  }
  fmt::print("{} calls: {} plain, {} score, {} mix; {} split\n", compared, bundles[0], bundles[1], bundles[2], split);
  EXPECT_GE(compared, kCases * 9 / 10) << "cases whose decisions were clear";
  EXPECT_GE(bundles[0], kCases / 50);
  EXPECT_GE(bundles[2], kCases / 10);
  EXPECT_GE(split, kCases / 50);
}

/// Two sources, one of them a tile and a bit long, with everything that a bundle does.
AttentionControl typical(Bundle bundle, const Problem& p) {
  AttentionControl control;
  if (bundle == Bundle::kPlain) return control;
  Source other;
  other.k = random_heads(p.q.size(0), p.q.size(1), 21, p.q.size(3), Layout::kTokensFirst, p.q.scalar_type());
  other.v = random_heads(p.q.size(0), p.q.size(1), 21, p.v.size(3), Layout::kTokensFirst, p.q.scalar_type());
  control.sources = {Source{}, other};
  control.sources[0].key_bias = random_bias(1, p.q.size(1), p.k.size(2));
  control.temperature = {1.5};
  if (bundle == Bundle::kMix) {
    control.combine = Combine::kBlend;
    control.blend_weight = {0.4, 0.7};
  }
  return control;
}

TEST(CudaKernels, EveryCompiledKernel) {
  at::manual_seed(32);
  const auto check = [](at::ScalarType type, int width) {
    for (const Bundle bundle : {Bundle::kPlain, Bundle::kScore, Bundle::kMix})
      for (const int64_t less : {0, 3}) {
        Case c;
        c.problem = random_problem({.batches = 1, .heads = 1, .key_heads = 1, .queries = 19, .keys = 70, .depth = width - less, .value_depth = width}, Layout::kTokensFirst, type);
        c.control = typical(bundle, c.problem);
        c.what = c10::toString(type);
        Plan plan;
        expect_close(c, kSmallDevice, &plan);
        EXPECT_EQ(plan.width, width);
        EXPECT_EQ(plan.bundle, bundle);
        EXPECT_EQ(plan.aligned, less == 0);
      }
  };
  for (const int width : kWidths) {
    check(at::kBFloat16, width);
    check(at::kHalf, width);
  }
  for (const int width : kFloatWidths) check(at::kFloat, width);
}

TEST(CudaKernels, WatchingChangesNoBit) {
  at::manual_seed(33);
  for (const Bundle bundle : {Bundle::kPlain, Bundle::kScore, Bundle::kMix})
    for (const DeviceCaps& caps : {kSmallDevice, kLargeDevice}) {
      const Problem p = random_problem({.queries = 40, .keys = 300}, Layout::kTokensFirst, at::kHalf);
      AttentionControl control = typical(bundle, p);
      const AttentionResult alone = compute(p, control, caps);
      control.probes = {probe(ProbeKind::kColSum), probe(ProbeKind::kTopk), probe(ProbeKind::kHeadSum), probe(ProbeKind::kClassMass)};
      const AttentionResult watched = compute(p, control, caps);
      EXPECT_TRUE(at::equal(alone.o, watched.o));
      EXPECT_TRUE(at::equal(alone.lse, watched.lse));
    }
}

TEST(CudaKernels, SplittingTheKeysChangesOnlyRounding) {
  at::manual_seed(34);
  const Problem p = random_problem({.heads = 2, .key_heads = 1, .queries = 1, .keys = 1500, .depth = 64, .value_depth = 64}, Layout::kTokensFirst, at::kFloat);
  AttentionControl control;
  control.sources.emplace_back().key_class = at::randint(0, 4, {1, 1500}, at::kByte);
  control.visual = VisualRedistribution{.keep = 0.5, .rho_nonsink = 0.1, .min_vis_mass = 0};
  Plan one, many;
  const AttentionResult whole = compute(p, control, kSmallDevice, &one), split = compute(p, control, kLargeDevice, &many);
  EXPECT_EQ(one.bundle, Bundle::kMix);
  EXPECT_EQ(many.bundle, Bundle::kScore);
  EXPECT_GT(many.parts, 1);
  EXPECT_LE(relative_difference(split.o, whole.o), 2e-6);
  const AttentionResult plain = compute(p, AttentionControl{});
  EXPECT_GT(relative_difference(whole.o, plain.o), 1e-2) << "the rule must have done something";
}

TEST(CudaKernels, WhatHiddenKeysHoldIsNotRead) {
  at::manual_seed(35);
  Problem p = random_problem({.heads = 1, .key_heads = 1, .queries = 20, .keys = 90}, Layout::kTokensFirst, at::kBFloat16);
  AttentionControl control;
  at::Tensor bias = at::zeros({1, 1, 90});
  bias.slice(2, 10, 75).fill_(-kInfinity);
  control.sources.emplace_back().key_bias = bias;
  const AttentionResult before = compute(p, control);
  p.k.slice(2, 10, 75).fill_(std::numeric_limits<double>::quiet_NaN());
  p.v.slice(2, 10, 75).fill_(kInfinity);
  EXPECT_TRUE(at::equal(compute(p, control).o, before.o));
}

TEST(CudaKernels, RowsWithoutVisibleKeysAreZero) {
  at::manual_seed(36);
  const Problem p = random_problem({.queries = 40, .keys = 300}, Layout::kHeadsFirst, at::kHalf);
  for (const DeviceCaps& caps : {kSmallDevice, kLargeDevice}) {
    AttentionControl control;
    control.causal = Causal{-5};
    const AttentionResult result = compute(p, control, caps);
    EXPECT_EQ(result.o.slice(2, 0, 5).abs().max().item<double>(), 0);
    EXPECT_TRUE((result.lse.slice(2, 0, 5) == -kInfinity).all().item<bool>());
    EXPECT_TRUE(at::isfinite(result.lse.slice(2, 5)).all().item<bool>());
  }
}

TEST(CudaKernels, TwoSourcesAreTheirConcatenation) {
  at::manual_seed(37);
  const Problem p = random_problem({.queries = 70, .keys = 128}, Layout::kHeadsFirst, at::kBFloat16);
  AttentionControl halves, whole;
  const auto part = [&](int64_t begin, int64_t end) {
    Source s;
    s.k = p.k.slice(2, begin, end);
    s.v = p.v.slice(2, begin, end);
    s.log_weight = 0.25;  // one source alone would run the plain kernel
    return s;
  };
  halves.sources = {part(0, 64), part(64, 128)};
  whole.sources = {part(0, 128)};
  EXPECT_TRUE(at::equal(compute(p, halves).o, compute(p, whole).o)) << "the border is a border of tiles";
}

}  // namespace
}  // namespace attelier::kernels::cuda
