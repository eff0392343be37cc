#include "core/models/unet.h"
#include "tests/core/models/models_testing.h"

namespace attelier {
namespace {

struct ControlNetCase {
  const char* model;
  bool guess;
};
void PrintTo(const ControlNetCase& c, std::ostream* out) { *out << c.model << (c.guess ? " guess" : " plain"); }

UNetInputs inputs_of(const FixtureCase& fixture) {
  UNetInputs inputs;
  inputs.sample = fixture.input("sample");
  inputs.timestep = fixture.input("timestep");
  inputs.encoder_hidden_states = fixture.input("encoder_hidden_states");
  inputs.text_embeds = fixture.input("text_embeds");
  inputs.time_ids = fixture.input("time_ids");
  return inputs;
}

class ControlNetParity : public ModelTest, public ::testing::WithParamInterface<ControlNetCase> {};

TEST_P(ControlNetParity, EqualsDiffusers) {
  const auto [model, guess] = GetParam();
  const FixtureCase fixture(model, guess ? "guess" : "plain");
  const auto net = fixture_model<ControlNet, ControlNetConfig>(model);
  for (const bool prepared : {false, true}) {
    if (prepared) net->prepare_for_inference();
    const ControlNetResiduals residuals =
        net->forward(inputs_of(fixture), fixture.input("controlnet_cond"), fixture.input("conditioning_scale").item<double>(), guess, {});
    ASSERT_EQ(residuals.down.size() + 1, fixture.out.size());
    for (size_t i = 0; i < residuals.down.size(); ++i) EXPECT_TRUE(close(residuals.down[i], fixture.out.at(fmt::format("down_block_res_samples.{}", i)))) << i;
    EXPECT_TRUE(close(residuals.mid, fixture.out.at("mid_block_res_sample")));
  }
}

INSTANTIATE_TEST_SUITE_P(Flavours, ControlNetParity,
                         ::testing::Values(ControlNetCase{"controlnet_sd1", false}, ControlNetCase{"controlnet_sd1", true}, ControlNetCase{"controlnet_xl", false},
                                           ControlNetCase{"controlnet_xl", true}));

using ControlNetTest = ModelTest;

TEST_F(ControlNetTest, ScaleZeroChangesNoBitOfTheUNet) {
  const FixtureCase fixture("controlnet_sd1", "plain");
  const auto net = fixture_model<ControlNet, ControlNetConfig>("controlnet_sd1");
  const auto unet = fixture_model<UNet, UNetConfig>("unet_sd1");
  UNetInputs inputs = inputs_of(fixture);
  const at::Tensor without = unet->forward(inputs, {});
  ControlNetResiduals residuals = net->forward(inputs, fixture.input("controlnet_cond"), 0, false, {});
  inputs.down_residuals = residuals.down;
  inputs.mid_residual = residuals.mid;
  EXPECT_TRUE(unet->forward(inputs, {}).equal(without));
}

TEST_F(ControlNetTest, RefusesAPictureOfTheWrongSize) {
  const FixtureCase fixture("controlnet_sd1", "plain");
  const auto net = fixture_model<ControlNet, ControlNetConfig>("controlnet_sd1");
  try {
    net->forward(inputs_of(fixture), at::zeros({2, 3, 64, 64}), 1, false, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadInput);
    EXPECT_STREQ(error.what(), "controlnet_cond has the shape [2, 3, 64, 64]; [2, 3, 64, 32] is needed");
  }
}

TEST(ControlNetSizes, ParametersAndTensorsOfThePublishedModel) {
  ControlNet net(ControlNetConfig{});
  EXPECT_EQ(net.parameter_count(), 361279120);
  EXPECT_EQ(net.named_parameters().size(), 340u);
}

TEST(ControlNetConfigs, SurviveJson) {
  for (const char* model : {"controlnet_sd1", "controlnet_xl"}) {
    const ControlNetConfig config = ControlNetConfig::from_json(fixture_config(model));
    EXPECT_EQ(ControlNetConfig::from_json(config.to_json()).to_json(), config.to_json());
  }
}

}  // namespace
}  // namespace attelier
