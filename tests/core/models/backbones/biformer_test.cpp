// What is true of bi-level routing attention whatever its weights, and the sizes of the released models.
#include "core/models/backbones/biformer.h"

#include "tests/core/models/backbones/backbones_testing.h"

namespace attelier {
namespace {

using Json = nlohmann::json;

const Json kTiny = {
    {"architecture", "biformer"}, {"depth", {1, 1, 1, 1}}, {"embed_dim", {8, 8, 16, 16}}, {"head_dim", 8}, {"mlp_ratios", {2, 2, 2, 2}}, {"n_win", 2},
    {"topks", {1, 2, 3, -2}},     {"num_classes", 5}};

Json changed(Json config, const Json& change) {
  config.update(change);
  return config;
}

Json released(const char* name) {
  const Json sizes = {{"T", {{"depth", {2, 2, 8, 2}}, {"embed_dim", {64, 128, 256, 512}}}},
                      {"S", {{"depth", {4, 4, 18, 4}}, {"embed_dim", {64, 128, 256, 512}}}},
                      {"B", {{"depth", {4, 4, 18, 4}}, {"embed_dim", {96, 192, 384, 768}}}}};
  if (std::string(name).starts_with("biformer_stl")) return {{"architecture", name}};
  return changed(sizes.at(name), {{"architecture", "biformer"},
                                  {"mlp_ratios", {3, 3, 3, 3}},
                                  {"n_win", 7},
                                  {"topks", {1, 4, 16, -2}},
                                  {"qk_dims", sizes.at(name)["embed_dim"]},
                                  {"head_dim", 32},
                                  {"kv_downsample_mode", "identity"},
                                  {"kv_per_wins", {-1, -1, -1, -1}},
                                  {"side_dwconv", 5},
                                  {"before_attn_dwconv", 3},
                                  {"layer_scale_init_value", -1},
                                  {"param_routing", false},
                                  {"diff_routing", false},
                                  {"soft_routing", false},
                                  {"pre_norm", true},
                                  {"pe", nullptr}});
}

struct Released {
  const char* name;
  int64_t parameters;
  size_t entries;  // of the state_dict
  double multiply_adds;
};

class BiFormerSizes : public ::testing::TestWithParam<Released> {};

TEST_P(BiFormerSizes, AreThePublishedOnes) {
  BiFormer model(BiFormerConfig::from_json(released(GetParam().name)));
  int64_t parameters = 0;
  size_t entries = 0;
  for (const auto& [name, parameter] : model.named_parameters()) {
    ++entries;
    if (!parameter->is_buffer) parameters += c10::multiply_integers(parameter->shape);
    else if (name.ends_with("running_var")) ++entries;  // num_batches_tracked beside it
  }
  EXPECT_EQ(parameters, GetParam().parameters);
  EXPECT_EQ(entries, GetParam().entries);
  EXPECT_NEAR(model.multiply_adds(224, 224) / GetParam().multiply_adds, 1, 0.002);
}

// The counts of the authors' state_dicts; multiply-adds as their tables have them, with one more digit.
INSTANTIATE_TEST_SUITE_P(All, BiFormerSizes,
                         ::testing::Values(Released{"T", 13142760, 264, 2.216e9}, Released{"S", 25536232, 518, 4.464e9},
                                           Released{"B", 56804968, 518, 9.759e9}, Released{"biformer_stl", 28372552, 201, 4.567e9},
                                           Released{"biformer_stl_nchw", 28372552, 201, 4.567e9}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BiFormerNames, AreTheCheckpoints) {
  BiFormer base(BiFormerConfig::from_json(released("B")));
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, parameter] : base.named_parameters()) shapes[name] = parameter->shape;
  EXPECT_EQ(shapes.at("downsample_layers.0.3.weight"), (std::vector<int64_t>{96, 48, 3, 3}));
  EXPECT_EQ(shapes.at("downsample_layers.3.1.running_mean"), (std::vector<int64_t>{768}));
  EXPECT_EQ(shapes.at("stages.2.0.pos_embed.weight"), (std::vector<int64_t>{384, 1, 3, 3}));
  EXPECT_EQ(shapes.at("stages.2.17.attn.qkv.qkv.weight"), (std::vector<int64_t>{1152, 384}));
  EXPECT_EQ(shapes.at("stages.2.17.mlp.3.weight"), (std::vector<int64_t>{384, 1152}));
  EXPECT_EQ(shapes.at("stages.3.3.attn.qkv.weight"), (std::vector<int64_t>{2304, 768}));
  EXPECT_FALSE(shapes.contains("stages.3.3.attn.qkv.bias"));
  BiFormer second(BiFormerConfig::from_json(released("biformer_stl_nchw")));
  shapes.clear();
  for (const auto& [name, parameter] : second.named_parameters()) shapes[name] = parameter->shape;
  for (const char* name : {"stages.0.blocks.1.attn.qkv_linear.bias", "stages.2.blocks.5.attn.output_linear.weight",
                           "stages.3.blocks.0.attn.lepe.weight", "stages.0.blocks.0.mlp.2.weight"})
    EXPECT_TRUE(shapes.contains(name)) << name;
}

using BiFormerTest = ModelTest;

BackboneOutputs with_routing(BiFormer& model, const at::Tensor& image, std::vector<int64_t> n_win, std::vector<int64_t> topks,
                             BiFormerRouting::Choice choice = BiFormerRouting::Choice::kLearned) {
  BiFormerRouting routing = model.config().routing;
  routing.n_win = std::move(n_win);
  routing.topks = std::move(topks);
  routing.choice = choice;
  model.set_routing(routing);
  return model.forward(image, {});
}

TEST_F(BiFormerTest, AllRegionsAreDenseAttention) {
  const auto model = random_backbone<BiFormer>(kTiny);
  const at::Tensor image = random_image({1, 3, 224, 224});
  const BackboneOutputs dense = with_routing(*model, image, {1, 1, 1, 1}, {1, 1, 1, -2});
  for (const int64_t p : {2, 7}) {
    const BackboneOutputs routed = with_routing(*model, image, {p, p, p, p}, {p * p, p * p, p * p, -2});
    for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(close(routed.features[i], dense.features[i], 1e-5)) << p << " stage " << i;
    const BackboneOutputs forced = with_routing(*model, image, {p, p, p, p}, {1, 1, 1, -2}, BiFormerRouting::Choice::kAll);
    EXPECT_TRUE(close(forced.logits, dense.logits, 1e-5)) << p;
  }
  // And dense attention is softmax(C^-0.5 q k^T) v over all cells.
  model->set_attention_forms({.regions = [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const kernels::RegionAttention& attention) {
    EXPECT_DOUBLE_EQ(*attention.scale, 1 / std::sqrt(static_cast<double>(q.size(1) * q.size(4))));
    const at::Tensor weights = at::softmax(at::matmul(q.flatten(2, 3), k.flatten(2, 3).transpose(2, 3)) * *attention.scale, 3);
    return at::matmul(weights, v.flatten(2, 3)).view(v.sizes());
  }, .dense = {}});
  EXPECT_TRUE(close(model->forward(image, {}).logits, dense.logits, 1e-5));
}

TEST_F(BiFormerTest, RoutedToThemselvesRegionsAreWindows) {
  const auto model = random_backbone<BiFormer>(kTiny);
  const at::Tensor image = random_image({2, 3, 32, 64});
  const BackboneOutputs forced = with_routing(*model, image, {2, 2, 2, 2}, {1, 2, 3, -2}, BiFormerRouting::Choice::kSelf);
  const BackboneOutputs learned = with_routing(*model, image, {2, 2, 2, 2}, {1, 2, 3, -2});
  EXPECT_FALSE(close(learned.logits, forced.logits, 1e-3));
  model->set_attention_forms({.regions = [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const kernels::RegionAttention& attention) {
    const kernels::RegionGrid& grid = attention.grid;
    const auto windows = [&](const at::Tensor& map) {  // [B,H,rows,columns,cells,D]
      return map.unflatten(3, {grid.columns, grid.width}).unflatten(2, {grid.rows, grid.height}).transpose(3, 4).flatten(4, 5);
    };
    const at::Tensor o = at::scaled_dot_product_attention(windows(q), windows(k), windows(v), {}, 0, false, attention.scale);
    return o.unflatten(4, {grid.height, grid.width}).transpose(3, 4).flatten(4, 5).flatten(2, 3);
  }, .dense = {}});
  EXPECT_TRUE(close(model->forward(image, {}).logits, forced.logits, 1e-5));
}

struct Maps {
  at::Tensor q = random_image({2, 12, 8, 16}, at::kFloat, 1), k = random_image({2, 12, 8, 16}, at::kFloat, 2), v = random_image({2, 12, 8, 16}, at::kFloat, 3);
  kernels::RegionGrid grid = biformer_grid(BiFormerForm::kBiFormer, 12, 8, 4);

  static at::Tensor by_head(const at::Tensor& map) { return map.unflatten(3, {2, 8}).permute({0, 3, 1, 2, 4}); }
  at::Tensor attend(const at::Tensor& index) const {
    kernels::RegionAttention attention;
    attention.grid = grid;
    attention.index = index.unsqueeze(1);
    attention.scale = 0.25;
    return kernels::attend_regions(by_head(q), by_head(k), by_head(v), attention).permute({0, 2, 3, 1, 4}).flatten(3);
  }
};

TEST_F(BiFormerTest, TheOrderOfChosenRegionsIsOfNoConsequence) {
  const Maps maps;
  const at::Tensor index = route_regions(maps.q, maps.k, maps.grid, 5, 0.25).index;
  EXPECT_TRUE(close(maps.attend(index.flip({2}).contiguous()), maps.attend(index), 1e-5));
}

TEST_F(BiFormerTest, SwappedRegionsSwapTheirOutputs) {
  const Maps maps;
  const auto swapped = [&](const at::Tensor& map) {  // regions 1 and 14: rows 0-2, columns 2-3; rows 9-11, columns 4-5
    at::Tensor other = map.clone();
    other.slice(1, 0, 3).slice(2, 2, 4).copy_(map.slice(1, 9, 12).slice(2, 4, 6));
    other.slice(1, 9, 12).slice(2, 4, 6).copy_(map.slice(1, 0, 3).slice(2, 2, 4));
    return other;
  };
  Maps other = maps;
  for (at::Tensor* map : {&other.q, &other.k, &other.v}) *map = swapped(*map);
  const auto outputs = [](const Maps& m) { return m.attend(route_regions(m.q, m.k, m.grid, 4, 0.25).index); };
  EXPECT_TRUE(close(outputs(other), swapped(outputs(maps)), 1e-5));
}

TEST_F(BiFormerTest, EqualRegionsAreChosenByNumber) {
  const at::Tensor map = at::ones({1, 8, 8, 4});
  const Routes routes = route_regions(map, map, biformer_grid(BiFormerForm::kBiFormer, 8, 8, 4), 5, 0.5);
  EXPECT_TRUE(at::equal(routes.index, at::arange(5, at::kLong).expand({1, 16, 5})));
  EXPECT_TRUE(at::allclose(routes.logits, at::full({1, 16, 16}, 2.0)));
}

TEST_F(BiFormerTest, CellsBeyondTheMapDoNotCountInMeans) {
  const at::Tensor q = random_image({1, 7, 5, 3}), k = random_image({1, 7, 5, 3}, at::kFloat, 8);
  const kernels::RegionGrid grid = biformer_grid(BiFormerForm::kStlNchw, 7, 5, 3);  // 2 x 1 cells: 4 x 5 regions
  EXPECT_EQ(grid.rows, 4);
  EXPECT_EQ(grid.columns, 5);
  const auto means = [](const at::Tensor& x) {
    return at::avg_pool2d(x.permute({0, 3, 1, 2}), {2, 1}, {2, 1}, 0, /*ceil_mode=*/true, /*count_include_pad=*/false).flatten(2);
  };
  EXPECT_TRUE(close(route_regions(q, k, grid, 2, 1).logits, at::matmul(means(q).transpose(1, 2), means(k)), 1e-6));
}

TEST_F(BiFormerTest, TheSecondImplementationIsTheFirstWhereRegionsDivideTheMap) {
  const Json change = {{"architecture", "biformer_stl"}, {"topks", {1, 2, 3, -2}}};
  const auto first = random_backbone<BiFormer>(changed(kTiny, change));
  const auto second = random_backbone<BiFormer>(changed(kTiny, {{"architecture", "biformer_stl_nchw"}, {"topks", {1, 2, 3, -1}}}), at::kFloat, 5);
  std::map<std::string, at::Tensor> values;
  for (const auto& [name, parameter] : first->named_parameters()) values[name] = parameter->value;
  for (const auto& [name, parameter] : second->named_parameters()) {
    std::string other = name;
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"qkv_linear", "qkv.qkv"}, {"output_linear", "wo"}})
      if (const size_t at = other.find(from); at != std::string::npos) other.replace(at, from.size(), to);
    parameter->value = values.at(other);
  }
  const at::Tensor image = random_image({2, 3, 32, 64});
  const BackboneOutputs a = first->forward(image, {}), b = second->forward(image, {});
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(close(a.features[i], b.features[i], 1e-5)) << i;
  EXPECT_FALSE(close(a.features[3], b.features[3], 1e-3));  // the convolution beside dense attention reads the input here and the values there
  // Where regions do not divide the map, the first refuses and the second cuts by size.
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { first->forward(random_image({1, 3, 36, 32}), {}); }), "multiples of 8"));
  EXPECT_NO_THROW(second->forward(random_image({1, 3, 44, 32}), {}));
}

TEST_F(BiFormerTest, AQuerysWeightsMakeItsOutput) {
  for (const Json& change : {Json{{"topks", {1, 2, 3, -2}}}, Json{{"auto_pad", true}, {"n_win", 3}},
                             Json{{"architecture", "biformer_stl_nchw"}, {"topks", {2, 2, 1, -1}}}}) {
    const auto model = random_backbone<BiFormer>(changed(kTiny, change));
    const at::Tensor image = random_image({2, 3, 32, 64});
    at::Tensor q, v, o;
    int64_t calls = 0;
    kernels::RegionAttention seen;
    model->set_attention_forms(
        {.regions =
             [&](const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, const kernels::RegionAttention& attention) {
               const at::Tensor output = kernels::attend_regions(queries, keys, values, attention);
               if (calls++ == 1) v = values, o = output, seen = attention;
               return output;
             },
         .dense = {}});
    const int64_t row = 2, column = 5;
    const at::Tensor weights = model->attention_of(image, {}, {1, 0, row, column});
    EXPECT_EQ(weights.size(0), 2);
    EXPECT_EQ(weights.size(2), 4);
    EXPECT_EQ(weights.size(3), 8);
    const at::Tensor inside = v.slice(2, 0, 4).slice(3, 0, 8);
    const at::Tensor expected = o.select(2, row).select(2, column);  // [B,H,D]
    const at::Tensor actual = at::einsum("bhyx,bhyxd->bhd", {weights, inside});
    // On padding lie other keys, so that the sum over the map is less.
    if (!change.contains("auto_pad")) {
      EXPECT_TRUE(close(actual, expected, 1e-5)) << change;
      EXPECT_TRUE(at::allclose(weights.sum({2, 3}), at::ones({2, 1}), 1e-5, 1e-6));
      EXPECT_EQ((weights > 0).sum().item<int64_t>(), weights.size(1) * 2 * seen.index.size(3) * seen.grid.cells());
    } else {
      EXPECT_TRUE((weights.sum({2, 3}) <= 1 + 1e-5).all().item<bool>());
    }
  }
  const auto model = random_backbone<BiFormer>(kTiny);
  const at::Tensor dense = model->attention_of(random_image({1, 3, 64, 64}), {}, {3, 0, 1, 1});
  EXPECT_EQ(dense.size(1), 8);
  EXPECT_TRUE(at::allclose(dense.sum({2, 3}), at::ones({1, 8}), 1e-5, 1e-6));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { model->attention_of(random_image({1, 3, 64, 64}), {}, {2, 1, 0, 0}); }), "no block 1 of stage 2"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput,
                                  [&] {
                                    model->attention_of(random_image({1, 3, 64, 64}), {}, {2, 0, 4, 0});
                                  }),
                       "outside the 4 x 4 cells"));
}

TEST_F(BiFormerTest, Gradients) {
  for (const bool training : {false, true}) {
    const auto model = random_backbone(kTiny, at::kDouble);
    model->set_training(training);
    expect_right_gradients(*model, random_image({2, 3, 32, 32}, at::kDouble), training ? 1e-5 : 1e-6);
  }
  expect_right_gradients(
      *random_backbone(changed(kTiny, {{"auto_pad", true}, {"n_win", 3}, {"topks", {2, 3, 4, -1}}, {"extra_norms", true}}), at::kDouble),
      random_image({1, 3, 21, 18}, at::kDouble));
  expect_right_gradients(*random_backbone(changed(kTiny, {{"architecture", "biformer_stl_nchw"}, {"topks", {2, 2, 3, -1}}}), at::kDouble),
                         random_image({1, 3, 44, 36}, at::kDouble));
}

TEST_F(BiFormerTest, TrainingMovesTheRunningStatistics) {
  const auto model = random_backbone(kTiny);
  std::map<std::string, at::Tensor> before;
  for (const auto& [name, parameter] : model->named_parameters()) before[name] = parameter->value.clone();
  const at::Tensor image = random_image({2, 3, 32, 32});
  const at::Tensor inference = model->forward(image, {}).logits;
  model->set_training(true);
  EXPECT_FALSE(close(model->forward(image, {}).logits, inference, 1e-3));
  for (const auto& [name, parameter] : model->named_parameters()) EXPECT_EQ(at::equal(parameter->value, before.at(name)), !parameter->is_buffer) << name;
}

TEST_F(BiFormerTest, PicturesThatDoNotFit) {
  const auto message = [](const Json& config, std::vector<int64_t> shape) {
    const auto model = random_backbone(config);
    return message_of(ExitCode::kBadInput, [&] { model->forward(at::zeros(shape), {}); });
  };
  EXPECT_TRUE(
      contains(message(kTiny, {1, 3, 40, 64}),
               "stage 1's map of 5 x 8 cells cannot be cut into 2 x 2 equal regions; give sides that are multiples of 16, or set \"auto_pad\""));
  EXPECT_TRUE(contains(message(kTiny, {1, 1, 32, 32}), "[B, 3, H, W] is needed"));
  EXPECT_TRUE(contains(message(kTiny, {0, 3, 32, 32}), "[B, 3, H, W] is needed"));
  EXPECT_TRUE(contains(message(kTiny, {1, 3, 32, 0}), "too few"));
  EXPECT_TRUE(contains(message(changed(kTiny, {{"architecture", "biformer_stl"}}), {1, 3, 1, 1}), "too few"));
  EXPECT_TRUE(contains(message(changed(kTiny, {{"architecture", "biformer_stl_nchw"}, {"topks", {1, 2, 3, -1}}, {"n_win", 3}}), {1, 3, 32, 32}),
                       "smaller than 3 x 3 regions"));
}

TEST_F(BiFormerTest, PicturesOfNaNGiveNaN) {
  at::Tensor image = random_image({1, 3, 32, 32});
  image[0][1][7][9] = std::nan("");
  const auto model = random_backbone(kTiny);
  EXPECT_TRUE(at::isnan(model->forward(image, {}, true).logits).any().item<bool>());
}

TEST(BiFormerConfigs, SurviveJson) {
  for (const Json& config : {kTiny, released("S"), released("biformer_stl"), released("biformer_stl_nchw"),
                             changed(kTiny, {{"extra_norms", true}, {"qk_scale", 0.3}, {"auto_pad", true}})})
    EXPECT_EQ(BiFormerConfig::from_json(BiFormerConfig::from_json(config).to_json()).to_json(), BiFormerConfig::from_json(config).to_json());
}

TEST(BiFormerConfigs, ComplaintsComeTogether) {
  const std::string message = message_of(ExitCode::kModel, [] {
    BiFormerConfig::from_json({{"architecture", "biformer"},
                               {"depth", {1, 2}},
                               {"kv_downsample_mode", "ada_avgpool"},
                               {"soft_routing", true},
                               {"layer_scale_init_value", 1e-5},
                               {"topks", {50, 4, 16, -2}},
                               {"embed_dim", {64, 128, 256, 510}},
                               {"side_dwconv", 4},
                               {"pre_norm", 1},
                               {"mlp_ratios", "wide"}});
  });
  for (const char* part : {"\"depth\"", "ada_avgpool", "soft_routing", "layer_scale_init_value", "\"topks\" of stage 0 is 50; there are 49 regions",
                           "510", "side_dwconv", "pre_norm", "mlp_ratios"})
    EXPECT_TRUE(contains(message, part)) << part << " in " << message;
}

TEST_F(BiFormerTest, RoutingKeepsToTheWeights) {
  const auto model = random_backbone<BiFormer>(kTiny);
  BiFormerRouting routing = model->config().routing;
  routing.topks[3] = 2;
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { model->set_routing(routing); }), "leave it at that"));
  routing.topks = {5, 2, 3, -2};
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { model->set_routing(routing); }), "there are 4 regions"));
  routing.topks = {1, 2};
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { model->set_routing(routing); }), "one each"));
}

}  // namespace
}  // namespace attelier
