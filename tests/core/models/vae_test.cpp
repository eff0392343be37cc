#include "core/models/vae.h"

#include "tests/core/models/models_testing.h"

namespace attelier {
namespace {

const VaeTiling kTiling{.enabled = true};

class VaeParity : public ModelTest, public ::testing::WithParamInterface<const char*> {
 protected:
  std::unique_ptr<Vae> vae_ = fixture_model<Vae, VaeConfig>(GetParam());

  void expect_encode(const char* title, const VaeTiling& tiling) {
    const FixtureCase fixture(GetParam(), title);
    const VaePosterior posterior = vae_->encode(fixture.input("sample"), {}, tiling);
    EXPECT_TRUE(close(posterior.mean, fixture.out.at("mean"))) << title;
    EXPECT_TRUE(close(posterior.logvar, fixture.out.at("logvar"))) << title;
  }
  void expect_decode(const char* title, const VaeTiling& tiling) {
    const FixtureCase fixture(GetParam(), title);
    EXPECT_TRUE(close(vae_->decode(fixture.input("latent"), {}, tiling), fixture.out.at("sample"))) << title;
  }
};

TEST_P(VaeParity, EqualsDiffusers) {
  for (const bool prepared : {false, true}) {
    if (prepared) vae_->prepare_for_inference();
    expect_encode("encode", {});
    expect_encode("encode_wide", {});
    expect_encode("encode_tiled", kTiling);
    expect_decode("decode", {});
    expect_decode("decode_tiled", kTiling);
  }
}

TEST_P(VaeParity, OneRowAtATimeIsTheBatch) {
  const at::Tensor picture = FixtureCase(GetParam(), "encode").input("sample"), latent = FixtureCase(GetParam(), "decode").input("latent");
  EXPECT_TRUE(close(vae_->encode(picture, {}, {}, true).mean, vae_->encode(picture).mean, 1e-5));
  EXPECT_TRUE(close(vae_->decode(latent, {}, {}, true), vae_->decode(latent), 1e-5));
}

TEST_P(VaeParity, TilingLeavesASmallPictureAlone) {
  const at::Tensor latent = FixtureCase(GetParam(), "decode").input("latent");
  VaeTiling tiling = kTiling;
  tiling.tile_pixels = 24;
  EXPECT_TRUE(vae_->decode(latent, {}, tiling).equal(vae_->decode(latent)));
  const at::Tensor picture = FixtureCase(GetParam(), "encode").input("sample");
  EXPECT_TRUE(vae_->encode(picture, {}, tiling).mean.equal(vae_->encode(picture).mean));
}

TEST_P(VaeParity, TilesAreCountedAndCanBeStopped) {
  const at::Tensor latent = FixtureCase(GetParam(), "decode_tiled").input("latent");
  int64_t last = 0, total = 0;
  vae_->decode(latent, {}, kTiling, false, [&](int64_t done, int64_t all) {
    EXPECT_EQ(done, last + 1);
    last = done, total = all;
  });
  EXPECT_GT(total, 1);
  EXPECT_EQ(last, total);
  std::stop_source stop;
  ForwardContext context;
  context.stop = stop.get_token();
  EXPECT_THROW(vae_->decode(latent, context, kTiling, false, [&](int64_t, int64_t) { stop.request_stop(); }), Interrupted);
}

INSTANTIATE_TEST_SUITE_P(Flavours, VaeParity, ::testing::Values("vae_4", "vae_8"));

using VaeTest = ModelTest;

TEST_F(VaeTest, RefusesWrongShapes) {
  const auto vae = fixture_model<Vae, VaeConfig>("vae_4");
  const auto code = [](const auto& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::kOk;
  };
  EXPECT_EQ(code([&] { vae->encode(at::zeros({1, 3, 17, 16})); }), ExitCode::kBadInput);
  EXPECT_EQ(code([&] { vae->encode(at::zeros({1, 4, 16, 16})); }), ExitCode::kBadInput);
  EXPECT_EQ(code([&] { vae->decode(at::zeros({1, 3, 4, 4})); }), ExitCode::kBadInput);
  EXPECT_EQ(code([&] { vae->decode(at::zeros({1, 4, 0, 4})); }), ExitCode::kBadInput);
  EXPECT_EQ(code([&] { vae->decode(at::zeros({4, 4, 4})); }), ExitCode::kBadInput);
}

TEST_F(VaeTest, ThePosteriorSamplesAroundItsMean) {
  const VaePosterior posterior{at::full({1}, 2.0), at::full({1}, std::log(9.0))};
  EXPECT_NEAR(posterior.sample(at::ones({1})).item<double>(), 5, 1e-6);
}

TEST(VaeSizes, ParametersAndTensorsOfThePublishedModel) {
  Vae vae{VaeConfig{}};
  EXPECT_EQ(vae.parameter_count(), 83653863);
  EXPECT_EQ(vae.named_parameters().size(), 248u);
}

TEST(VaeConfigs, SurviveJson) {
  for (const char* model : {"vae_4", "vae_8"}) {
    const VaeConfig config = VaeConfig::from_json(fixture_config(model));
    EXPECT_EQ(VaeConfig::from_json(config.to_json()).to_json(), config.to_json());
  }
}

TEST(VaeConfigs, RefuseWhatIsNotSupported) {
  const auto message = [](const char* change) {
    nlohmann::json config = fixture_config("vae_4");
    config.merge_patch(nlohmann::json::parse(change));
    try {
      VaeConfig::from_json(config);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kModel);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message(R"({"act_fn": "gelu"})").find("act_fn"), std::string::npos);
  EXPECT_NE(message(R"({"down_block_types": ["AttnDownEncoderBlock2D"]})").find("down_block_types"), std::string::npos);
  EXPECT_NE(message(R"({"block_out_channels": [], "down_block_types": null, "up_block_types": null})").find("block_out_channels"), std::string::npos);
  EXPECT_NE(message(R"({"block_out_channels": 5})").find("autoencoder"), std::string::npos);
  EXPECT_NE(message(R"({"norm_num_groups": 3})").find("norm_num_groups"), std::string::npos);
  EXPECT_NE(message(R"({"latent_channels": -1})").find("latent_channels"), std::string::npos);
}

}  // namespace
}  // namespace attelier
