// `generate` against the pipelines of diffusers: fixtures by tests/parity/generate_fixtures.py.
#include "tests/pipelines/pipelines_testing.h"

namespace attelier {
namespace {

constexpr double kTolerance = 1e-4;  // of the largest value

std::string reference(const std::string& name) { return pipeline_fixture("generate.safetensors") + ":" + name; }

/// The fixtures' common settings with these changes.
Json settings(const Json& changes, const std::string& prefix = "") {
  Json params = {{"prompt_embeds", reference(prefix + "prompt_embeds")},
                 {"negative_prompt_embeds", reference(prefix + "negative_prompt_embeds")},
                 {"steps", 10},
                 {"size", {128, 128}},
                 {"guidance_scale", 3}};
  if (!prefix.empty()) {
    params["pooled_prompt_embeds"] = reference(prefix + "pooled_prompt_embeds");
    params["negative_pooled_prompt_embeds"] = reference(prefix + "negative_pooled_prompt_embeds");
  }
  params.update(changes);
  return params;
}

Inputs with_picture(bool mask = false) {
  Inputs inputs = {{"image", {pipeline_fixture("picture.png")}}};
  if (mask) inputs["mask"] = {pipeline_fixture("mask.png")};
  return inputs;
}

/// The last latent of a run against the fixture of this name.
void expect_equal(const std::string& fixture, const MethodRun& run) {
  int64_t last = -1;
  while (run.trace.contains(fmt::format("latents.{}", last + 1))) ++last;
  ASSERT_GE(last, 0);
  EXPECT_LT(relative_difference(run.trace.at(fmt::format("latents.{}", last)), fixture_tensors("generate.safetensors").at(fixture)), kTolerance) << fixture;
}

TEST(GenerateParity, TextToImage) {
  const MethodRun run = run_method("generate", shared_model(), settings({{"guidance_scale", 7.5}, {"seed", 11}}));
  expect_equal("text", run);
  EXPECT_LT(relative_difference(run.trace.at("image"), fixture_tensors("generate.safetensors").at("text.image")), kTolerance);
  EXPECT_EQ(run.trace.at("timesteps").numel(), 10);
  expect_equal("text.unguided", run_method("generate", shared_model(), settings({{"guidance_scale", 1}, {"seed", 11}})));
}

TEST(GenerateParity, RescaleAndEta) {
  expect_equal("text.rescaled", run_method("generate", shared_model(), settings({{"guidance_scale", 5}, {"guidance_rescale", 0.7}, {"eta", 0.6}, {"seed", 12}})));
}

TEST(GenerateParity, BatchOfTwoGenerators) {
  const Json params = settings({{"guidance_scale", 4}, {"eta", 1}, {"seed", 21}, {"size", {128, 96}}, {"count", 2}, {"batch", 2}});
  expect_equal("text.batch", run_method("generate", shared_model(), params));
}

TEST(GenerateParity, Samplers) {
  for (const std::string sampler : {"euler_a", "dpmpp_2m_karras"})
    expect_equal("text." + sampler, run_method("generate", shared_model(), settings({{"sampler", sampler}, {"seed", 13}})));
}

TEST(GenerateParity, ImageToImage) {
  expect_equal("image", run_method("generate", shared_model(), settings({{"strength", 0.6}, {"seed", 14}}), with_picture()));
  expect_equal("image.full", run_method("generate", shared_model(), settings({{"strength", 1}, {"eta", 0.3}, {"seed", 15}}), with_picture()));
}

TEST(GenerateParity, InpaintingWithAPlainUNet) {
  expect_equal("inpaint", run_method("generate", shared_model(), settings({{"seed", 16}}), with_picture(true)));
  expect_equal("inpaint.partial", run_method("generate", shared_model(), settings({{"strength", 0.7}, {"seed", 17}}), with_picture(true)));
}

TEST(GenerateParity, InpaintingWithNineChannels) {
  expect_equal("inpaint.nine", run_method("generate", shared_model("inpainting"), settings({{"seed", 19}}), with_picture(true)));
  expect_equal("inpaint.nine.partial", run_method("generate", shared_model("inpainting"), settings({{"strength", 0.5}, {"seed", 20}}), with_picture(true)));
}

TEST(GenerateParity, InpaintingOfTheMasksSurroundings) {
  const MethodRun run = run_method("generate", shared_model(), settings({{"mask_crop", 8}, {"guidance_scale", 2}, {"seed", 18}}), with_picture(true));
  ASSERT_EQ(run.outputs.size(), 1u);
  const Image expected = load_image(pipeline_fixture("inpaint_crop.png")), &made = run.outputs[0].image;
  ASSERT_EQ(made.pixels.size(), expected.pixels.size());
  int64_t different = 0;
  for (size_t i = 0; i < made.pixels.size(); ++i) {
    const int difference = std::abs(made.pixels[i] - expected.pixels[i]);
    EXPECT_LE(difference, 2) << i;
    different += difference > 0;
  }
  EXPECT_LT(different, static_cast<int64_t>(made.pixels.size()) / 100);
}

TEST(GenerateParity, ControlNets) {
  const std::string net = seeded_model("controlnet").string(), second = seeded_model("controlnet-2").string();
  const Inputs one = {{"control", {pipeline_fixture("control.png")}}}, two = {{"control", {pipeline_fixture("control.png"), pipeline_fixture("picture.png")}}};
  expect_equal("control", run_method("generate", shared_model(), settings({{"control_model", {net}}, {"control_scale", {0.8}}, {"control_end", {0.7}}, {"seed", 31}}), one));
  expect_equal("control.guess", run_method("generate", shared_model(), settings({{"control_model", {net}}, {"control_scale", {0.5}}, {"guess_mode", true}, {"seed", 32}}), one));
  expect_equal("control.two", run_method("generate", shared_model(),
                                         settings({{"control_model", {net, second}}, {"control_scale", {0.5, 0.3}}, {"control_start", {0, 0.4}}, {"seed", 33}}), two));
}

TEST(GenerateParity, Xl) {
  expect_equal("xl", run_method("generate", shared_model("xl"), settings({{"size", {96, 128}}, {"seed", 41}}, "xl.")));
  expect_equal("xl.image", run_method("generate", shared_model("xl"), settings({{"strength", 0.5}, {"seed", 42}}, "xl."), with_picture()));
}

}  // namespace
}  // namespace attelier
