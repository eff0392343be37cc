// Addresses of sites, and attend() with and without programs.
#include "tests/core/attention/program_testing.h"

namespace attelier {
namespace {

TEST(AttentionSites, NamesOfKinds) {
  EXPECT_EQ(name(AttentionKind::kSelf), "self");
  EXPECT_EQ(name(AttentionKind::kCross), "cross");
  EXPECT_EQ(name(AttentionKind::kTemporal), "temporal");
  EXPECT_EQ(name(AttentionKind::kText), "text");
  EXPECT_EQ(name(AttentionKind::kVision), "vision");
}

TEST(AttentionSites, DecoderBlocksAsStyleIdCountsThem) {
  EXPECT_EQ(decoder_block("up_blocks.1.attentions.0.transformer_blocks.0.attn1"), 3);
  EXPECT_EQ(decoder_block("up_blocks.2.attentions.0.transformer_blocks.0.attn1"), 6);
  EXPECT_EQ(decoder_block("up_blocks.3.attentions.2.transformer_blocks.0.attn2"), 11);
  EXPECT_EQ(decoder_block("up_blocks.3.attentions.2"), 11);
  EXPECT_EQ(decoder_block("down_blocks.1.attentions.0.transformer_blocks.0.attn1"), -1);
  EXPECT_EQ(decoder_block("mid_block.attentions.0"), -1);
  EXPECT_EQ(decoder_block("up_blocks.1.resnets.0"), -1);
  EXPECT_EQ(decoder_block("up_blocks.x.attentions.0"), -1);
  EXPECT_EQ(decoder_block("up_blocks.1"), -1);
  EXPECT_EQ(decoder_block(""), -1);
}

TEST(Attend, WithoutAnAnswerIsPlainAttention) {
  at::manual_seed(1);
  const Tensors t;
  const at::Tensor plain = kernels::plain_attention(t.q, t.k, t.v);
  EXPECT_TRUE(at::equal(t.attend(nullptr), plain));
  FixedProgram silent(std::nullopt);
  EXPECT_TRUE(at::equal(t.attend(&silent, test_site(), 4), plain));
  EXPECT_EQ(silent.asked, 1);
  EXPECT_EQ(silent.last_step, 4);
  EXPECT_TRUE(silent.observed.empty());
  const auto neutral = program([](kernels::AttentionControl&) {});
  EXPECT_TRUE(at::equal(t.attend(neutral.get()), plain));
  EXPECT_EQ(neutral->observed.size(), 1U);
}

TEST(Attend, AppliesTheControlAndShowsTheOutcome) {
  at::manual_seed(2);
  const Tensors t;
  const auto warm = program([](kernels::AttentionControl& c) {
    c.temperature = {1.5};
    c.probes.emplace_back().kind = kernels::ProbeKind::kColSum;
  });
  const at::Tensor o = t.attend(warm.get());
  EXPECT_TRUE(at::allclose(o, kernels::plain_attention(t.q, t.k, t.v, 1.5 / std::sqrt(8.0)), 1e-5, 1e-6));
  ASSERT_EQ(warm->observed.size(), 1U);
  EXPECT_TRUE(at::equal(warm->observed[0].o, o));
  EXPECT_EQ(warm->observed[0].probes.at(0).value.sizes(), (std::vector<int64_t>{kBatches, kHeads, kKeys}));
}

TEST(Attend, CausalHoldsWithAnyProgram) {
  at::manual_seed(3);
  const Tensors t;
  ForwardContext context;
  const at::Tensor plain = attend(test_site(), t.q, t.q, t.q, context, 0, 0, true);
  EXPECT_TRUE(at::allclose(plain.select(2, 0), t.q.select(2, 0), 1e-6, 1e-6));
  const auto warm = program([](kernels::AttentionControl& c) { c.temperature = {2}; });
  context.program = warm.get();
  EXPECT_TRUE(at::allclose(attend(test_site(), t.q, t.q, t.q, context, 0, 0, true).select(2, 0), t.q.select(2, 0), 1e-6, 1e-6));
}

TEST(Attend, AForbiddenControlNamesTheSite) {
  const Tensors t;
  const auto cold = program([](kernels::AttentionControl& c) { c.temperature = {0}; });
  const std::string message = refusal_of([&] { t.attend(cold.get()); });
  EXPECT_TRUE(contains(message, "unet up_blocks.1.attentions.0.transformer_blocks.0.attn1"));
  EXPECT_TRUE(contains(message, "/temperature: is 0"));
}

TEST(Attend, StopsWhenAsked) {
  const Tensors t;
  std::stop_source source;
  ForwardContext context;
  context.stop = source.get_token();
  source.request_stop();
  EXPECT_THROW(attend(test_site(), t.q, t.k, t.v, context), Interrupted);
}

TEST(Attend, IsDifferentiableWithoutAProgram) {
  at::manual_seed(4);
  Tensors t;
  t.q = t.q.clone().requires_grad_();
  FixedProgram silent(std::nullopt);
  t.attend(&silent).sum().backward();
  EXPECT_TRUE(t.q.grad().defined());
}

}  // namespace
}  // namespace attelier
