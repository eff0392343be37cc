// `style` against the authors' two published programs: fixtures by tests/parity/style_fixtures.py.
#include <cstring>

#include "tests/pipelines/pipelines_testing.h"

namespace attelier {
namespace {

const Inputs kPictures = {{"content", {pipeline_fixture("picture.png")}}, {"style", {pipeline_fixture("control.png")}}};

Json settings(const Json& changes = Json::object()) {
  const std::string file = pipeline_fixture("style.safetensors");
  Json params = {{"prompt_embeds", file + ":prompt_embeds"}, {"content_latents", file + ":content"}, {"style_latents", file + ":style"}, {"cache", false}};
  params.update(changes);
  return params;
}

const at::Tensor& expected(const std::string& name) { return fixture_tensors("style.safetensors").at(name); }

/// Inversions, starting latent, every step and the picture. `stride` is that of the fixture's inversion latents.
void expect_equal(const std::string& version, const MethodRun& run, int64_t stride) {
  for (const std::string role : {"content", "style"}) {
    const at::Tensor& path = expected(version + "." + role);
    for (int64_t i = 0; i < path.size(0); ++i)
      EXPECT_LT(relative_difference(run.trace.at(fmt::format("inversion.{}.{}", role, i * stride)), path.slice(0, i, i + 1)), 1e-4) << role << " " << i;
  }
  const at::Tensor& latents = expected(version + ".latents");
  const int64_t steps = latents.size(0) - 1;
  for (int64_t i = -1; i < steps; ++i)
    EXPECT_LT(relative_difference(run.trace.at(fmt::format("latents.{}", i)), latents.slice(0, i + 1, i + 2)), i < 2 ? 1e-4 : 1e-3) << i;
  EXPECT_FALSE(run.trace.contains(fmt::format("latents.{}", steps)));
  EXPECT_LT((run.trace.at("image") - expected(version + ".image").clamp(0, 1)).abs().max().item<double>(), 1e-3);
}

TEST(StyleParity, OfficialVersion) {
  const MethodRun run = run_method("style", shared_model(), settings(), kPictures);
  expect_equal("a", run, 10);
  // 50 + 50 + 49 calls: features that were kept are not computed again.
  EXPECT_EQ(run.progress.at("inverting the content"), 50);
  EXPECT_EQ(run.progress.at("inverting the style"), 50);
  EXPECT_EQ(run.progress.at("painting"), 49);
  EXPECT_EQ(run.trace.at("timesteps")[0].item<float>(), 961);
  EXPECT_EQ(run.trace.at("timesteps")[48].item<float>(), 1);
  // The official code truncates.
  const at::Tensor truncated = (run.trace.at("image") * 255).to(at::kByte).permute({0, 2, 3, 1}).contiguous();
  EXPECT_EQ(std::memcmp(truncated.const_data_ptr(), run.outputs[0].image.pixels.data(), run.outputs[0].image.pixels.size()), 0);
}

TEST(StyleParity, DiffusersVersion) {
  const MethodRun run = run_method("style", shared_model(), settings({{"variant", "diffusers"}}), kPictures);
  expect_equal("b", run, 5);
  EXPECT_EQ(run.trace.at("timesteps")[0].item<float>(), 951);
  const at::Tensor rounded = (run.trace.at("image") * 255).round().to(at::kByte).permute({0, 2, 3, 1}).contiguous();
  EXPECT_EQ(std::memcmp(rounded.const_data_ptr(), run.outputs[0].image.pixels.data(), run.outputs[0].image.pixels.size()), 0);
}

TEST(StyleParity, TheFixturesSeeTheInjection) {
  const MethodRun off = run_method("style", shared_model(), settings({{"variant", "diffusers"}, {"injection", false}}), kPictures);
  const at::Tensor& latents = expected("b.latents");
  EXPECT_GT(relative_difference(off.trace.at("latents.1"), latents.slice(0, 2, 3)), 1e-3);
  EXPECT_GT(relative_difference(off.trace.at("latents.19"), latents.slice(0, 20, 21)), 1e-2);
}

}  // namespace
}  // namespace attelier
