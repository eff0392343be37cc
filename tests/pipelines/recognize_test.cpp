// `attelier recognize`: preparation of pictures, classes, and drawings of routes.
#include "pipelines/recognize/recognize.h"

#include "pipelines/recognize/preparation.h"
#include "pipelines/recognize/route_drawing.h"
#include "tests/core/models/backbones/backbones_testing.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

Image picture_of(const at::Tensor& pixels) {
  const at::Tensor bytes = pixels.contiguous();
  return {bytes.size(1), bytes.size(0), 3, std::vector<uint8_t>(bytes.const_data_ptr<uint8_t>(), bytes.const_data_ptr<uint8_t>() + bytes.numel())};
}

TEST(Preparation, IsThatOfTorchvisionAndTransformers) {
  for (const char* title : {"wide", "high", "tiny"}) {
    const auto fixture = read_all(*open_tensors(backbone_folder("preparation") / (std::string(title) + ".safetensors")));
    std::map<std::string, at::Tensor> tensors(fixture.begin(), fixture.end());
    const Image picture = picture_of(tensors.at("in.picture"));
    const Preparation biformer = Preparation::of_model({{"architecture", "biformer"}}, nullptr, 16);
    EXPECT_TRUE(at::allclose(to_input(prepare(picture, biformer).image, biformer), tensors.at("out.imagenet"), 1e-6, 1e-6)) << title;
    const Preparation vit = Preparation::of_model({{"architectures", {"ViTForImageClassification"}}}, nullptr, 16);
    EXPECT_TRUE(at::allclose(to_input(prepare(picture, vit).image, vit), tensors.at("out.vit"), 1e-6, 1e-6)) << title;
  }
}

TEST(Preparation, FollowsTheModelsFiles) {
  const Preparation p = Preparation::of_model({{"architectures", {"ViTForImageClassification"}}},
                                              {{"resample", 3}, {"image_mean", {0.1, 0.2, 0.3}}, {"image_std", {1, 2, 3}}}, 224);
  EXPECT_EQ(p.resampling, Resampling::kBicubic);
  EXPECT_EQ(p.mean[2], 0.3);
  EXPECT_EQ(p.deviation[1], 2);
  EXPECT_EQ(Preparation::of_model({{"architecture", "vitaev2_vsa"}}, nullptr, 224).crop_ratio, 0.9);
  EXPECT_EQ(Preparation::of_model({{"architecture", "biformer"}, {"crop_pct", 1}}, nullptr, 224).crop_ratio, 1);
  const Preparation trained = Preparation::of_model({{"architecture", "vit"}, {"crop_pct", 0.875}}, nullptr, 96);
  EXPECT_EQ(trained.crop_ratio, 0.875);
  EXPECT_EQ(trained.mean[0], 0.485);
  EXPECT_EQ(Preparation::of_model({{"architecture", "vit"}}, nullptr, 96).mean[0], 0.5);
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { Preparation::of_model({}, {{"image_std", {1, 0, 1}}}, 224); }), "image_std"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { Preparation::of_model({}, {{"resample", 0}}, 224); }), "resample"));
}

TEST(Preparation, KnowsWhereAPixelIs) {
  const Image picture = picture_of(at::zeros({100, 200, 3}, at::kByte));
  Preparation p = Preparation::of_model({}, nullptr, 70);  // 160 x 80, of which the columns from 45 and the rows from 5 are kept
  const PreparedPicture cropped = prepare(picture, p);
  EXPECT_EQ(cropped.image.width, 70);
  EXPECT_EQ(cropped.place_of(100, 50), (std::array<int64_t, 2>{35, 35}));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { cropped.place_of(10, 50); }), "does not see"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { cropped.place_of(200, 50); }), "outside the picture of 200 x 100"));
  p.whole = true;
  const PreparedPicture whole = prepare(picture, p);
  EXPECT_EQ(whole.image.width, 128);
  EXPECT_EQ(whole.image.height, 64);
  EXPECT_EQ(whole.place_of(199, 99), (std::array<int64_t, 2>{127, 63}));
}

/// 2 x 2 regions of 2 x 2 cells in stage 0: a picture of 16 x 16. Regions 0 to 2 attend to 3 and to themselves, region 3 to 3 and 0.
BlockRoutes small_routes() {
  BlockRoutes routes;
  routes.index = at::tensor({3, 0, 3, 1, 3, 2, 3, 0}, at::kLong).view({4, 2});
  routes.logits = at::tensor({2., 0., 1., 5., 0., 2., 1., 5., 0., 1., 2., 5., 2., 0., 1., 5.}).to(at::kFloat).view({4, 4});
  routes.rows = routes.columns = routes.cell_rows = routes.cell_columns = 2;
  return routes;
}

TEST(RouteDrawing, CountsTheGraph) {
  const BlockRoutes routes = small_routes();
  EXPECT_TRUE(at::equal(in_degree(routes), at::tensor({2, 1, 1, 4}, at::kLong)));
  BlockRoutes next = routes;
  next.block = 1;
  next.index = at::tensor({3, 1, 3, 1, 3, 2, 3, 0}, at::kLong).view({4, 2});
  const Json json = routes_json({routes, next}, 15, 1);
  EXPECT_EQ(json[0]["self_routing"], 1.0);
  EXPECT_EQ(json[0]["never_chosen"], 0.0);
  EXPECT_EQ(json[0]["margin"]["least"], 1.0);
  EXPECT_FALSE(json[0].contains("changed"));
  EXPECT_EQ(json[1]["changed"], 0.125);
  EXPECT_EQ(json[1]["self_routing"], 0.75);
  EXPECT_EQ(json[0]["query"]["region"], 1);
  EXPECT_EQ(json[0]["query"]["attends"][0]["region"], 3);
  EXPECT_EQ(json[0]["query"]["attends"][0]["logit"], 5.0);
  EXPECT_EQ(routes.region_of(8, 8), 3);
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { routes.region_of(16, 0); }), "outside"));
}

/// RGB of the drawing in the middle of the square of `side` pixels at (column, row), for a picture that is magnified by 8.
std::array<int, 3> colour_at(const Image& drawing, double x, double y) {
  const auto at = static_cast<size_t>((static_cast<int64_t>(y * 8) * drawing.width + static_cast<int64_t>(x * 8)) * 3);
  return {drawing.pixels[at], drawing.pixels[at + 1], drawing.pixels[at + 2]};
}

TEST(RouteDrawing, ColoursWhatIsChosenAndHatchesWhatIsNotSeen) {
  const Image picture = picture_of(at::full({16, 16, 3}, 100, at::kByte));
  const Image drawing = draw_routes(picture, small_routes(), 2, 2);
  EXPECT_EQ(drawing.width, 128);
  EXPECT_EQ(colour_at(drawing, 13.5, 2.5), (std::array<int, 3>{100, 100, 100}));  // region 1: not chosen
  EXPECT_NE(colour_at(drawing, 13.5, 13.5), colour_at(drawing, 13.5, 2.5));       // region 3: first
  EXPECT_NE(colour_at(drawing, 13.5, 13.5), colour_at(drawing, 6, 6.5));          // region 0: second
  EXPECT_NE(draw_routes(picture, small_routes(), 13, 2).pixels, drawing.pixels);
  at::Tensor weights = at::zeros({4, 4});
  weights[3][3] = 1;
  const Image heat = draw_attention(picture, weights, 4, 1, 1, "stage 0");
  EXPECT_GT(colour_at(heat, 14, 14)[0], 180);
  EXPECT_LT(colour_at(heat, 13, 9.5)[0], 120);
  EXPECT_EQ(draw_in_degree(picture, small_routes()).width, 128);
}

struct Recognized {
  std::vector<MethodOutput> outputs;
  Recognized(const std::string& model, const Json& params, const std::filesystem::path& image) {
    std::vector<Problem> problems;
    MethodJob job{resolve_parameters(kRecognizeMethod.parameters, params, "/params", problems), {{"image", {image}}}};
    EXPECT_TRUE(problems.empty());
    job.model_path = kRecognizeMethod.find_model(backbone_folder(model), job.params);
    kRecognizeMethod.run(job, {}, [&](const MethodOutput& output) { outputs.push_back(output); });
  }
};

class Recognize : public ::testing::Test {
 protected:
  Recognize() {
    at::set_num_threads(1);
    at::manual_seed(5);
    image_ = folder_ / "picture.png";
    save_image(image_, picture_of(at::randint(0, 256, {70, 90, 3}, at::kByte)));
  }
  TemporaryFolder folder_;
  std::filesystem::path image_;
};

TEST_F(Recognize, NamesTheMostProbableClasses) {
  const Recognized run("biformer", {{"size", 64}, {"top", 3}}, image_);
  ASSERT_EQ(run.outputs.size(), 1u);
  const Json& top = run.outputs[0].result["top"];
  ASSERT_EQ(top.size(), 3u);
  EXPECT_GE(top[0]["probability"], top[1]["probability"]);
  EXPECT_TRUE(contains(top[0]["label"], "class "));
  EXPECT_TRUE(contains(run.outputs[0].text, "picture.png\n"));
  EXPECT_EQ(Recognized("vit", {{"top", 1}}, image_).outputs[0].result["top"][0]["label"].get<std::string>().substr(0, 6), "LABEL_");
}

TEST_F(Recognize, WritesFeatures) {
  const std::string file = (folder_ / "features.safetensors").string();
  const Recognized run("biformer", {{"size", 64}, {"features", file}}, image_);
  const auto tensors = read_all(*open_tensors(file));
  const std::map<std::string, at::Tensor> named(tensors.begin(), tensors.end());
  EXPECT_EQ(named.at("logits").sizes(), (std::vector<int64_t>{1, 10}));
  EXPECT_EQ(named.at("features.0").sizes(), (std::vector<int64_t>{1, 8, 16, 16}));
  EXPECT_DOUBLE_EQ(run.outputs[0].result["top"][0]["logit"].get<double>(), named.at("logits").max().item<double>());
}

TEST_F(Recognize, ShowsRoutes) {
  const Recognized run("biformer", {{"size", 64}, {"show", "routes"}, {"at", {45, 35}}}, image_);
  ASSERT_EQ(run.outputs.size(), 4u);
  EXPECT_EQ(run.outputs[1].label, "routes");
  EXPECT_EQ(run.outputs[1].result["blocks"].size(), 4u);
  EXPECT_EQ(run.outputs[1].result["blocks"][0]["query"]["attends"].size(), 1u);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(run.outputs[i].image.width, 8 * 64) << i;
  EXPECT_EQ(Recognized("biformer", {{"size", 64}, {"show", "routes"}, {"stage", 0}, {"head", 0}}, image_).outputs.size(), 4u);
  // All regions instead of the learned ones: nothing is hidden from a query.
  const Recognized dense("biformer", {{"size", 64}, {"show", "routes"}, {"routing", "all"}}, image_);
  EXPECT_EQ(dense.outputs[1].result["blocks"][0]["topk"], 4);
}

TEST_F(Recognize, TakesWholePicturesWhereTheModelPads) {
  EXPECT_EQ(Recognized("biformer_pad", {{"size", 70}, {"crop", false}, {"show", "routes"}}, image_).outputs[0].result["size"], (Json{96, 64}));
  EXPECT_EQ(Recognized("biformer", {{"size", 70}, {"crop", false}, {"n_win", {3}}, {"auto_pad", true}}, image_).outputs[0].result["size"],
            (Json{96, 64}));
}

TEST_F(Recognize, RefusesWhatIsNotThere) {
  const auto message = [&](const char* model, const Json& params) {
    return message_of(ExitCode::kBadInput, [&] { Recognized(model, params, image_); });
  };
  EXPECT_TRUE(contains(message("biformer", {{"size", 64}, {"show", "windows"}}), "no learned windows"));
  EXPECT_TRUE(contains(message("vit", {{"show", "routes"}}), "chooses no regions"));
  EXPECT_TRUE(contains(message("vit", {{"n_win", {2}}}), "BiFormer's"));
  EXPECT_TRUE(contains(message("biformer", {{"size", 64}, {"show", "routes"}, {"stage", 3}}), "STAGE.BLOCK may be 0.0"));
  EXPECT_TRUE(contains(message("biformer", {{"size", 64}, {"show", "routes"}, {"head", 5}}), "has heads 0 to 1"));
  EXPECT_TRUE(contains(message("biformer", {{"size", 64}, {"at", {5, 5, 5}}}), "two are needed"));
  EXPECT_TRUE(contains(message("biformer", {{"size", 64}, {"at", {500, 5}}}), "outside the picture"));
  EXPECT_TRUE(contains(message("biformer", {{"size", 40}}), "multiples of"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { kRecognizeMethod.find_model(fixture_folder("unet_sd1"), {}); }), "has no backbone"));
}

TEST_F(Recognize, GreyAlphaAndSinglePixelsAreSeen) {
  for (const int64_t channels : {1, 3, 4}) {
    save_image(image_, {1, 1, channels, std::vector<uint8_t>(static_cast<size_t>(channels), 77)});
    EXPECT_EQ(Recognized("biformer", {{"size", 32}}, image_).outputs[0].result["top"].size(), 5u);
  }
}

}  // namespace
}  // namespace attelier
