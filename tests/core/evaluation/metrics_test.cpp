#include "core/evaluation/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/context.h"
#include "core/base/files.h"
#include "core/scenes/labelled_scene.h"
#include "core/weights/tensor_file.h"

namespace attelier {
namespace {

std::filesystem::path fixtures() { return std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/evaluation"; }

at::Tensor drawn(uint64_t seed, std::optional<int64_t> style = std::nullopt) {
  const LabelledScene scene = draw_labelled(WorldName::kSmall, seed, {.size = 96, .style = style, .edges = false});
  return at::from_blob(const_cast<float*>(scene.rgb.data()), {1, 96, 96, 3}, at::kFloat).permute({0, 3, 1, 2}).contiguous();
}

TEST(Metrics, EqualSciPy) {
  const auto pictures = read_all(*open_tensors(fixtures() / "pictures.safetensors"));
  const nlohmann::json numbers = nlohmann::json::parse(read_file(fixtures() / "numbers.json"));
  const at::Tensor a = pictures.at("a").unsqueeze(0), b = pictures.at("b").unsqueeze(0);
  EXPECT_NEAR(ssim_between(a, b), numbers.at("ssim").get<double>(), 1e-5);
  EXPECT_NEAR(psnr_between(a, b), numbers.at("psnr").get<double>(), 1e-4);
  EXPECT_NEAR(colour_distance(a, b), numbers.at("colour_distance").get<double>(), 1e-3);
}

TEST(Metrics, OfAPictureAndItself) {
  const at::Tensor picture = drawn(1);
  EXPECT_EQ(psnr_between(picture, picture), 120);
  EXPECT_NEAR(ssim_between(picture, picture), 1, 1e-6);
  EXPECT_NEAR(colour_distance(picture, picture), 0, 1e-3);
  EXPECT_NEAR(edge_agreement(edge_strength(picture), edge_strength(picture)), 1, 1e-9);
  EXPECT_EQ(diversity(at::cat({picture, picture, picture})), diversity(at::cat({picture, picture})));
  EXPECT_NEAR(diversity(at::cat({picture, picture})), 0, 1e-6);
  EXPECT_EQ(diversity(picture), 0);
}

TEST(Metrics, LumaOfEightBitsWithoutTheBorder) {
  const at::Tensor picture = drawn(1);
  EXPECT_EQ(luma_psnr_between(picture, picture, 2), 120);
  // One step brighter everywhere moves the luma by 219 / 255; less than half a step is rounded away.
  const at::Tensor bytes = picture.mul(200).round() / 255;
  EXPECT_NEAR(luma_psnr_between(bytes, bytes + 1.0 / 255, 0), 20 * std::log10(255.0 * 255 / 219), 1e-4);
  EXPECT_EQ(luma_psnr_between(bytes, bytes + 0.4 / 255, 0), 120);
  at::Tensor framed = bytes.clone();
  framed.slice(2, 0, 3).zero_(), framed.slice(3, -3).zero_();
  EXPECT_EQ(luma_psnr_between(bytes, framed, 3), 120);
  EXPECT_LT(luma_psnr_between(bytes, framed, 2), 60);
}

TEST(Metrics, ColourDistanceOfBlackAndWhiteIsAHundred) {
  const at::Tensor black = at::zeros({1, 3, 16, 16}), white = at::ones({1, 3, 16, 16});
  EXPECT_NEAR(colour_distance(black, white), 100, 0.1);
  // The places of the colours do not matter, only which there are.
  const at::Tensor picture = drawn(2);
  EXPECT_NEAR(colour_distance(picture, picture.flip(3)), 0, 1e-3);
  EXPECT_GT(colour_distance(picture, picture * 0.5), 5);
}

TEST(Metrics, EdgesDoNotDependOnColoursButOnPlaces) {
  const at::Tensor picture = drawn(3, 0), edges = edge_strength(picture);
  EXPECT_GT(edge_agreement(edge_strength(1 - picture), edges), 0.99);
  EXPECT_GT(edge_agreement(edge_strength(0.6 * picture + 0.3), edges), 0.9);
  const double shifted = edge_agreement(edge_strength(at::roll(picture, {12}, {3})), edges), other = edge_agreement(edge_strength(drawn(4, 0)), edges);
  EXPECT_LT(shifted, 0.8);
  EXPECT_LT(other, 0.6);
  EXPECT_EQ(edge_agreement(at::zeros({96, 96}), edges), 0);
}

TEST(Metrics, EdgesOfARepaintedSceneAgreeWithItsTruthAndThoseOfAnotherDoNot) {
  double own = 0, other = 0;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const LabelledScene scene = draw_labelled(WorldName::kSmall, seed, {.size = 96, .style = 2});
    const at::Tensor truth = at::from_blob(const_cast<float*>(scene.edges.data()), {96, 96}, at::kFloat).clone();
    own += edge_agreement(edge_strength(drawn(seed, 2)), truth) / 4;
    other += edge_agreement(edge_strength(drawn(seed + 50, 2)), truth) / 4;
  }
  EXPECT_GT(own, other + 0.2);
}

TEST(Metrics, DepthOnAGrid) {
  const at::Tensor metres = at::full({8, 8}, 10.0f);
  metres.slice(0, 0, 4).zero_();  // sky
  const at::Tensor grid = depth_on_grid(metres, 2, 2);
  EXPECT_NEAR(grid[0][0].item<double>(), std::log(200), 1e-4);
  EXPECT_NEAR(grid[1][1].item<double>(), std::log(10), 1e-4);
  EXPECT_NEAR(correlation(grid, 3 * grid + 1), 1, 1e-9);
  EXPECT_NEAR(correlation(grid, -grid), -1, 1e-9);
  EXPECT_EQ(correlation(grid, at::ones({2, 2})), 0);
}

TEST(Metrics, DiversityGrowsWithTheDifferences) {
  const at::Tensor picture = drawn(5), near = (picture + 0.05 * at::randn(picture.sizes(), make_generator(1), at::kFloat)).clamp(0, 1), far = drawn(6);
  EXPECT_LT(diversity(at::cat({picture, near})), diversity(at::cat({picture, far})));
}

}  // namespace
}  // namespace attelier
