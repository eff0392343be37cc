// Upscalers in training: they begin as interpolation, learn, resume, are read again, start from one of another factor; impossible configurations are refused.
#include <c10/core/GradMode.h>

#include "core/evaluation/metrics.h"
#include "core/models/upscalers/rgt.h"
#include "core/training/objectives.h"
#include "core/training/pictures.h"
#include "tests/core/training/training_testing.h"

namespace attelier {
namespace {

class UpscaleTraining : public TrainingTest {
 protected:
  static Json tiny_config(int64_t scale = 2) {
    return {{"objective", "upscale"}, {"seed", 3}, {"steps", 6}, {"batch", 2}, {"crop", 16}, {"picture_size", 16 * scale + 8}, {"pool", 6}, {"fresh", 1}, {"bfloat16", false}, {"output", "run"},
            {"data", {{"source", "textures"}}},
            {"optimizer", {{"learning_rate", 0.001}, {"muon_rate", 0.01}, {"warm_up", 1}, {"weight_decay", 0}, {"ema_decay", 0.5}}},
            {"upscaler", {{"upscale", scale}, {"embed_dim", 32}, {"depth", {2}}, {"num_heads", {2}}, {"split_size", {4, 4}}}}};
  }
  /// One step that changes nothing.
  static Json still(Json config) {
    config["steps"] = 1;
    config["optimizer"] = {{"learning_rate", 1e-12}, {"weight_decay", 0}};
    return config;
  }
  static double metric(const TrainingResult& result, const std::string& name) {
    for (const Metric& one : result.metrics)
      if (one.name == name) return one.value;
    ADD_FAILURE() << name;
    return 0;
  }
  /// What the exported model makes of a smooth picture.
  at::Tensor enlarged(const at::Tensor& low) const {
    const c10::NoGradGuard no_grad;
    return load_upscaler(folder_ / "run/model", at::kCPU, at::kFloat)->forward(low, {});
  }
};

at::Tensor smooth_picture() {
  const at::Tensor row = at::linspace(0.2, 0.8, 20, at::kFloat), waves = at::sin(at::arange(18, at::kFloat) * 0.7) * 0.1;
  return (row.view({1, 1, 1, 20}) + waves.view({1, 1, 18, 1})).expand({1, 3, 18, 20}) * at::tensor({1.0f, 0.8f, 0.6f}).view({1, 3, 1, 1});
}

TEST_F(UpscaleTraining, BeginsAsLinearInterpolation) {
  const at::Tensor low = smooth_picture();
  for (const int64_t scale : {2, 3, 4}) {
    for (const char* connection : {"1conv", "3conv"}) {
      Json config = still(tiny_config(scale));
      config["upscaler"]["resi_connection"] = connection;
      run(config, {.restart = true});
      at::Tensor expected = low;
      // Four times is twice, twice.
      for (int64_t done = 1; done < scale; done *= scale == 3 ? 3 : 2)
        expected = at::upsample_bilinear2d(expected, {expected.size(2) * (scale == 3 ? 3 : 2), expected.size(3) * (scale == 3 ? 3 : 2)}, false);
      const auto inner = [&](const at::Tensor& x) { return x.slice(2, 2 * scale, -2 * scale).slice(3, 2 * scale, -2 * scale); };
      const at::Tensor result = enlarged(low);
      ASSERT_EQ(result.sizes(), expected.sizes());
      EXPECT_LT((inner(result) - inner(expected)).abs().max().item<double>(), 2e-3) << scale << connection;  // of a model in float16
    }
  }
}

TEST_F(UpscaleTraining, LearnsAndSaysByHowMuch) {
  std::filesystem::create_directories(folder_ / "photographs");
  save_image(folder_ / "photographs/stripes.png", to_image(at::sin(at::arange(70, at::kFloat)).view({1, 1, 1, 70}).expand({1, 3, 41, 70}) * 0.4 + 0.5));
  Json config = tiny_config();
  config["validation"] = {"photographs/stripes.png"};
  const double before = metric(run(still(config)), "above bicubic drawn");
  config["steps"] = 60;
  const TrainingResult result = run(config, {.restart = true});
  EXPECT_GT(metric(result, "above bicubic drawn"), before + 0.2);
  EXPECT_EQ(metric(result, "psnr stripes"), metric(result, "psnr mean"));
  // The figures are those of the picture without what twice does not divide, reduced and rounded.
  const at::Tensor truth = to_tensor(load_image(folder_ / "photographs/stripes.png")).slice(2, 0, 40);
  const at::Tensor low = resize_bicubic(truth, 20, 35).mul(255).round().clamp(0, 255) / 255, plain = resize_bicubic(low, 40, 70).clamp(0, 1);
  EXPECT_NEAR(metric(result, "psnr stripes") - metric(result, "above bicubic stripes"), luma_psnr_between(plain, truth, 2), 1e-6);
  EXPECT_NEAR(metric(result, "psnr stripes"), luma_psnr_between(enlarged(low).clamp(0, 1), truth, 2), 0.05);  // float16
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/sheet.png"));
  // The model carries its configuration.
  EXPECT_EQ(Json::parse(read_file(folder_ / "run/model/training/upscale.json")).at("upscaler"), config.at("upscaler"));
}

TEST_F(UpscaleTraining, AStoppedRunGoesOnAsIfItHadNotStopped) {
  for (const double degraded : {0.0, 1.0}) {
    Json config = tiny_config();
    config["degraded_share"] = degraded, config["picture_size"] = 72, config["shrink"] = 2, config["recompute"] = degraded == 1, config["accumulate"] = 2;
    run(config, {.restart = true});
    const auto whole = state();
    std::filesystem::remove_all(folder_ / "run");
    stop_after(config, 3);
    run(config, {.resume = true});
    expect_equal(whole, state());
  }
}

TEST_F(UpscaleTraining, StartsFromAnUpscalerOfAnotherFactor) {
  run(tiny_config(2));
  std::filesystem::rename(folder_ / "run/model", folder_ / "twice");
  Json config = still(tiny_config(4));
  config["start"] = "twice";
  run(config, {.restart = true});
  const c10::NoGradGuard no_grad;
  const at::Tensor low = smooth_picture(), twice = load_upscaler(folder_ / "twice", at::kCPU, at::kFloat)->forward(low, {}), four = enlarged(low);
  ASSERT_EQ(four.size(3), 80);
  // What the smaller one makes, interpolated.
  const at::Tensor expected = at::upsample_bilinear2d(twice, {72, 80}, false);
  EXPECT_LT((four - expected).slice(2, 8, -8).slice(3, 8, -8).abs().mean().item<double>(), 0.02);
  // Its body is the other's.
  const auto source = read_all(*open_tensors(folder_ / "twice/model.safetensors")), own = read_all(*open_tensors(folder_ / "run/model/model.safetensors"));
  for (const auto& [name, tensor] : source) EXPECT_TRUE(at::equal(own.at(name), tensor)) << name;
  EXPECT_EQ(own.size(), source.size() + 2);
}

TEST_F(UpscaleTraining, PairsOfAFolderAreReducedPictures) {
  std::filesystem::create_directories(folder_ / "pictures");
  for (int i = 0; i < 3; ++i) save_image(folder_ / fmt::format("pictures/{}.png", i), to_image(at::rand({1, 3, 60, 50}, make_generator(static_cast<uint64_t>(i)), at::kFloat)));
  Json config = tiny_config();
  config["data"] = {{"source", "folder"}, {"path", "pictures"}, {"crop", "random"}};
  config["bfloat16"] = true;
  EXPECT_EQ(run(config).steps, 6);
}

TEST_F(UpscaleTraining, ImpossibleConfigurationsAreRefusedAtOnce) {
  Json config = tiny_config();
  config["crop"] = 24;
  config["shrink"] = 2;
  config["degraded_share"] = 2;
  config["start"] = "nowhere";
  config["validation"] = {"absent.png"};
  config["data"] = {{"source", "folder"}};
  std::string message = refusal(config);
  for (const char* part : {"/crop is 24, which takes 48 pixels of a large picture; with \"shrink\": 2 a \"picture_size\" of at least 96 is needed", "/degraded_share is 2", "/start cannot be used", "/validation names \"absent.png\"",
                           "/data/path is missing"})
    EXPECT_TRUE(contains(message, part)) << message;
  config = tiny_config();
  config["upscaler"]["embed_dim"] = 30;
  config["upscaler"]["upscale"] = 5;
  message = refusal(config);
  EXPECT_TRUE(contains(message, "/upscaler cannot be used") && contains(message, "embed_dim") && contains(message, "\"upscale\" is 5")) << message;
  config.erase("upscaler");
  EXPECT_TRUE(contains(refusal(config), "/upscaler is missing"));
}

TEST_F(UpscaleTraining, AStartOfAnotherNetworkIsRefused) {
  Json config = tiny_config();
  run(still(config));
  std::filesystem::rename(folder_ / "run", folder_ / "other");
  config["start"] = "other/model";
  config["upscaler"]["depth"] = {3};
  EXPECT_TRUE(contains(refusal(config), "/start is another network"));
}

}  // namespace
}  // namespace attelier
