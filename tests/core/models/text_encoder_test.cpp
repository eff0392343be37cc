#include "core/models/text_encoder.h"

#include "tests/core/models/models_testing.h"

namespace attelier {
namespace {

struct TextCase {
  const char *model, *title;
};
void PrintTo(const TextCase& c, std::ostream* out) { *out << c.model << " " << c.title; }

class TextEncoderParity : public ModelTest, public ::testing::WithParamInterface<TextCase> {};

TEST_P(TextEncoderParity, EqualsTransformers) {
  const FixtureCase fixture(GetParam().model, GetParam().title);
  const auto encoder = fixture_model<TextEncoder, TextEncoderConfig>(GetParam().model);
  for (const bool prepared : {false, true}) {
    if (prepared) encoder->prepare_for_inference();
    const TextEncoderOutput output = encoder->forward(fixture.input("input_ids"), fixture.input("attention_mask"));
    EXPECT_TRUE(close(output.last_hidden_state, fixture.out.at("last_hidden_state")));
    ASSERT_EQ(output.hidden_states.size(), 4u);
    for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(close(output.hidden_states[i], fixture.out.at(fmt::format("hidden_states.{}", i)))) << i;
    EXPECT_TRUE(close(output.pooled, fixture.out.at(encoder->config().projection > 0 ? "text_embeds" : "pooler_output")));
    EXPECT_TRUE(encoder->final_norm(output.hidden_states.back()).equal(output.last_hidden_state));
  }
}

INSTANTIATE_TEST_SUITE_P(Flavours, TextEncoderParity,
                         ::testing::Values(TextCase{"text_quick_gelu", "plain"}, TextCase{"text_quick_gelu", "short"}, TextCase{"text_quick_gelu", "masked"},
                                           TextCase{"text_gelu_projection", "plain"}, TextCase{"text_gelu_projection", "short"}, TextCase{"text_gelu_projection", "masked"}));

using TextEncoderTest = ModelTest;

TEST_F(TextEncoderTest, TokensSeeOnlyThePast) {
  const FixtureCase fixture("text_quick_gelu", "plain");
  const auto encoder = fixture_model<TextEncoder, TextEncoderConfig>("text_quick_gelu");
  at::Tensor ids = fixture.input("input_ids").clone();
  const at::Tensor before = encoder->forward(ids).last_hidden_state;
  ids.narrow(1, 20, 57).fill_(5);
  const at::Tensor after = encoder->forward(ids).last_hidden_state;
  EXPECT_TRUE(close(after.narrow(1, 0, 20), before.narrow(1, 0, 20), 1e-6));
  EXPECT_GT(relative_error(after.narrow(1, 20, 57), before.narrow(1, 20, 57)), 0.01);
}

// Ids beyond CLIP's own vocabulary are learnt words; the prompt still ends at the first end token.
TEST_F(TextEncoderTest, LearntWordsDoNotMoveTheEndOfThePrompt) {
  TextEncoderConfig config;
  config.vocabulary = 49410;
  config.width = 8, config.layers = 1, config.heads = 1, config.intermediate = 8;
  TextEncoder encoder(config);
  encoder.initialise(make_generator(1));
  const at::Tensor ids = at::full({1, 77}, 49407, at::kLong);
  ids[0][0] = 49406;
  ids[0][1] = 49409;
  const TextEncoderOutput output = encoder.forward(ids);
  EXPECT_TRUE(output.pooled.squeeze(0).equal(output.last_hidden_state[0][2]));
}

TEST_F(TextEncoderTest, RefusesWrongIds) {
  const auto encoder = fixture_model<TextEncoder, TextEncoderConfig>("text_quick_gelu");
  const auto message = [&](const at::Tensor& ids, const at::Tensor& mask = {}) {
    try {
      encoder->forward(ids, mask);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadInput);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message(at::full({1, 3}, 100, at::kLong)).find("0 to 99"), std::string::npos);
  EXPECT_NE(message(at::full({1, 3}, -1, at::kLong)).find("-1"), std::string::npos);
  EXPECT_NE(message(at::zeros({1, 78}, at::kLong)).find("[1, 78]"), std::string::npos);
  EXPECT_NE(message(at::zeros({1, 0}, at::kLong)).find("[1, 0]"), std::string::npos);
  EXPECT_NE(message(at::zeros({3})).find("Float"), std::string::npos);
  EXPECT_NE(message(at::zeros({1, 3}, at::kLong), at::ones({1, 4}, at::kLong)).find("attention_mask"), std::string::npos);
}

TEST(TextEncoderSizes, ParametersAndTensorsOfThePublishedModels) {
  TextEncoder clip_l{TextEncoderConfig{}};
  EXPECT_EQ(clip_l.parameter_count(), 123060480);
  EXPECT_EQ(clip_l.named_parameters().size(), 196u);
  TextEncoderConfig config;
  config.width = 1024, config.layers = 23, config.heads = 16, config.intermediate = 4096;
  TextEncoder open_clip_h(config);
  EXPECT_EQ(open_clip_h.parameter_count(), 340387840);
  EXPECT_EQ(open_clip_h.named_parameters().size(), 372u);
  config.width = 1280, config.layers = 32, config.heads = 20, config.intermediate = 5120, config.projection = 1280;
  TextEncoder open_clip_g(config);
  EXPECT_EQ(open_clip_g.parameter_count(), 694659840);
  EXPECT_EQ(open_clip_g.named_parameters().size(), 517u);
}

TEST(TextEncoderConfigs, SurviveJson) {
  for (const char* model : {"text_quick_gelu", "text_gelu_projection"}) {
    const TextEncoderConfig config = TextEncoderConfig::from_json(fixture_config(model));
    EXPECT_EQ(TextEncoderConfig::from_json(config.to_json()).to_json(), config.to_json());
  }
}

}  // namespace
}  // namespace attelier
