#include "pipelines/upscale/upscale.h"

#include <c10/core/GradMode.h>

#include "core/base/files.h"
#include "core/media/video_file.h"
#include "core/media/wide_picture.h"
#include "core/weights/load.h"
#include "pipelines/upscale/attention_drawing.h"
#include "pipelines/upscale/picture_upscaler.h"
#include "tests/pipelines/pipelines_testing.h"
#include "tests/testing/seeded_weights.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

/// A folder with tiny upscalers x2 and x3, which enlarge as nearest neighbours do, plus a little noise.
const fs::path& tiny_upscalers() {
  static const fs::path folder = [] {
    for (const int64_t scale : {2, 3}) {
      const fs::path one = test_folder() / "rgt" / fmt::format("x{}", scale);
      fs::create_directories(one);
      RgtConfig config;
      config.upscale = scale;
      config.depth = {2};
      config.num_heads = {2};
      config.embed_dim = 32;
      config.split_size = {4, 8};
      Rgt model(config);
      fill_seeded(model, 5);
      write_safetensors(one / "model.safetensors", named_tensors(model));
      write_file_atomically(one / "config.json", config.to_json().dump());
    }
    return test_folder() / "rgt";
  }();
  return folder;
}

WidePicture random_wide(int64_t width, int64_t height, int64_t channels, int bits) {
  const at::Tensor numbers = at::randint(0, 1 << bits, {height * width * channels}, make_generator(3), at::kInt);
  WidePicture picture{width, height, channels, bits, {}};
  for (int64_t i = 0; i < numbers.numel(); ++i) picture.samples.push_back(static_cast<uint16_t>(numbers[i].item<int>()));
  return picture;
}

fs::path save_wide(const std::string& name, const WidePicture& picture) {
  PngRows rows(test_folder() / name, picture.width, picture.height, picture.channels, picture.bits, {});
  rows.write(picture.samples);
  rows.finish();
  return test_folder() / name;
}

/// Runs the method as a job does; gives the new file.
fs::path run_upscale(const fs::path& source, Json params, const std::string& extension, Context context = {}) {
  std::vector<Problem> problems;
  params = resolve_parameters(kUpscaleMethod.parameters, params, "/params", problems);
  EXPECT_TRUE(problems.empty());
  MethodJob job{params, {{"image", {source}}}};
  job.model_path = kUpscaleMethod.find_model(tiny_upscalers(), params);
  const fs::path file = test_folder() / ("out" + extension);
  kUpscaleMethod.run(job, context, [&](const MethodOutput& output) { write_atomically(file, [&](const fs::path& temporary) { output.write(temporary, extension, {}); }); });
  return file;
}

at::Tensor as_tensor(const WidePicture& picture) {
  at::Tensor values = at::empty({picture.height, picture.width, picture.channels}, at::kDouble);
  for (int64_t i = 0; i < values.numel(); ++i) values.view(-1)[i] = static_cast<double>(picture.samples[static_cast<size_t>(i)]);
  return values;
}

TEST(Upscale, PicturesOfEveryKind) {
  for (const auto& [width, height, channels, bits] : {std::tuple<int64_t, int64_t, int64_t, int>{1, 1, 3, 8}, {7, 40, 3, 8}, {20, 33, 1, 8}, {21, 17, 4, 8}, {18, 19, 3, 16}, {16, 16, 4, 16}, {17, 16, 1, 16}}) {
    const WidePicture picture = random_wide(width, height, channels, bits);
    const WidePicture result = load_wide_picture(run_upscale(save_wide("in.png", picture), {{"scale", 2}}, ".png"));
    EXPECT_EQ(result.width, 2 * width);
    EXPECT_EQ(result.height, 2 * height);
    EXPECT_EQ(result.channels, channels);
    EXPECT_EQ(result.bits, bits);
    if (width < 16 || height < 16 || channels == 1) continue;
    // The model's own numbers.
    const at::Tensor small = as_tensor(picture), large = as_tensor(result);
    const auto model = load_upscaler(tiny_upscalers() / "x2", at::kCPU, at::kFloat);
    const double unit = (1 << bits) - 1;
    const at::Tensor colours = small.slice(2, 0, 3).permute({2, 0, 1}).unsqueeze(0).div(unit).to(at::kFloat);
    c10::NoGradGuard no_grad;
    const at::Tensor expected = model->forward(colours, {})[0].clamp(0, 1).to(at::kDouble).mul(unit).permute({1, 2, 0});
    EXPECT_LE((large.slice(2, 0, 3) - expected).abs().max().item<double>(), 0.6 + 1e-3 * unit / 255);
    if (channels == 4) {
      const at::Tensor alpha = at::upsample_bicubic2d(small.select(2, 3).view({1, 1, height, width}), {2 * height, 2 * width}, false)[0][0].clamp(0, unit);
      EXPECT_LE((large.select(2, 3) - alpha).abs().max().item<double>(), 0.6 + 1e-3 * unit / 255);
    }
  }
}

/// With the shipped models: attention to the whole picture is attention to a tile here, and no one sees it. Four tiles that meet in the middle; two.
TEST(Upscale, TilesLeaveNoSeams) {
  for (const auto& [scale, name, width, height] : {std::tuple("x2", "raccoon.png", 274, 274), std::tuple("x4", "coffee.png", 274, 96)}) {
    const fs::path model = assets_folder() / "mini-rgt" / scale;
    if (!fs::exists(model / "config.json")) GTEST_SKIP() << "no shipped upscaler";
    const Image photograph = crop(to_rgb(load_image(assets_folder() / "examples" / name)), 20, 30, width, height);
    UpscaleSettings tiled;
    tiled.tile = 144;
    std::vector<int64_t> tiles;
    Context counting;
    counting.progress = [&](const Progress& report) { tiles.push_back(report.total); };
    const Image whole = PictureUpscaler(model, {}, {}).upscale(photograph, {}), cut = PictureUpscaler(model, tiled, {}).upscale(photograph, counting);
    EXPECT_EQ(tiles.back(), height > 144 ? 4 : 2);
    ASSERT_EQ(whole.pixels.size(), cut.pixels.size());
    int most = 0;
    for (size_t i = 0; i < cut.pixels.size(); ++i) most = std::max(most, std::abs(whole.pixels[i] - cut.pixels[i]));
    EXPECT_LE(most, 1) << scale;
  }
}

TEST(Upscale, OtherFormatsHaveEightBits) {
  const Image image = load_image(run_upscale(save_wide("deep.png", random_wide(20, 18, 3, 16)), {{"scale", 3}}, ".jpg"));
  EXPECT_EQ(image.width, 60);
  EXPECT_EQ(image.height, 54);
}

TEST(Upscale, Videos) {
  const fs::path source = test_folder() / "in.avi";
  try {
    VideoWriter writer(source, 24, 18, 10);
    for (uint8_t n = 0; n < 3; ++n) writer.write({24, 18, 3, std::vector<uint8_t>(24 * 18 * 3, static_cast<uint8_t>(60 * n + 20))});
    writer.finish();
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  const VideoReader reader(run_upscale(source, {{"scale", 2}}, ".avi"));
  EXPECT_EQ(reader.width(), 48);
  EXPECT_EQ(reader.height(), 36);
  EXPECT_EQ(reader.frames(), 3);
}

/// By the softmax of the layer's own queries and keys, which a program sees.
TEST(Upscale, AttentionOfAPixel) {
  struct Softmax : AttentionProgram {
    std::optional<kernels::AttentionControl> control(const AttentionCall& call) override {
      const at::Tensor logits = at::matmul(call.q.select(2, 30 * 50 + 17).unsqueeze(2), call.k.transpose(2, 3)) / std::sqrt(static_cast<double>(call.q.size(3)));
      weights = at::softmax(logits, 3).mean(1).view({2, 3});
      return std::nullopt;
    }
    at::Tensor weights;
  } program;
  c10::InferenceMode inference;
  const auto model = load_upscaler(tiny_upscalers() / "x2", at::kCPU, at::kFloat);
  const at::Tensor picture = at::rand({1, 3, 47, 50}, make_generator(4));
  ForwardContext context;
  context.program = &program;
  model->forward(picture, context);
  const std::vector<CellAttention> layers = attention_of_pixel(*model, picture, {}, std::nullopt, 17, 30);
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].layer, "layers.0.blocks.1.attn");
  EXPECT_EQ(layers[0].side, 16);
  EXPECT_TRUE(at::allclose(layers[0].weights, program.weights, 1e-4, 1e-6));
  EXPECT_EQ(error_of([&] { attention_of_pixel(*model, picture, {}, std::nullopt, 50, 30); }, "(50, 30)"), ExitCode::kBadInput);
}

TEST(Upscale, WindowsAroundAPixel) {
  RgtConfig config;
  config.split_size = {4, 8};
  const auto numbers = [&](int64_t x, int64_t y) {
    std::vector<std::array<int64_t, 4>> all;
    for (const AttentionWindow& w : windows_around(config, 47, 50, x, y)) all.push_back({w.left, w.top, w.width, w.height});
    return all;
  };
  using Windows = std::vector<std::array<int64_t, 4>>;
  EXPECT_EQ(numbers(17, 30), (Windows{{16, 28, 8, 4}, {16, 24, 4, 8}, {12, 30, 8, 4}, {14, 28, 4, 8}}));
  // At the edges windows are cut, and shifted ones begin with a half.
  EXPECT_EQ(numbers(0, 46), (Windows{{0, 44, 8, 3}, {0, 40, 4, 7}, {0, 46, 4, 1}, {0, 44, 2, 3}}));
}

TEST(Upscale, ShowsAttention) {
  const fs::path source = save_wide("shown.png", random_wide(40, 36, 4, 8));
  std::vector<Problem> problems;
  Json params = resolve_parameters(kUpscaleMethod.parameters, {{"show", "attention"}, {"at", {39, 0}}}, "/params", problems);
  MethodJob job{params, {{"image", {source}}}};
  job.model_path = tiny_upscalers() / "x2";
  std::vector<MethodOutput> outputs;
  kUpscaleMethod.run(job, {}, [&](MethodOutput output) { outputs.push_back(std::move(output)); });
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs[1].label, "attention");
  EXPECT_GT(outputs[1].image.width, 40);
  EXPECT_EQ(outputs[1].result["layers"][0]["weights"].size(), 4u);
  EXPECT_EQ(outputs[1].result["windows"].size(), 4u);
  job.params["at"] = {40, 0};
  EXPECT_EQ(error_of([&] { kUpscaleMethod.run(job, {}, [](const MethodOutput&) {}); }, "/params/at is 40,0"), ExitCode::kBadInput);
  job.params["at"] = nullptr;
  job.params["layer"] = "layers.9";
  EXPECT_EQ(error_of([&] { kUpscaleMethod.run(job, {}, [](const MethodOutput&) {}); }, "there are layers.0.blocks.1.attn"), ExitCode::kBadInput);
}

TEST(Upscale, AStoppedRunLeavesNothing) {
  const fs::path source = save_wide("stopped.png", random_wide(200, 200, 3, 8)), file = test_folder() / "out.png";
  fs::remove(file);
  std::stop_source stop;
  Context context;
  context.stop = stop.get_token();
  context.progress = [&](const Progress& report) {
    if (report.done == 2) stop.request_stop();
  };
  EXPECT_THROW(run_upscale(source, {{"scale", 2}, {"tile", 16}}, ".png", context), Interrupted);
  EXPECT_FALSE(fs::exists(file));
  for (const fs::directory_entry& entry : fs::directory_iterator(test_folder())) EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
}

TEST(Upscale, ModelsAreFoundByScale) {
  EXPECT_EQ(find_upscaler(tiny_upscalers(), 3), tiny_upscalers() / "x3");
  EXPECT_EQ(find_upscaler(tiny_upscalers(), std::nullopt), tiny_upscalers() / "x3");
  EXPECT_EQ(find_upscaler(tiny_upscalers() / "x2", 4), tiny_upscalers() / "x2");  // whose own factor is checked when it is open
  EXPECT_EQ(error_of([] { find_upscaler(tiny_upscalers(), 4); }, "has upscalers x2, x3, none for x4"), ExitCode::kModel);
  EXPECT_EQ(error_of([] { find_upscaler(test_folder(), 2); }, "RGT_S_x4.pth"), ExitCode::kModel);
  std::vector<Problem> problems;
  MethodJob job{resolve_parameters(kUpscaleMethod.parameters, {{"scale", 4}}, "", problems), {{"image", {save_wide("in.png", random_wide(16, 16, 3, 8))}}}};
  job.model_path = tiny_upscalers() / "x2";
  EXPECT_EQ(error_of([&] { kUpscaleMethod.run(job, {}, [](const MethodOutput&) {}); }, "/params/scale is 4"), ExitCode::kModel);
}

TEST(Upscale, LastStepOfAnotherMethod) {
  const Json params = {{"prompt", "a house"}, {"steps", 1}, {"size", {64, 64}}};
  Json larger = params;
  larger.update({{"upscale", 2}, {"upscale_model", {tiny_upscalers().string()}}});
  const Image plain = run_method("generate", shared_model(), params).outputs.at(0).image, enlarged = run_method("generate", shared_model(), larger).outputs.at(0).image;
  EXPECT_EQ(enlarged.width, 128);
  EXPECT_EQ(enlarged.pixels, PictureUpscaler(tiny_upscalers() / "x2", {}, {}).upscale(plain, {}).pixels);
}

}  // namespace
}  // namespace attelier
