// compose(): what two programs may say together, and who observes what.
#include "tests/core/attention/program_testing.h"

namespace attelier {
namespace {

using kernels::AttentionControl;

at::Tensor composed(const Tensors& t, const Change& a, const Change& b) {
  const auto both = compose(program(a), program(b));
  return t.attend(both.get());
}

at::Tensor alone(const Tensors& t, const Change& change) {
  AttentionControl control;
  change(control);
  return kernels::attention(t.q, t.k, t.v, control).o;
}

TEST(Compose, OneProgramIsThatProgram) {
  const auto a = program([](AttentionControl&) {});
  EXPECT_EQ(compose(a, nullptr), a);
  EXPECT_EQ(compose(nullptr, a), a);
  EXPECT_EQ(compose(nullptr, nullptr), nullptr);
}

TEST(Compose, SilentProgramsCostNothing) {
  at::manual_seed(1);
  const Tensors t;
  const auto a = std::make_shared<FixedProgram>(std::nullopt), b = std::make_shared<FixedProgram>(std::nullopt);
  EXPECT_TRUE(at::equal(t.attend(compose(a, b).get()), kernels::plain_attention(t.q, t.k, t.v)));
  EXPECT_EQ(a->asked + b->asked, 2);
  const auto warm = program([](AttentionControl& c) { c.temperature = {2}; });
  t.attend(compose(a, warm).get());
  t.attend(compose(warm, a).get());
  EXPECT_TRUE(a->observed.empty());
  EXPECT_EQ(warm->observed.size(), 2U);
}

TEST(Compose, FieldsOfOneSideAreMerged) {
  at::manual_seed(2);
  const Tensors t;
  const at::Tensor k2 = at::randn({kBatches, kHeads, 9, kWidth}), q2 = at::randn({kBatches, kHeads, kRows, kWidth}), bias = at::randn({1, 1, kKeys}), gain = at::rand({1, 1, kKeys});
  const Change swap = [&](AttentionControl& c) {
    c.sources.resize(1);
    c.sources[0].k = c.sources[0].v = k2;
  };
  const Change blend_queries = [&](AttentionControl& c) { c.q_blend = kernels::QueryBlend{q2, 0.5, {}}; };
  const Change scaled = [](AttentionControl& c) { c.scale = 0.3; };
  const Change causal = [](AttentionControl& c) { c.causal = kernels::Causal{1}; };
  const auto both = [](const Change& a, const Change& b) { return [a, b](AttentionControl& c) { a(c), b(c); }; };
  EXPECT_TRUE(at::equal(composed(t, swap, blend_queries), alone(t, both(swap, blend_queries))));
  EXPECT_TRUE(at::equal(composed(t, blend_queries, swap), alone(t, both(swap, blend_queries))));
  EXPECT_TRUE(at::equal(composed(t, scaled, causal), alone(t, both(scaled, causal))));
  // What two programs say about the call's own keys is merged field by field.
  const Change biased = [&](AttentionControl& c) { c.sources.empty() ? c.sources.emplace_back().key_bias = bias : c.sources[0].key_bias = bias; };
  const Change gained = [&](AttentionControl& c) {
    if (c.sources.empty()) c.sources.emplace_back();
    c.sources[0].key_gain = gain;
    c.renorm = true;
  };
  EXPECT_TRUE(at::equal(composed(t, biased, gained), alone(t, both(biased, gained))));
  EXPECT_TRUE(at::equal(composed(t, gained, biased), alone(t, both(biased, gained))));
  const Change mixture = [&](AttentionControl& c) {
    swap(c);
    c.sources.emplace_back();
    c.combine = kernels::Combine::kBlend;
    c.blend_weight = {0.3, 0.7};
  };
  EXPECT_TRUE(at::equal(composed(t, mixture, scaled), alone(t, both(mixture, scaled))));
  EXPECT_TRUE(at::equal(composed(t, scaled, mixture), alone(t, both(mixture, scaled))));
}

TEST(Compose, TemperaturesMultiply) {
  at::manual_seed(3);
  const Tensors t;
  const auto temperature = [](std::vector<double> value) { return [value](AttentionControl& c) { c.temperature = value; }; };
  EXPECT_TRUE(at::equal(composed(t, temperature({1.5}), temperature({2})), alone(t, temperature({3}))));
  EXPECT_TRUE(at::equal(composed(t, temperature({2}), temperature({1, 2, 3})), alone(t, temperature({2, 4, 6}))));
  EXPECT_TRUE(at::equal(composed(t, temperature({1, 2, 3}), temperature({3, 2, 1})), alone(t, temperature({3, 4, 3}))));
}

TEST(Compose, EachObservesItsOwnProbes) {
  at::manual_seed(4);
  const Tensors t;
  const auto with = [](std::vector<kernels::ProbeKind> kinds) {
    return program([kinds](AttentionControl& c) {
      for (const kernels::ProbeKind kind : kinds) c.probes.emplace_back().kind = kind;
    });
  };
  using kernels::ProbeKind;
  const auto a = with({ProbeKind::kLse, ProbeKind::kColSum}), b = with({ProbeKind::kMap}), c = with({});
  const at::Tensor o = t.attend(compose(compose(a, b), c).get());
  EXPECT_TRUE(at::equal(o, kernels::plain_attention(t.q, t.k, t.v)));
  using Shape = std::vector<int64_t>;
  ASSERT_EQ(a->observed.at(0).probes.size(), 2U);
  EXPECT_EQ(a->observed[0].probes[0].value.sizes(), (Shape{kBatches, kHeads, kRows}));
  EXPECT_EQ(a->observed[0].probes[1].value.sizes(), (Shape{kBatches, kHeads, kKeys}));
  ASSERT_EQ(b->observed.at(0).probes.size(), 1U);
  EXPECT_EQ(b->observed[0].probes[0].value.sizes(), (Shape{kBatches, kHeads, kRows, kKeys}));
  EXPECT_TRUE(c->observed.at(0).probes.empty());
  EXPECT_TRUE(at::equal(c->observed[0].o, o));
}

TEST(Compose, ContradictionsNameTheFieldAndTheSite) {
  const Tensors t;
  const at::Tensor k2 = at::randn({kBatches, kHeads, 9, kWidth});
  const Change swap = [&](AttentionControl& c) {
    kernels::Source& source = c.sources.emplace_back();
    source.k = source.v = k2;
  };
  const Change mixture = [](AttentionControl& c) {
    c.sources.resize(2);
    c.combine = kernels::Combine::kBlend;
    c.blend_weight = {0.3, 0.7};
  };
  const Change biased = [](AttentionControl& c) { c.sources.emplace_back().key_bias = at::randn({1, 1, kKeys}); };
  const Change weighted = [](AttentionControl& c) { c.sources.emplace_back().key_gain = at::rand({1, 1, kKeys}); };
  const Change table = [](AttentionControl& c) { c.class_table = kernels::ClassTable{{{1, 2, 1, 1}}}; };
  const Change var = [](AttentionControl& c) { c.visual.emplace(); };
  const Change probes = [](AttentionControl& c) { c.probes.resize(3); };
  struct Case {
    const char* field;
    Change a, b;
  };
  const std::vector<Case> cases = {
      {"scale", [](AttentionControl& c) { c.scale = 1; }, [](AttentionControl& c) { c.scale = 1; }},
      {"q_blend", [](AttentionControl& c) { c.q_blend = kernels::QueryBlend{at::ones({kBatches, kHeads, kRows, kWidth}), 0.5, {}}; },
       [](AttentionControl& c) { c.q_blend = kernels::QueryBlend{at::ones({kBatches, kHeads, kRows, kWidth}), 0.5, {}}; }},
      {"sources", swap, swap},
      {"sources", swap, biased},
      {"sources", biased, swap},
      {"sources", mixture, swap},
      {"sources", biased, mixture},
      {"combine", mixture, mixture},
      {"key_bias", biased, biased},
      {"key_gain", weighted, weighted},
      {"causal", [](AttentionControl& c) { c.causal.emplace(); }, [](AttentionControl& c) { c.causal.emplace(); }},
      {"pair_bias", [](AttentionControl& c) { c.pair_bias = at::ones({1, kRows, kKeys}); }, [](AttentionControl& c) { c.pair_bias = at::ones({1, kRows, kKeys}); }},
      {"redistribute", table, var},
      {"redistribute", table, table},
      {"6 probes", probes, probes},
  };
  for (const Case& c : cases) {
    const std::string message = refusal_of([&] { composed(t, c.a, c.b); });
    EXPECT_TRUE(contains(message, c.field));
    EXPECT_TRUE(contains(message, "unet up_blocks.1.attentions.0.transformer_blocks.0.attn1")) << c.field;
  }
  // Each alone is fine, together they are what the descriptor forbids.
  EXPECT_TRUE(contains(refusal_of([&] { composed(t, mixture, table); }), "/redistribute"));
}

}  // namespace
}  // namespace attelier
