// canonicalise() and is_plain(): what is dropped, folded and kept.
#include "tests/kernels/attention_testing.h"

namespace attelier::kernels {
namespace {

TEST(Canonicalise, DropsEveryNeutralField) {
  AttentionControl control;
  control.temperature = {1, 1, 1};
  control.q_blend = QueryBlend{at::full({1, 3, 5, 8}, std::numeric_limits<double>::quiet_NaN()), 0, {}};
  Source& source = control.sources.emplace_back();
  source.log_weight_rows = at::zeros({1, 3});
  source.key_bias = at::zeros({1, 1, 7});
  source.key_scale = at::ones({1, 3, 7});
  source.key_gain = at::ones({1, 1, 7});
  source.key_class = at::zeros({1, 7}, at::kByte);
  control.pair_bias = at::zeros({1, 5, 7});
  control.renorm = true;
  control.class_table = ClassTable{{{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}}};
  EXPECT_TRUE(is_plain(canonicalise(control)));
}

TEST(Canonicalise, KeepsWhatIsNotNeutral) {
  EXPECT_TRUE(is_plain(AttentionControl{}));
  const auto kept = [](auto change) {
    AttentionControl control;
    change(control);
    return !is_plain(canonicalise(control));
  };
  EXPECT_TRUE(kept([](AttentionControl& c) { c.temperature = {1, 2}; }));
  EXPECT_TRUE(kept([](AttentionControl& c) { c.q_blend = QueryBlend{at::ones({1, 1, 1, 1}), 0.1, {}}; }));
  EXPECT_TRUE(kept([](AttentionControl& c) { c.sources.emplace_back().key_bias = at::tensor({0.f, 1.f}).view({1, 1, 2}); }));
  EXPECT_TRUE(kept([](AttentionControl& c) { c.sources.emplace_back().key_gain = at::tensor({1.f, 0.f}).view({1, 1, 2}); }));
  EXPECT_TRUE(kept([](AttentionControl& c) { c.sources.emplace_back().k = at::ones({1, 1, 1, 1}); }));
  EXPECT_TRUE(kept([](AttentionControl& c) { c.causal = Causal{}; }));
  EXPECT_TRUE(kept([](AttentionControl& c) { c.probes.emplace_back(); }));
  EXPECT_TRUE(kept([](AttentionControl& c) { c.class_table = ClassTable{{{1, 1, 1, 2}}}; }));
}

TEST(Canonicalise, AScaleAloneStaysPlain) {
  AttentionControl control;
  control.scale = 0.2;
  const AttentionControl canonical = canonicalise(control);
  EXPECT_TRUE(is_plain(canonical));
  EXPECT_EQ(canonical.scale, 0.2);
}

TEST(Canonicalise, RenormalisedGainBecomesABias) {
  AttentionControl control;
  Source& source = control.sources.emplace_back();
  source.key_gain = at::tensor({1.f, 0.f, 2.f}).view({1, 1, 3});
  source.key_bias = at::tensor({1.f, 1.f, 1.f}).view({1, 1, 3});
  control.renorm = true;
  const AttentionControl canonical = canonicalise(control);
  EXPECT_FALSE(canonical.renorm);
  EXPECT_FALSE(canonical.sources[0].key_gain.defined());
  EXPECT_TRUE(at::allclose(canonical.sources[0].key_bias.flatten(), at::tensor({1.0, -INFINITY, 1 + std::log(2.0)}, at::kDouble)));
  // A probe sees the probabilities before the gain, so nothing may be folded.
  control.probes = {probe(ProbeKind::kRows, ProbeWhen::kPre)};
  EXPECT_TRUE(canonicalise(control).renorm);
}

TEST(Canonicalise, SourcesWithoutWeightGo) {
  AttentionControl control;
  control.sources.resize(3);
  control.sources[1].log_weight = -kInfinity;
  control.sources[2].batch_map = {-1, -1};
  EXPECT_TRUE(is_plain(canonicalise(control)));

  AttentionControl blend;
  blend.sources.resize(3);
  blend.combine = Combine::kBlend;
  blend.blend_weight = {0, 1, 0};
  EXPECT_TRUE(is_plain(canonicalise(blend)));
  blend.probes = {probe(ProbeKind::kRows)};
  EXPECT_EQ(canonicalise(blend).sources.size(), 3U);

  AttentionControl maps;
  maps.sources.resize(2);
  maps.combine = Combine::kBlend;
  maps.blend_weight_map = {at::zeros({1, 4}), at::ones({1, 4})};
  EXPECT_EQ(canonicalise(maps).blend_weight_map.size(), 1U);
}

TEST(Canonicalise, BlendOfOneSourceBecomesAGain) {
  AttentionControl control;
  control.combine = Combine::kBlend;
  control.blend_weight = {0.25};
  const AttentionControl canonical = canonicalise(control);
  EXPECT_EQ(canonical.combine, Combine::kConcat);
  EXPECT_EQ(canonical.sources.at(0).key_gain.item<float>(), 0.25F);
  control.blend_weight = {1};
  EXPECT_TRUE(is_plain(canonicalise(control)));
}

TEST(Canonicalise, VarThatCannotActGoes) {
  AttentionControl control;
  control.sources.emplace_back().key_class = at::tensor({0, 1, 3}, at::kByte).view({1, 3});
  control.visual = VisualRedistribution{};
  EXPECT_FALSE(is_plain(canonicalise(control)));
  control.visual->keep = 1;
  EXPECT_TRUE(is_plain(canonicalise(control)));
  control.visual = VisualRedistribution{.min_vis_mass = 1.5};
  EXPECT_TRUE(is_plain(canonicalise(control)));
  control.visual = VisualRedistribution{};
  control.sources[0].key_class = at::zeros({1, 3}, at::kByte);
  EXPECT_TRUE(is_plain(canonicalise(control)));
}

TEST(Canonicalise, LeavesItsArgumentAlone) {
  AttentionControl control;
  control.sources.emplace_back().key_gain = at::rand({1, 1, 3});
  control.renorm = true;
  const at::Tensor before = control.sources[0].key_gain.clone();
  canonicalise(control);
  EXPECT_TRUE(at::equal(control.sources[0].key_gain, before));
}

}  // namespace
}  // namespace attelier::kernels
