// Invariants of the descriptor: exact where they are exact, otherwise within the gates of float32.
#include <ATen/core/grad_mode.h>

#include "tests/kernels/attention_testing.h"

namespace attelier::kernels {
namespace {

const Sizes kSizes = {.batches = 3, .heads = 3, .key_heads = 3, .queries = 77, .keys = 78, .depth = 40, .value_depth = 40};

at::Tensor output(const Problem& p, const AttentionControl& control) { return attention(p.q, p.k, p.v, control).o; }

void expect_close(const at::Tensor& a, const at::Tensor& b) { EXPECT_LE(relative_difference(a, b), 5e-6); }

Source source_of(const at::Tensor& k, const at::Tensor& v) {
  Source source;
  source.k = k;
  source.v = v;
  return source;
}

/// An edit that needs the path in blocks, whatever else is asked.
void force_blocks(AttentionControl& control, int64_t keys) {
  if (control.sources.empty()) control.sources.emplace_back();
  control.causal = Causal{keys - 2};
}

TEST(AttentionInvariants, NeutralIsPlainBitForBit) {
  at::manual_seed(1);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Problem p = random_problem(kSizes, Layout::kTokensFirst, type);
    EXPECT_TRUE(at::equal(output(p, {}), plain_attention(p.q, p.k, p.v)));
    AttentionControl control;
    control.q_blend = QueryBlend{at::randn(p.q.sizes()).to(type), 0, {}};
    control.sources.emplace_back().key_bias = at::zeros({1, 1, kSizes.keys});
    control.temperature = {1, 1, 1};
    EXPECT_TRUE(at::equal(output(p, control), plain_attention(p.q, p.k, p.v)));
    control.scale = 0.1;
    EXPECT_TRUE(at::equal(output(p, control), plain_attention(p.q, p.k, p.v, 0.1)));
    // Watching changes nothing.
    control.probes = {probe(ProbeKind::kColSum), probe(ProbeKind::kLse)};
    EXPECT_TRUE(at::equal(output(p, control), plain_attention(p.q, p.k, p.v, 0.1)));
  }
}

TEST(AttentionInvariants, TemperatureIsAScale) {
  at::manual_seed(2);
  const Problem p = random_problem(kSizes);
  AttentionControl two, scaled, odd, odd_scaled;
  two.scale = 0.125;
  two.temperature = {2};
  scaled.scale = 0.25;
  EXPECT_TRUE(at::equal(output(p, two), output(p, scaled)));
  odd.scale = 0.1;
  odd.temperature = {1.5};
  odd_scaled.scale = 0.1 * 1.5;
  expect_close(output(p, odd), output(p, odd_scaled));
}

TEST(AttentionInvariants, TwoSourcesAreConcatenatedTensors) {
  at::manual_seed(3);
  const Problem p = random_problem(kSizes);
  AttentionControl control;
  control.sources = {source_of(p.k.slice(2, 0, 30), p.v.slice(2, 0, 30)), source_of(p.k.slice(2, 30), p.v.slice(2, 30))};
  EXPECT_TRUE(at::equal(output(p, control), plain_attention(p.q, p.k, p.v)));
  AttentionControl whole;
  force_blocks(control, kSizes.keys);
  force_blocks(whole, kSizes.keys);
  expect_close(output(p, control), output(p, whole));
}

TEST(AttentionInvariants, WeightlessSourcesAreAbsent) {
  at::manual_seed(4);
  const Problem p = random_problem(kSizes), other = random_problem(kSizes);
  AttentionControl control;
  control.sources = {Source{}, source_of(other.k, other.v)};
  control.sources[1].log_weight = -kInfinity;
  EXPECT_TRUE(at::equal(output(p, control), plain_attention(p.q, p.k, p.v)));
  control.sources[1].log_weight = 0;
  control.sources[1].batch_map = {-1, -1, -1};
  EXPECT_TRUE(at::equal(output(p, control), plain_attention(p.q, p.k, p.v)));
  control.sources[1].batch_map = {-1, 0, -1};
  const at::Tensor mixed = output(p, control), plain = plain_attention(p.q, p.k, p.v);
  expect_close(mixed[0], plain[0]);
  expect_close(mixed[2], plain[2]);
  EXPECT_GT(relative_difference(mixed[1], plain[1]), 0.1);
  // What an absent source would have held is never read.
  control.sources[1].k = other.k.clone();
  control.sources[1].v = other.v.clone();
  control.sources[1].k[2].fill_(std::numeric_limits<double>::quiet_NaN());
  control.sources[1].v[2].fill_(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(at::equal(output(p, control), mixed));
}

TEST(AttentionInvariants, TheSameSourceTwiceIsOnce) {
  at::manual_seed(5);
  const Problem p = random_problem(kSizes);
  AttentionControl control;
  control.sources = {Source{}, source_of(p.k, p.v)};
  expect_close(output(p, control), plain_attention(p.q, p.k, p.v));
  // Frame 0 beside every frame: for frame 0 itself this is plain attention.
  control.sources[1].batch_map = {0, 0, 0};
  const at::Tensor frames = output(p, control);
  expect_close(frames[0], plain_attention(p.q, p.k, p.v)[0]);
  const at::Tensor k1 = at::cat({p.k[1], p.k[0]}, 1).unsqueeze(0), v1 = at::cat({p.v[1], p.v[0]}, 1).unsqueeze(0);
  expect_close(frames[1], plain_attention(p.q.narrow(0, 1, 1), k1, v1)[0]);
}

TEST(AttentionInvariants, AConstantInAllLogWeightsChangesNothing) {
  at::manual_seed(6);
  const Problem p = random_problem(kSizes), other = random_problem(kSizes);
  AttentionControl a;
  a.sources = {Source{}, source_of(other.k, other.v)};
  a.sources[1].log_weight = 0.5;
  AttentionControl b = a;
  for (Source& source : b.sources) source.log_weight += 3;
  expect_close(output(p, a), output(p, b));
}

TEST(AttentionInvariants, BlendWithOneWeightIsThatSource) {
  at::manual_seed(7);
  const Problem p = random_problem(kSizes), other = random_problem(kSizes);
  AttentionControl control;
  control.sources = {Source{}, source_of(other.k, other.v)};
  control.combine = Combine::kBlend;
  control.blend_weight = {1, 0};
  EXPECT_TRUE(at::equal(output(p, control), plain_attention(p.q, p.k, p.v)));
  control.blend_weight = {0, 1};
  EXPECT_TRUE(at::equal(output(p, control), plain_attention(p.q, other.k, other.v)));
  // Not a mixture of distributions over one softmax: the shares are those asked for, however strong a source is.
  control.blend_weight = {0.5, 0.5};
  control.sources[1].log_weight = 50;
  expect_close(output(p, control), 0.5 * plain_attention(p.q, p.k, p.v) + 0.5 * plain_attention(p.q, other.k, other.v));
}

TEST(AttentionInvariants, KeysMayBePermuted) {
  at::manual_seed(8);
  const Problem p = random_problem(kSizes);
  AttentionControl control;
  Source& source = control.sources.emplace_back(source_of(p.k, p.v));
  source.key_bias = random_bias(3, 3, kSizes.keys);
  source.key_gain = at::rand({1, 3, kSizes.keys});
  source.key_class = at::randint(0, 4, {3, kSizes.keys}, at::kByte);
  control.visual = VisualRedistribution{.keep = 0.4, .rho_nonsink = 0.3, .min_vis_mass = 0.1};
  AttentionControl permuted = control;
  const at::Tensor order = at::randperm(kSizes.keys, at::kLong);
  permuted.sources[0] = source_of(p.k.index_select(2, order), p.v.index_select(2, order));
  permuted.sources[0].key_bias = source.key_bias.index_select(2, order);
  permuted.sources[0].key_gain = source.key_gain.index_select(2, order);
  permuted.sources[0].key_class = source.key_class.index_select(1, order);
  expect_close(output(p, control), output(p, permuted));
}

TEST(AttentionInvariants, RenormalisedGainIsABias) {
  at::manual_seed(9);
  const Problem p = random_problem(kSizes);
  AttentionControl gain, bias;
  gain.sources.emplace_back().key_gain = at::rand({3, 1, kSizes.keys});
  gain.renorm = true;
  bias.sources.emplace_back().key_bias = gain.sources[0].key_gain.log();
  expect_close(output(p, gain), output(p, bias));
  // The same without the folding, which a probe or a causal rule prevents.
  force_blocks(gain, kSizes.keys);
  force_blocks(bias, kSizes.keys);
  gain.probes = bias.probes = {probe(ProbeKind::kRows, ProbeWhen::kPost)};
  const AttentionResult a = attention(p.q, p.k, p.v, gain), b = attention(p.q, p.k, p.v, bias);
  expect_close(a.o, b.o);
  expect_close(a.probes[0].value, b.probes[0].value);
}

TEST(AttentionInvariants, VarThatCannotActIsPlainAndKeepsTheMass) {
  at::manual_seed(10);
  const Problem p = random_problem(kSizes);
  const at::Tensor plain = plain_attention(p.q, p.k, p.v);
  AttentionControl control;
  control.sources.emplace_back().key_class = at::randint(0, 4, {1, kSizes.keys}, at::kByte);
  control.visual = VisualRedistribution{.keep = 1};
  EXPECT_TRUE(at::equal(output(p, control), plain));
  control.visual = VisualRedistribution{.min_vis_mass = 1.01};
  EXPECT_TRUE(at::equal(output(p, control), plain));
  AttentionControl no_sink = control;
  no_sink.visual = VisualRedistribution{};
  no_sink.sources[0].key_class = at::randint(0, 3, {1, kSizes.keys}, at::kByte);
  expect_close(output(p, no_sink), plain);

  control.visual = VisualRedistribution{.keep = 0.5, .rho_nonsink = 0.2, .min_vis_mass = 0.1};
  control.probes = {probe(ProbeKind::kRows), probe(ProbeKind::kRows, ProbeWhen::kPre)};
  const AttentionResult result = attention(p.q, p.k, p.v, control);
  EXPECT_GT(relative_difference(result.probes[0].value, result.probes[1].value), 0.05);
  expect_close(result.probes[0].value.sum(-1), at::ones({3, 3, kSizes.queries}));
}

TEST(AttentionInvariants, CapturedRowsAreProbabilities) {
  at::manual_seed(11);
  const Problem p = random_problem(kSizes);
  AttentionControl control;
  Source& source = control.sources.emplace_back();
  source.key_class = at::randint(0, 4, {1, kSizes.keys}, at::kByte);
  source.key_gain = at::rand({1, 1, kSizes.keys});
  Probe columns = probe(ProbeKind::kColSum, ProbeWhen::kPre);
  columns.row_weight = at::rand({1, kSizes.queries});
  control.probes = {probe(ProbeKind::kRows, ProbeWhen::kPre), probe(ProbeKind::kClassMass, ProbeWhen::kPre), columns, probe(ProbeKind::kRows, ProbeWhen::kPost)};
  const AttentionResult result = attention(p.q, p.k, p.v, control);
  const at::Tensor rows = result.probes[0].value;
  expect_close(rows.sum(-1), at::ones({3, 3, kSizes.queries}));
  for (int64_t c = 0; c < 4; ++c) {
    const at::Tensor members = (source.key_class[0] == c).nonzero().flatten();
    expect_close(result.probes[1].value.select(3, c), rows.index_select(3, members).sum(-1));
  }
  expect_close(result.probes[2].value.sum(-1), at::full({3, 3}, columns.row_weight.sum().item<double>()));
  expect_close(at::matmul(result.probes[3].value, p.v), result.o);
}

TEST(AttentionInvariants, OneFrameReturnsItsValues) {
  at::manual_seed(12);
  const Problem p = random_problem({.batches = 5, .queries = 1, .keys = 1});
  EXPECT_TRUE(at::allclose(output(p, {}), p.v, 1e-6, 0));
}

TEST(AttentionInvariants, TwoRunsAreEqualAndWriteEverything) {
  at::manual_seed(13);
  const Problem p = random_problem(kSizes);
  AttentionControl control;
  Source& source = control.sources.emplace_back();
  source.key_bias = random_bias(3, 3, kSizes.keys);
  source.key_class = at::randint(0, 4, {1, kSizes.keys}, at::kByte);
  control.class_table = ClassTable{{{1, 0.3, 0.5, 2}}};
  control.causal = Causal{-2};
  control.probes = {probe(ProbeKind::kMap), probe(ProbeKind::kColSum), probe(ProbeKind::kTopk), probe(ProbeKind::kLse)};
  const AttentionResult first = attention(p.q, p.k, p.v, control);
  // Freed memory is reused: what a run leaves unwritten would show up as NaN.
  { const at::Tensor poison = at::full({1 << 20}, std::numeric_limits<double>::quiet_NaN(), at::kFloat); }
  const AttentionResult second = attention(p.q, p.k, p.v, control);
  EXPECT_FALSE(at::isnan(second.o).any().item<bool>());
  EXPECT_TRUE(at::equal(first.o, second.o));
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(first.probes[i].value, second.probes[i].value)) << i;
  EXPECT_EQ(first.o.slice(2, 0, 2).abs().max().item<float>(), 0);
  EXPECT_EQ(second.probes[3].value.slice(2, 0, 2).max().item<float>(), -kInfinity);
}

TEST(AttentionGradient, PlainAttentionIsDifferentiable) {
  at::manual_seed(14);
  for (const int64_t value_depth : {6, 9}) {
    const Problem raw = random_problem({.batches = 1, .heads = 2, .key_heads = 2, .queries = 5, .keys = 7, .depth = 6, .value_depth = value_depth}, Layout::kTokensFirst, at::kDouble);
    Problem p = {raw.q.clone().requires_grad_(), raw.k.clone().requires_grad_(), raw.v.clone().requires_grad_()};
    const at::Tensor weight = at::randn({1, 2, 5, value_depth}, at::kDouble);
    const auto loss = [&](const Problem& at) { return (plain_attention(at.q, at.k, at.v) * weight).sum(); };
    loss(p).backward();
    for (const auto& [name, pick] : {std::pair<const char*, at::Tensor Problem::*>{"q", &Problem::q}, {"k", &Problem::k}, {"v", &Problem::v}}) {
      const at::Tensor gradient = (p.*pick).grad();
      ASSERT_TRUE(gradient.defined()) << name;
      const at::NoGradGuard no_gradients;
      const at::Tensor direction = at::randn(gradient.sizes(), at::kDouble);
      Problem plus = raw, minus = raw;
      plus.*pick = raw.*pick + 1e-5 * direction;
      minus.*pick = raw.*pick - 1e-5 * direction;
      const double slope = (loss(plus) - loss(minus)).item<double>() / 2e-5;
      EXPECT_NEAR((gradient * direction).sum().item<double>(), slope, 1e-6 * std::max(1.0, std::abs(slope))) << name;
    }
  }
}

TEST(AttentionGradient, FusedControlsHaveOneAndTheOthersSaySo) {
  at::manual_seed(15);
  Problem p = random_problem({.batches = 1, .queries = 8, .keys = 8});
  p.q = p.q.clone().requires_grad_();
  AttentionControl control;
  control.sources.emplace_back().key_bias = at::randn({1, 1, 8});
  control.probes = {probe(ProbeKind::kColSum)};
  output(p, control).sum().backward();
  EXPECT_TRUE(p.q.grad().defined());
  control.sources[0].key_class = at::ones({1, 8}, at::kByte);
  control.class_table = ClassTable{{{1, 2, 1, 1}}};
  EXPECT_THROW(output(p, control), std::invalid_argument);
}

}  // namespace
}  // namespace attelier::kernels
