#include "core/models/unet.h"

#include "tests/core/models/models_testing.h"

namespace attelier {
namespace {

UNetInputs inputs_of(const FixtureCase& fixture) {
  UNetInputs inputs;
  inputs.sample = fixture.input("sample");
  inputs.timestep = fixture.input("timestep");
  inputs.encoder_hidden_states = fixture.input("encoder_hidden_states");
  inputs.text_embeds = fixture.input("text_embeds");
  inputs.time_ids = fixture.input("time_ids");
  inputs.guidance_embedding = fixture.input("guidance_embedding");
  for (int i = 0; fixture.in.contains(fmt::format("down_block_additional_residuals.{}", i)); ++i)
    inputs.down_residuals.push_back(fixture.input(fmt::format("down_block_additional_residuals.{}", i)));
  inputs.mid_residual = fixture.input("mid_block_additional_residual");
  return inputs;
}

std::unique_ptr<UNet> fixture_unet(const std::string& name) { return fixture_model<UNet, UNetConfig>(name); }

struct UNetCase {
  const char *model, *title;
};
void PrintTo(const UNetCase& c, std::ostream* out) { *out << c.model << " " << c.title; }

class UNetParity : public ModelTest, public ::testing::WithParamInterface<UNetCase> {};

TEST_P(UNetParity, EqualsDiffusers) {
  const FixtureCase fixture(GetParam().model, GetParam().title);
  const auto unet = fixture_unet(GetParam().model);
  EXPECT_TRUE(close(unet->forward(inputs_of(fixture), {}), fixture.out.at("sample")));
  unet->prepare_for_inference();
  EXPECT_TRUE(close(unet->forward(inputs_of(fixture), {}), fixture.out.at("sample")));
}

INSTANTIATE_TEST_SUITE_P(Flavours, UNetParity,
                         ::testing::Values(UNetCase{"unet_sd1", "even"}, UNetCase{"unet_sd1", "odd_size_rows"}, UNetCase{"unet_sd1", "float_timestep"},
                                           UNetCase{"unet_sd1", "residuals"}, UNetCase{"unet_sd2", "even"}, UNetCase{"unet_xl", "even"}, UNetCase{"unet_xl", "odd_size"},
                                           UNetCase{"unet_inpaint", "even"}, UNetCase{"unet_inpaint", "guidance_embedding"}));

using UNetTest = ModelTest;

TEST_F(UNetTest, ASilentProgramChangesNoBitAndSeesEverySiteInOrder) {
  const FixtureCase fixture("unet_xl", "even");
  const auto unet = fixture_unet("unet_xl");
  const at::Tensor plain = unet->forward(inputs_of(fixture), {});
  SilentProgram program;
  ForwardContext context;
  context.program = &program;
  EXPECT_TRUE(unet->forward(inputs_of(fixture), context).equal(plain));
  const std::vector<AttentionSite> sites = unet->sites();
  ASSERT_EQ(program.visited.size(), sites.size());
  for (size_t i = 0; i < sites.size(); ++i) {
    EXPECT_EQ(sites[i].index, static_cast<int64_t>(i));
    EXPECT_EQ(program.visited[i].index, sites[i].index);
    EXPECT_EQ(program.visited[i].path, sites[i].path);
  }
}

TEST_F(UNetTest, ResidualsOfZeroAddNothing) {
  const FixtureCase fixture("unet_sd1", "residuals");
  const auto unet = fixture_unet("unet_sd1");
  UNetInputs inputs = inputs_of(fixture);
  for (at::Tensor& residual : inputs.down_residuals) residual = residual * 0;
  inputs.mid_residual = inputs.mid_residual * 0;
  UNetInputs without = inputs;
  without.down_residuals.clear();
  without.mid_residual = at::Tensor();
  EXPECT_TRUE(unet->forward(inputs, {}).equal(unet->forward(without, {})));
}

TEST_F(UNetTest, BatchedRowsEqualSingleRows) {
  const FixtureCase fixture("unet_sd1", "odd_size_rows");
  const auto unet = fixture_unet("unet_sd1");
  const UNetInputs inputs = inputs_of(fixture);
  const at::Tensor both = unet->forward(inputs, {});
  EXPECT_EQ(both.sizes(), inputs.sample.sizes());
  for (int64_t row = 0; row < 2; ++row) {
    UNetInputs one;
    one.sample = inputs.sample.narrow(0, row, 1);
    one.timestep = inputs.timestep.narrow(0, row, 1);
    one.encoder_hidden_states = inputs.encoder_hidden_states.narrow(0, row, 1);
    EXPECT_TRUE(close(unet->forward(one, {}), both.narrow(0, row, 1)));
  }
}

TEST_F(UNetTest, RunsInBfloat16) {
  const FixtureCase fixture("unet_sd1", "even");
  const auto unet = fixture_unet("unet_sd1");
  unet->to(at::kCPU, at::kBFloat16);
  for (const bool prepared : {false, true}) {
    if (prepared) unet->prepare_for_inference();
    UNetInputs inputs = inputs_of(fixture);
    inputs.sample = inputs.sample.to(at::kBFloat16);
    inputs.encoder_hidden_states = inputs.encoder_hidden_states.to(at::kBFloat16);
    const at::Tensor result = unet->forward(inputs, {});
    EXPECT_EQ(result.scalar_type(), at::kBFloat16);
    EXPECT_TRUE(close(result, fixture.out.at("sample"), 0.05));
  }
}

TEST_F(UNetTest, StopsInsideAStep) {
  const FixtureCase fixture("unet_sd1", "even");
  std::stop_source stop;
  stop.request_stop();
  ForwardContext context;
  context.stop = stop.get_token();
  EXPECT_THROW(fixture_unet("unet_sd1")->forward(inputs_of(fixture), context), Interrupted);
}

TEST_F(UNetTest, RefusesWrongShapes) {
  const auto unet = fixture_unet("unet_xl");
  const UNetInputs right = inputs_of(FixtureCase("unet_xl", "even"));
  const auto message = [&](const auto& change) {
    UNetInputs inputs = right;
    change(inputs);
    try {
      unet->forward(inputs, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadInput);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([](UNetInputs& i) { i.sample = at::zeros({2, 5, 8, 8}); }), "sample has the shape [2, 5, 8, 8]; [batch, 4, height, width] is needed");
  EXPECT_EQ(message([](UNetInputs& i) { i.timestep = at::zeros({3}); }), "timestep has the shape [3]; [1] or [2] is needed");
  EXPECT_EQ(message([](UNetInputs& i) { i.encoder_hidden_states = at::zeros({2, 7, 13}); }), "encoder_hidden_states has the shape [2, 7, 13]; [2, tokens, 12] is needed");
  EXPECT_EQ(message([](UNetInputs& i) { i.text_embeds = at::Tensor(); }), "text_embeds has the shape []; [2, 10] is needed");
  EXPECT_EQ(message([](UNetInputs& i) { i.time_ids = at::zeros({2, 5}); }), "time_ids has the shape [2, 5]; [2, 6] is needed");
  EXPECT_EQ(message([](UNetInputs& i) { i.mid_residual = at::zeros({2, 16, 3, 4}); }), "mid_block_additional_residual has the shape [2, 16, 3, 4]; [2, 16, 4, 4] is needed");
  EXPECT_EQ(message([](UNetInputs& i) { i.down_residuals = {at::zeros({1})}; }), "1 ControlNet residuals were given; this UNet has 6 skips");
}

UNetConfig published(const char* name) {
  UNetConfig config;
  const std::string model = name;
  if (model == "inpaint") config.in_channels = 9;
  if (model == "sd2") {
    config.heads = {5, 10, 20, 20};
    config.cross_attention_dim = 1024;
    config.linear_projection = true;
  }
  if (model == "xl") {
    config.sample_size = 128;
    config.block_out_channels = {320, 640, 1280};
    config.down_attention = {false, true, true};
    config.up_attention = {true, true, false};
    config.transformer_layers = {1, 2, 10};
    config.heads = {5, 10, 20};
    config.cross_attention_dim = 2048;
    config.linear_projection = config.text_time_embedding = true;
  }
  return config;
}

TEST(UNetSizes, ParametersAndTensorsOfThePublishedModels) {
  struct Expected {
    const char* name;
    int64_t parameters;
    size_t tensors;
  };
  for (const Expected& expected : {Expected{"sd1", 859520964, 686}, Expected{"inpaint", 859535364, 686}, Expected{"sd2", 865910724, 686}, Expected{"xl", 2567463684, 1680}}) {
    UNet unet(published(expected.name));
    EXPECT_EQ(unet.parameter_count(), expected.parameters) << expected.name;
    EXPECT_EQ(unet.named_parameters().size(), expected.tensors) << expected.name;
  }
}

TEST(UNetSites, NumberingOfSd1) {
  struct Block {
    const char* path;
    int64_t heads, head_width;
  };
  const Block blocks[] = {
      {"down_blocks.0.attentions.0", 8, 40}, {"down_blocks.0.attentions.1", 8, 40}, {"down_blocks.1.attentions.0", 8, 80},  {"down_blocks.1.attentions.1", 8, 80},
      {"down_blocks.2.attentions.0", 8, 160}, {"down_blocks.2.attentions.1", 8, 160}, {"mid_block.attentions.0", 8, 160},   {"up_blocks.1.attentions.0", 8, 160},
      {"up_blocks.1.attentions.1", 8, 160},  {"up_blocks.1.attentions.2", 8, 160},  {"up_blocks.2.attentions.0", 8, 80},    {"up_blocks.2.attentions.1", 8, 80},
      {"up_blocks.2.attentions.2", 8, 80},   {"up_blocks.3.attentions.0", 8, 40},   {"up_blocks.3.attentions.1", 8, 40},    {"up_blocks.3.attentions.2", 8, 40}};
  const std::vector<AttentionSite> sites = UNet(published("sd1")).sites();
  ASSERT_EQ(sites.size(), 32u);
  for (size_t e = 0; e < 16; ++e)
    for (size_t half = 0; half < 2; ++half) {
      const AttentionSite& site = sites[2 * e + half];
      EXPECT_EQ(site.model, "unet");
      EXPECT_EQ(site.path, fmt::format("{}.transformer_blocks.0.attn{}", blocks[e].path, half + 1));
      EXPECT_EQ(site.index, static_cast<int64_t>(2 * e + half));
      EXPECT_EQ(site.kind, half == 0 ? AttentionKind::kSelf : AttentionKind::kCross);
      EXPECT_EQ(site.heads, blocks[e].heads);
      EXPECT_EQ(site.head_width, blocks[e].head_width);
    }
}

TEST(UNetSites, NumberingOfXl) {
  const std::vector<AttentionSite> sites = UNet(published("xl")).sites();
  ASSERT_EQ(sites.size(), 140u);
  struct Range {
    size_t first, depth, count;
    const char* path;
    int64_t heads;
  };
  for (const Range& range : {Range{0, 2, 2, "down_blocks.1", 10}, Range{4, 10, 2, "down_blocks.2", 20}, Range{24, 10, 1, "mid_block", 20}, Range{34, 10, 3, "up_blocks.0", 20},
                             Range{64, 2, 3, "up_blocks.1", 10}})
    for (size_t i = 0; i < range.count; ++i)
      for (size_t block = 0; block < range.depth; ++block) {
        const AttentionSite& self = sites[2 * (range.first + i * range.depth + block)];
        EXPECT_EQ(self.path, fmt::format("{}.attentions.{}.transformer_blocks.{}.attn1", range.path, i, block));
        EXPECT_EQ(self.heads, range.heads);
        EXPECT_EQ(self.head_width, 64);
      }
}

TEST(UNetConfigs, SurviveJson) {
  for (const char* name : {"sd1", "inpaint", "sd2", "xl"}) {
    const UNetConfig config = published(name);
    EXPECT_EQ(UNetConfig::from_json(config.to_json()).to_json(), config.to_json()) << name;
    EXPECT_EQ(UNet(UNetConfig::from_json(config.to_json())).parameter_count(), UNet(config).parameter_count()) << name;
  }
}

TEST(UNetConfigs, RefuseWhatIsNotSupported) {
  const auto message = [](const char* change) {
    nlohmann::json config = fixture_config("unet_sd1");
    config.merge_patch(nlohmann::json::parse(change));
    try {
      UNetConfig::from_json(config);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kModel);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message(R"({"act_fn": "gelu"})").find("\"act_fn\": \"gelu\""), std::string::npos);
  EXPECT_NE(message(R"({"down_block_types": ["AttnDownBlock2D", "DownBlock2D", "DownBlock2D"]})").find("AttnDownBlock2D"), std::string::npos);
  EXPECT_NE(message(R"({"block_out_channels": [8, 16]})").find("one entry per level"), std::string::npos);
  EXPECT_NE(message(R"({"block_out_channels": "wide"})").find("not a UNet's"), std::string::npos);
  EXPECT_NE(message(R"({"attention_head_dim": 3})").find("attention_head_dim"), std::string::npos);
  EXPECT_NE(message(R"({"norm_num_groups": 0})").find("norm_num_groups"), std::string::npos);
}

}  // namespace
}  // namespace attelier
