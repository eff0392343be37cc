#include "core/models/upscalers/rgt.h"

#include <limits>

#include "core/models/upscalers/rgt_blocks.h"
#include "core/weights/load.h"
#include "core/weights/model_files.h"
#include "tests/core/models/upscalers/upscalers_testing.h"
#include "tests/kernels/gradients.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

using nlohmann::json;

const std::filesystem::path& fixtures() {
  static const std::filesystem::path folder = std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/models/rgt";
  return folder;
}

/// The numbers of a result that the fixtures hold.
at::Tensor samples(const at::Tensor& result, int64_t count) {
  return result.flatten().index_select(0, at::floor_divide(at::arange(count, at::kLong) * result.numel(), count));
}

class RgtTest : public UpscalerTest {
 protected:
  std::map<std::string, at::Tensor> results_ = read_all(*open_tensors(fixtures() / "results.safetensors"));

  void expect_result(const std::string& name, const at::Tensor& result) {
    const at::Tensor& expected = results_.at(name);
    EXPECT_LT(relative_error(samples(result, expected.numel()), expected), 2e-5) << name;
  }
};

struct ParityCase {
  const char* name;
  json changes;
  int64_t seed, height, width, batch;
};

TEST_F(RgtTest, EqualsThePlainImplementation) {
  const std::vector<ParityCase> cases = {
      {"x2_16x16", json::object(), 0, 16, 16, 1},
      {"x2_33x47", json::object(), 1, 33, 47, 3},
      {"x2_64x64", json::object(), 2, 64, 64, 1},
      {"x3_16x16", {{"upscale", 3}}, 3, 16, 16, 3},
      {"x3_33x47", {{"upscale", 3}}, 4, 33, 47, 1},
      {"x3_64x64", {{"upscale", 3}}, 5, 64, 64, 1},
      {"x4_16x16", {{"upscale", 4}}, 6, 16, 16, 1},
      {"x4_33x47", {{"upscale", 4}}, 7, 33, 47, 1},
      {"x4_64x64", {{"upscale", 4}}, 8, 64, 64, 3},
      {"wide_windows", {{"split_size", {4, 32}}}, 9, 37, 20, 1},
      {"turned_windows", {{"split_size", {16, 4}}}, 10, 21, 70, 1},
      {"three_convolutions", {{"resi_connection", "3conv"}, {"qkv_bias", false}, {"mlp_ratio", 1.5}, {"img_range", 2.0}}, 11, 24, 17, 2},
      {"position_bias", {{"depth", {3}}, {"num_heads", {4}}, {"embed_dim", 160}}, 12, 21, 30, 1},
      {"three_recursions", {{"depth", {2}}, {"num_heads", {4}}}, 13, 64, 1025, 1},
  };
  for (const ParityCase& c : cases) {
    Rgt model(tiny_config(c.changes));
    fill_seeded(model, static_cast<uint64_t>(100 + c.seed));
    const at::Tensor picture = random_picture(static_cast<uint64_t>(200 + c.seed), c.batch, c.height, c.width);
    for (const bool prepared : {false, true}) {
      if (prepared) model.prepare_for_inference();
      const at::Tensor result = model.forward(picture, {});
      EXPECT_EQ(result.sizes(), (std::vector<int64_t>{c.batch, 3, model.scale() * c.height, model.scale() * c.width}));
      expect_result(c.name, result);
    }
  }
}

TEST_F(RgtTest, ReadsTheAuthorsFile) {
  const ModelFiles files(fixtures() / "authors.pth");
  EXPECT_EQ(files.components(), std::vector<std::string>{"upscaler"});
  const json expected = {{"architecture", "rgt"}, {"upscale", 2},   {"in_chans", 3},   {"img_size", 64},       {"img_range", 1.0}, {"depth", {3}},
                         {"embed_dim", 32},       {"num_heads", {2}}, {"mlp_ratio", 2.0}, {"qkv_bias", true}, {"split_size", {2, 4}}, {"c_ratio", 0.5}, {"resi_connection", "1conv"}};
  EXPECT_EQ(files.config("upscaler"), expected);
  EXPECT_EQ(RgtConfig::from_json(expected).to_json(), expected);
  expect_result("authors", load_upscaler(fixtures() / "authors.pth", at::kCPU, at::kFloat)->forward(random_picture(301, 1, 20, 40), {}));
}

TEST_F(RgtTest, ReadsAFolderWithAConfig) {
  const auto source = open_tensors(fixtures() / "authors.pth");
  NamedTensors with_prefix, plain;
  for (const auto& [name, tensor] : read_all(*source)) {
    with_prefix.emplace_back("module." + name.substr(std::string("params.").size()), tensor);
    if (!name.ends_with("_0") && !name.ends_with("_1") && name.find("rpe_biases") == std::string::npos && name.find("position_index") == std::string::npos)
      plain.emplace_back(name.substr(std::string("params.").size()), tensor);
  }
  const std::string config = R"({"architecture": "rgt", "upscale": 2, "depth": [3], "embed_dim": 32, "num_heads": [2], "split_size": [2, 4]})";
  for (const NamedTensors& tensors : {with_prefix, plain}) {
    const TemporaryFolder folder;
    write_safetensors(folder / "model.safetensors", tensors);
    folder.write("config.json", config);
    expect_result("authors", load_upscaler(folder.path(), at::kCPU, at::kFloat)->forward(random_picture(301, 1, 20, 40), {}));
    expect_result("authors", load_upscaler(folder / "model.safetensors", at::kCPU, at::kFloat)->forward(random_picture(301, 1, 20, 40), {}));
  }
}

TEST_F(RgtTest, AWrongFileNamesAllWrongTensors) {
  const TemporaryFolder folder;
  std::filesystem::copy(fixtures() / "authors.pth", folder / "model.pth");
  folder.write("config.json", R"({"architecture": "rgt", "upscale": 4, "depth": [4], "embed_dim": 32, "num_heads": [2], "split_size": [2, 4], "mlp_ratio": 4})");
  const std::string message = message_of(ExitCode::kModel, [&] { load_upscaler(folder.path(), at::kCPU, at::kFloat); });
  EXPECT_TRUE(contains(message, "missing (33): \"layers.0.blocks.3.gamma\" [32]"));
  EXPECT_TRUE(contains(message, "wrong shape (21): "));
  EXPECT_TRUE(contains(message, "\"layers.0.blocks.0.mlp.fc1.weight\" is [64, 32], [128, 32] was expected"));
}

TEST_F(RgtTest, SizesAreThePapers) {
  struct Size {
    std::vector<int64_t> depth;
    int64_t upscale, parameters, entries;
  };
  const std::vector<int64_t> small(6, 6), large(8, 6);
  for (const Size& size : {Size{small, 2, 10051055, 1520}, Size{small, 3, 10235695, 1520}, Size{small, 4, 10198767, 1522}, Size{large, 2, 13217831, 2022},
                           Size{large, 3, 13402471, 2022}, Size{large, 4, 13365543, 2024}}) {
    RgtConfig config;
    config.depth = size.depth;
    config.num_heads = std::vector<int64_t>(size.depth.size(), 6);
    config.upscale = size.upscale;
    Rgt model(config);
    EXPECT_EQ(model.parameter_count(), size.parameters);
    // Beside the parameters, the authors' files hold two tables for each branch of L-SA and two masks for each shifted layer.
    int64_t shifted = 0;
    for (size_t g = 0; g < size.depth.size(); ++g) shifted += g % 2 == 0 ? 1 : 2;
    const auto groups = static_cast<int64_t>(size.depth.size());
    EXPECT_EQ(static_cast<int64_t>(model.named_parameters().size()) + 4 * 3 * groups + 2 * shifted, size.entries);
  }
}

TEST_F(RgtTest, MultiplyAddsAreThePapers) {
  RgtConfig config;
  EXPECT_NEAR(Rgt(config).multiply_adds(128, 128), 191.45e9, 0.01e9);
  config.depth = config.num_heads = std::vector<int64_t>(8, 6);
  EXPECT_NEAR(Rgt(config).multiply_adds(128, 128), 248.91e9, 0.01e9);
}

TEST_F(RgtTest, Recursions) {
  struct Case {
    int64_t height, width, recursions;
  };
  for (const Case& c : {Case{64, 64, 2}, Case{128, 128, 2}, Case{256, 256, 2}, Case{512, 512, 2}, Case{750, 1000, 2}, Case{1023, 1023, 2}, Case{1024, 1024, 3},
                        Case{1080, 1920, 3}, Case{4095, 300, 3}, Case{4096, 256, 4}, Case{16, 16, 2}, Case{1024, 63, 2}, Case{4096, 255, 3}, Case{15, 100, 1}})
    EXPECT_EQ(rgt_recursions(c.height, c.width), c.recursions) << c.height << " x " << c.width;
  EXPECT_EQ(rgt_training_recursions(64, 64), 2);
  EXPECT_EQ(rgt_training_recursions(48, 48), 1);
  EXPECT_EQ(rgt_training_recursions(256, 256), 3);
}

TEST_F(RgtTest, RefusesWhatTheArchitectureDoesNotTake) {
  Rgt model(tiny_config({{"depth", {2}}, {"num_heads", {4}}}));
  fill_seeded(model, 1);
  const auto code = [&](const at::Tensor& picture, std::string_view part, std::optional<int64_t> recursions = std::nullopt) {
    return error_of([&] { model.forward(picture, {}, recursions); }, part);
  };
  EXPECT_EQ(code(at::rand({1, 3, 15, 40}), "both sides must be at least 16"), ExitCode::kBadInput);
  EXPECT_EQ(code(at::rand({1, 3, 40, 0}), "both sides must be at least 16"), ExitCode::kBadInput);
  EXPECT_EQ(code(at::rand({1, 1, 40, 40}), "[B,3,H,W]"), ExitCode::kBadInput);
  EXPECT_EQ(code(at::rand({3, 40, 40}), "[B,3,H,W]"), ExitCode::kBadInput);
  EXPECT_EQ(code(at::rand({0, 3, 40, 40}), "[B,3,H,W]"), ExitCode::kBadInput);
  EXPECT_EQ(code(at::rand({1, 3, 63, 1024}), "recursions = 3", 3), ExitCode::kBadInput);
  EXPECT_EQ(code(at::rand({1, 3, 63, 64}), "recursions = 0", 0), ExitCode::kBadInput);
  // The authors' code fails here: three recursions of its rule leave nothing of the shorter side.
  EXPECT_TRUE(at::isfinite(model.forward(at::rand({1, 3, 63, 1024}), {})).all().item<bool>());
  for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    at::Tensor picture = at::rand({1, 3, 20, 20});
    picture[0][1][7][3] = value;
    EXPECT_EQ(code(picture, "NaN or Inf"), ExitCode::kNumerical);
  }
}

TEST_F(RgtTest, ImpossibleConfigsAreNamedTogether) {
  const std::string message = message_of(ExitCode::kModel, [] {
    RgtConfig::from_json({{"upscale", 5}, {"embed_dim", 100}, {"num_heads", {6, 6}}, {"split_size", {8, 20}}, {"resi_connection", "2conv"}, {"mlp_ratio", "two"}, {"depth", {6}}});
  });
  for (const char* part : {"\"upscale\" is 5", "\"num_heads\" holds 6", "\"num_heads\" has 2", "\"split_size\" is 8 x 20", "\"resi_connection\" is \"2conv\"", "\"mlp_ratio\" is \"two\""})
    EXPECT_TRUE(contains(message, part));
  for (const json& wrong : {json{{"embed_dim", 16}}, json{{"depth", json::array()}}, json{{"c_ratio", 0.31}}, json{{"mlp_ratio", 1e300}}, json{{"split_size", {8}}}, json{{"split_size", {1, 2}}},
                            json{{"in_chans", 1}}, json{{"img_range", 0}}, json{{"depth", {1000000}}}, json{{"embed_dim", -4}}, json{{"qkv_bias", 1}}, json{{"upscale", 1e30}}})
    EXPECT_THROW(RgtConfig::from_json(wrong), Error) << wrong.dump();
}

TEST_F(RgtTest, ABlockWithoutBranchesIsTheIdentity) {
  const RgtConfig config = tiny_config();
  const at::Tensor x = at::randn({1, 20, 18, 64}, make_generator(3));
  for (const int64_t index : {0, 1, 2}) {
    RgtBlock block(config, 0, index, 0);
    fill_seeded(block, 5);
    at::Tensor gamma;
    for (const auto& [name, parameter] : block.named_parameters()) {
      if (name.find("proj.") != std::string::npos && name.find("pos") == std::string::npos) parameter->value.zero_();
      if (name.find("fc2.") != std::string::npos) parameter->value.zero_();
      if (name == "gamma") gamma = parameter->value;
    }
    EXPECT_LT(relative_error(block.forward(x, 2, {}), x * (1 + gamma)), 1e-6);
    gamma.zero_();
    EXPECT_TRUE(block.forward(x, 2, {}).equal(x));
  }
}

/// Recursions of one strided convolution are a single one of 4^T x 4^T cells.
TEST_F(RgtTest, RecursionsFold) {
  const at::Tensor x = at::randn({1, 5, 70, 133}, make_generator(4)).to(at::kDouble), w = at::randn({5, 1, 4, 4}, make_generator(5)).to(at::kDouble), b = at::randn({5}, make_generator(6)).to(at::kDouble);
  const auto convolve = [](const at::Tensor& map, const at::Tensor& weight, const at::Tensor& bias, int64_t stride) {
    return at::conv2d(map, weight, bias, at::IntArrayRef({stride, stride}), at::IntArrayRef({0, 0}), at::IntArrayRef({1, 1}), 5);
  };
  at::Tensor level = x;
  const at::Tensor sum = w.sum({1, 2, 3});
  at::Tensor folded = w, shift = b;
  for (int64_t t = 1; t <= 3; ++t) {
    level = convolve(level, w, b, 4);
    const int64_t side = int64_t{1} << (2 * t);
    if (t > 1) {
      folded = (w.view({5, 4, 1, 4, 1}) * folded.view({5, 1, side / 4, 1, side / 4})).reshape({5, 1, side, side});
      shift = b + sum * shift;
    }
    const at::Tensor once = convolve(x, folded, shift, side);
    EXPECT_EQ(level.sizes(), once.sizes());
    EXPECT_LT(relative_error(level, once), 1e-12) << t;
  }
}

/// With one representative, every pixel gets the same, whatever its query.
TEST_F(RgtTest, OneRepresentativeServesAllPixels) {
  RecursiveAttention attention(tiny_config(), 4, "layers.0.blocks.1.attn", 0);
  fill_seeded(attention, 6);
  const at::Tensor x = at::randn({2, 16, 16, 64}, make_generator(7));
  const at::Tensor o = attention.forward(x, {}, 2, {});
  EXPECT_LT(relative_error(o, o.slice(1, 0, 1).slice(2, 0, 1).expand_as(o)), 1e-6);
}

TEST_F(RgtTest, StripsOfTheLastLayersChangeNothing) {
  for (const int64_t upscale : {2, 3, 4}) {
    Rgt model(tiny_config({{"upscale", upscale}, {"depth", {1}}, {"num_heads", {4}}}));
    fill_seeded(model, 8);
    model.prepare_for_inference();
    // Wide enough for strips, whose count depends on the area; rows of a batch are made in strips of another height.
    const at::Tensor picture = random_picture(9, 1, 42, 600), twice = at::cat({picture, picture.flip(3)});
    const at::Tensor one = model.forward(picture, {}), both = model.forward(twice, {});
    EXPECT_TRUE(both[0].equal(one[0])) << upscale;
    at::AutoGradMode whole(true);
    EXPECT_LT(relative_error(one, model.forward(picture, {})), 2e-6) << upscale;
  }
}

TEST_F(RgtTest, PositionBiasFollowsItsWeights) {
  Rgt model(tiny_config({{"depth", {1}}, {"num_heads", {4}}, {"embed_dim", 160}}));
  fill_seeded(model, 10);
  const at::Tensor picture = random_picture(11, 1, 20, 20);
  const at::Tensor before = model.forward(picture, {});
  model.prepare_for_inference();
  EXPECT_LT(relative_error(model.forward(picture, {}), before), 1e-5);
  for (const auto& [name, parameter] : model.named_parameters())
    if (name.find("pos3.2.weight") != std::string::npos) parameter->value.mul_(8);
  const at::Tensor after = model.forward(picture, {});
  EXPECT_GT(relative_error(after, before), 1e-4);
  model.to(at::kCPU, at::kFloat);
  EXPECT_LT(relative_error(model.forward(picture, {}), after), 1e-5);
}

TEST_F(RgtTest, Gradients) {
  for (const int64_t upscale : {2, 3}) {
    Rgt model(tiny_config({{"upscale", upscale}, {"depth", {3}}, {"embed_dim", 32}, {"num_heads", {2}}, {"split_size", {4, 8}}}));
    fill_seeded(model, 12);
    model.to(at::kCPU, at::kDouble);
    // Along one random direction through the picture and all parameters.
    const at::Tensor picture = random_picture(13, 1, 16, 17).to(at::kDouble);
    std::vector<at::Tensor> leaves = {picture.clone()}, directions;
    for (const auto& [name, parameter] : model.named_parameters()) leaves.push_back(parameter->value);
    const at::Generator generator = make_generator(14);
    for (const at::Tensor& leaf : leaves) directions.push_back(at::randn(leaf.sizes(), generator).to(at::kDouble));
    const at::Tensor weights = at::randn({1, 3, upscale * 16, upscale * 17}, generator).to(at::kDouble);
    const auto value = [&](double step) {
      std::vector<at::Tensor> kept;
      for (size_t i = 0; i < leaves.size(); ++i) {
        kept.push_back(leaves[i].clone());
        leaves[i].add_(directions[i], step);
      }
      const double result = (model.forward(leaves[0], {}) * weights).sum().item<double>();
      for (size_t i = 0; i < leaves.size(); ++i) leaves[i].copy_(kept[i]);
      return result;
    };
    constexpr double kStep = 1e-6;
    const double slope = (value(kStep) - value(-kStep)) / (2 * kStep);
    for (const bool recompute : {false, true}) {
      ForwardContext context;
      context.recompute = recompute;
      at::AutoGradMode gradients(true);
      for (at::Tensor& leaf : leaves) leaf.mutable_grad() = at::Tensor(), leaf.set_requires_grad(true);
      (model.forward(leaves[0], context) * weights).sum().backward();
      double along = 0;
      for (size_t i = 0; i < leaves.size(); ++i) {
        ASSERT_TRUE(leaves[i].grad().defined()) << i;
        along += (leaves[i].grad() * directions[i]).sum().item<double>();
      }
      EXPECT_NEAR(along, slope, 1e-5 * std::abs(slope)) << recompute;
    }
  }
}

TEST_F(RgtTest, ProgramsSeeTheRecursiveLayers) {
  struct Program : AttentionProgram {
    std::optional<kernels::AttentionControl> control(const AttentionCall& call) override {
      paths.push_back(call.site.path);
      EXPECT_EQ(call.q.sizes(), (std::vector<int64_t>{1, 4, 20 * 33, 8}));
      EXPECT_EQ(call.v.sizes(), (std::vector<int64_t>{1, 4, 2, 16}));
      kernels::AttentionControl control;
      control.probes.emplace_back().kind = kernels::ProbeKind::kColSum;
      return control;
    }
    void observe(const AttentionCall& call, const kernels::AttentionResult& result) override {
      EXPECT_EQ(call.grid_width, 33);
      EXPECT_NEAR(result.probes.at(0).value.sum().item<double>(), 4 * 20 * 33, 1);
    }
    std::vector<std::string> paths;
  } program;
  Rgt model(tiny_config());
  fill_seeded(model, 15);
  const at::Tensor picture = random_picture(16, 1, 20, 33);
  ForwardContext context;
  context.program = &program;
  EXPECT_LT(relative_error(model.forward(picture, context), model.forward(picture, {})), 1e-6);
  EXPECT_EQ(program.paths, (std::vector<std::string>{"layers.0.blocks.1.attn", "layers.0.blocks.3.attn", "layers.1.blocks.1.attn", "layers.1.blocks.3.attn"}));
}

TEST_F(RgtTest, HalfPrecision) {
  Rgt model(tiny_config());
  fill_seeded(model, 17);
  const at::Tensor picture = random_picture(18, 1, 20, 33), expected = model.forward(picture, {});
  model.to(at::kCPU, at::kBFloat16);
  model.prepare_for_inference();
  EXPECT_LT(relative_error(model.forward(picture.to(at::kBFloat16), {}), expected), 0.05);
}

TEST_F(RgtTest, StopsWhenAsked) {
  Rgt model(tiny_config());
  fill_seeded(model, 19);
  std::stop_source source;
  source.request_stop();
  ForwardContext context;
  context.stop = source.get_token();
  EXPECT_THROW(model.forward(at::rand({1, 3, 20, 20}), context), Interrupted);
}

}  // namespace
}  // namespace attelier
