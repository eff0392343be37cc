// What `generate` promises whatever the weights are.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/attention/attention_maps.h"
#include "core/base/files.h"
#include "core/diffusion/latents.h"
#include "core/media/edges.h"
#include "pipelines/generate/pictures.h"
#include "tests/pipelines/pipelines_testing.h"

namespace attelier {
namespace {

const Inputs kPicture = {{"image", {pipeline_fixture("picture.png")}}};
const Inputs kMasked = {{"image", {pipeline_fixture("picture.png")}}, {"mask", {pipeline_fixture("mask.png")}}};

Json settings(const Json& changes = Json::object()) {
  Json params = {{"prompt", "a red house by the sea"}, {"steps", 4}, {"size", {128, 128}}, {"guidance_scale", 3}, {"seed", 5}};
  params.update(changes);
  return params;
}

MethodRun generate(const Json& changes = Json::object(), const Inputs& inputs = {}, const std::string& model = "sd") {
  return run_method("generate", shared_model(model), settings(changes), inputs);
}

at::Tensor end(const MethodRun& run) {
  int64_t last = -1;
  while (run.trace.contains(fmt::format("latents.{}", last + 1))) ++last;
  return run.trace.at(fmt::format("latents.{}", last));
}

TEST(Generate, TheSameJobGivesTheSamePixelsAndAnotherSeedDoesNot) {
  const MethodRun a = generate(), b = generate(), other = generate({{"seed", 6}});
  EXPECT_TRUE(at::equal(end(a), end(b)));
  EXPECT_EQ(a.outputs[0].image.pixels, b.outputs[0].image.pixels);
  EXPECT_GT(relative_difference(end(other), end(a)), 0.01);
  EXPECT_EQ(a.outputs[0].image.width, 128);
  EXPECT_EQ(a.progress.at("sampling"), 4);
}

TEST(Generate, ThePromptActs) { EXPECT_GT(relative_difference(end(generate({{"prompt", "the sea at night"}})), end(generate())), 1e-3); }

TEST(Generate, AttentionEditsActAndThoseOfGainOneDoNot) {
  const at::Tensor plain = end(generate());
  const auto edited = [&](const Json& texts) { return end(generate({{"attention", texts}})); };
  EXPECT_TRUE(at::equal(edited(Json::array()), plain));
  EXPECT_TRUE(at::equal(edited({"red house=1", "*=1 within:0/0/0.5/0.5"}), plain));
  for (const char* text : {"house=0", "red house=5", "house=0 steps:1-2", "sea=5 within:0/0/0.5/0.5", "*=0 heads:0", "*=0.1 within:0.2/0.2/0.6/0.6"})
    EXPECT_GT(relative_difference(edited({text}), plain), 1e-6) << text;
  EXPECT_GT(relative_difference(edited({"house=0 site:text_encoder*:*"}), plain), 1e-6) << "the other words do not hear it";
  EXPECT_TRUE(at::equal(edited({"house=0 steps:9"}), plain)) << "there is no step 9 of 4";
  EXPECT_EQ(generate({{"attention", {"house=0 steps:9", "house=2 site:nowhere"}}}).warnings.size(), 2U);
}

TEST(Generate, AnEditedPhraseMustBeInThePrompt) {
  const auto refusal = [](const Json& changes) {
    try {
      generate(changes);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadInput);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal({{"attention", {"red house=0", "horse=0"}}}).find("/params/attention/1: \"horse\" is not in the prompt; its words are: a red house by the sea"), std::string::npos);
  EXPECT_NE(refusal({{"attention", {"house=two"}}}).find("/params/attention/0"), std::string::npos);
}

TEST(Generate, AWatchSeesAttentionAndChangesNoBit) {
  AttentionWatch watch;
  const MethodRun watched = run_method("generate", shared_model(), settings({{"attention", {"house=0"}}, {"count", 2}}), {}, {}, &watch);
  EXPECT_TRUE(at::equal(end(watched), end(generate({{"attention", {"house=0"}}}))));
  const std::vector<PromptWord> words = watch.words();
  ASSERT_EQ(words.size(), 6U);
  EXPECT_EQ(words[2].text, "house");
  const std::vector<CapturedAttention> captures = watch.recorder.captures();
  EXPECT_EQ(captured_steps(captures), (std::vector<int64_t>{0, 1, 2, 3}));
  std::vector<int64_t> house(static_cast<size_t>(words[2].count));
  std::iota(house.begin(), house.end(), words[2].first);
  EXPECT_EQ(word_map(captures, {}, house).abs().max().item<float>(), 0) << "the muted word gets nothing";
  EXPECT_GT(word_map(captures, {}, {words[1].first}).min().item<float>(), 0);
  // Two pictures were made; the captures are the first one's.
  AttentionWatch first;
  run_method("generate", shared_model(), settings({{"attention", {"house=0"}}}), {}, {}, &first);
  EXPECT_TRUE(at::equal(first.recorder.captures().back().q, captures.back().q));
}

TEST(Generate, WithoutGuidanceTheNegativePromptIsNotEvenEncoded) {
  const MethodRun one = generate({{"guidance_scale", 1}}), low = generate({{"guidance_scale", 0.3}, {"negative_prompt", "a green tree"}});
  EXPECT_TRUE(at::equal(end(one), end(low)));
}

TEST(Generate, EqualPromptsMakeGuidanceMeaningless) {
  const Json equal = {{"negative_prompt", "a red house by the sea"}};
  Json strong = equal, weak = equal;
  strong["guidance_scale"] = 9;
  weak["guidance_scale"] = 1;
  EXPECT_LT(relative_difference(end(generate(strong)), end(generate(weak))), 1e-4);
}

TEST(Generate, EveryPictureOfSeveralIsTheOneItWouldBeAlone) {
  const MethodRun several = generate({{"count", 3}, {"eta", 1}});
  ASSERT_EQ(several.outputs.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(several.outputs[i].params["seed"], 5 + i);
    EXPECT_EQ(several.outputs[i].params["count"], 1);
    const MethodRun alone = run_method("generate", shared_model(), several.outputs[i].params);
    EXPECT_EQ(alone.outputs[0].image.pixels, several.outputs[i].image.pixels) << i;
  }
}

TEST(Generate, ABatchIsTheSameUpToRounding) {
  const MethodRun batch = generate({{"count", 3}, {"batch", 2}, {"eta", 1}});
  ASSERT_EQ(batch.outputs.size(), 3u);
  EXPECT_EQ(batch.progress.at("sampling"), 8);
  const at::Tensor rows = end(batch);
  ASSERT_EQ(rows.size(0), 2);
  EXPECT_LT(relative_difference(rows.slice(0, 1), end(generate({{"seed", 6}, {"eta", 1}}))), 1e-4);
}

TEST(Generate, ImageToImageStartsFromThePictureWithNoiseOfItsTimestep) {
  // One step of fifty begins at timestep 1, where the picture's latent has hardly any noise.
  const MethodRun run = generate({{"steps", 50}, {"strength", 0.02}}, kPicture);
  EXPECT_EQ(run.progress.at("sampling"), 1);
  EXPECT_EQ(run.trace.at("timesteps").item<float>(), 1);
  DiffusionModel& model = shared_model();
  const at::Tensor picture = to_tensor(load_image(pipeline_fixture("picture.png"))) * 2 - 1;
  const NoiseSource noise = generator_noise(make_generator(5));
  const at::Tensor latent = model.encode(picture, noise, {}), drawn = noise(latent);
  const double level = 1 - 0.99829603;
  EXPECT_LT((run.trace.at("latents.-1") - std::sqrt(1 - level) * latent - std::sqrt(level) * drawn).abs().max().item<double>(), 1e-5);
  EXPECT_LT((end(run) - latent).abs().max().item<double>(), 0.4);
}

TEST(Generate, InpaintingKeepsTheLatentsOutsideTheMask) {
  const MethodRun run = generate({{"strength", 0.75}}, kMasked);
  const at::Tensor picture = to_tensor(load_image(pipeline_fixture("picture.png"))) * 2 - 1;
  const at::Tensor latent = shared_model().encode(picture, generator_noise(make_generator(5)), {});
  const at::Tensor mask = mask_to_latent(binary_mask(to_tensor(to_gray(load_image(pipeline_fixture("mask.png"))))), 16, 16).expand_as(latent);
  ASSERT_GT(mask.sum().item<double>(), 0);
  EXPECT_TRUE(at::equal(end(run).masked_select(mask == 0), latent.masked_select(mask == 0)));
  EXPECT_GT((end(run) - latent).masked_select(mask == 1).abs().max().item<double>(), 1e-3);
}

TEST(Generate, KeepLatentsPutsThemBackForAnInpaintingModelToo) {
  const auto encoded = [](const char* name) { return pipeline_fixture("generate.safetensors") + ":" + name; };
  const auto repaint = [&](bool keep) {
    return generate({{"prompt", ""}, {"prompt_embeds", encoded("prompt_embeds")}, {"negative_prompt_embeds", encoded("negative_prompt_embeds")}, {"keep_latents", keep}}, kMasked, "inpainting");
  };
  const MethodRun plain = repaint(false), kept = repaint(true);
  const at::Tensor mask = mask_to_latent(binary_mask(to_tensor(to_gray(load_image(pipeline_fixture("mask.png"))))), 16, 16).expand_as(end(kept));
  const at::Tensor start = plain.trace.at("latents.-1"), own_start = kept.trace.at("latents.-1");
  EXPECT_TRUE(at::equal(own_start.masked_select(mask == 1), start.masked_select(mask == 1))) << "the same noise under the mask";
  EXPECT_FALSE(at::equal(own_start.masked_select(mask == 0), start.masked_select(mask == 0)));
  const at::Tensor picture = to_tensor(load_image(pipeline_fixture("picture.png"))) * 2 - 1;
  // Equal up to the autoencoder's own draw, whose deviation is small.
  const at::Tensor latent = shared_model().encode(picture, generator_noise(make_generator(5)), {});
  EXPECT_LT((end(kept) - latent).masked_select(mask == 0).abs().mean().item<double>(), 0.25 * (end(plain) - latent).masked_select(mask == 0).abs().mean().item<double>());
  EXPECT_GT(relative_difference(end(kept).masked_select(mask == 1), end(plain).masked_select(mask == 1)), 1e-4) << "what is painted sees what is kept";
}

TEST(Generate, KeepPixelsPutsThePictureBackOutsideTheMask) {
  const Image picture = load_image(pipeline_fixture("picture.png")), mask = load_image(pipeline_fixture("mask.png"));
  const MethodRun run = generate({{"keep_pixels", true}}, kMasked);
  const Image& image = run.outputs[0].image;
  bool changed = false;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    for (size_t c = 3 * i; c < 3 * i + 3; ++c) {
      ASSERT_TRUE(mask.pixels[i] != 0 || image.pixels[c] == picture.pixels[c]) << i;
      changed = changed || image.pixels[c] != picture.pixels[c];
    }
  }
  EXPECT_TRUE(changed);
}

TEST(Generate, TheLargestMaskCoversEveryTouchedCell) {
  const Json nearest = {{"mask_to_latent", "nearest"}}, largest = {{"mask_to_latent", "largest"}};
  EXPECT_GT(relative_difference(end(generate(largest, kMasked)), end(generate(nearest, kMasked))), 1e-4);
}

TEST(Generate, AControlNetOfScaleZeroIsNone) {
  const Json net = {seeded_model("controlnet").string()};
  const Inputs control = {{"control", {pipeline_fixture("control.png")}}};
  const at::Tensor plain = end(generate());
  EXPECT_TRUE(at::equal(end(generate({{"control_model", net}, {"control_scale", {0}}}, control)), plain));
  const at::Tensor guided = end(generate({{"control_model", net}}, control));
  EXPECT_GT(relative_difference(guided, plain), 1e-3);
  EXPECT_GT(relative_difference(end(generate({{"control_model", net}, {"control_prepare", "canny"}}, control)), guided), 1e-3);
}

TEST(Generate, CannyDrawsWhiteLinesWhereColoursMeet) {
  const Image edges = canny_edges(to_rgb(load_image(pipeline_fixture("control.png"))), 100, 200);
  const auto white = std::count(edges.pixels.begin(), edges.pixels.end(), 255), black = std::count(edges.pixels.begin(), edges.pixels.end(), 0);
  EXPECT_EQ(white + black, static_cast<int64_t>(edges.pixels.size()));
  EXPECT_GT(white, 1000);
  EXPECT_GT(black, white);
}

TEST(Generate, ALoraActsAndLeavesNoTrace) {
  const std::string key = "lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.";
  const std::filesystem::path path = test_folder() / "lora.safetensors";
  const at::Generator generator = make_generator(3);
  write_safetensors(path, {{key + "lora_down.weight", at::randn({4, 64}, generator, at::kFloat)}, {key + "lora_up.weight", at::randn({64, 4}, generator, at::kFloat)}});
  const at::Tensor plain = end(generate());
  const Json lora = {path.string()};
  const at::Tensor changed = end(generate({{"lora", lora}}));
  EXPECT_GT(relative_difference(changed, plain), 1e-4);
  EXPECT_TRUE(at::equal(end(generate({{"lora", lora}, {"lora_weights", {0}}})), plain));
  EXPECT_TRUE(at::equal(end(generate()), plain));
  EXPECT_GT(relative_difference(end(generate({{"lora", lora}, {"lora_weights", {2}}})), changed), 1e-4);
}

TEST(Generate, LongPromptsAreCutWithAWarningOrEncodedInParts) {
  std::string prompt = "a red house";
  for (int i = 0; i < 60; ++i) prompt += " by the sea at night";
  const MethodRun cut = generate({{"prompt", prompt}});
  ASSERT_EQ(cut.warnings.size(), 1u);
  EXPECT_NE(cut.warnings[0].find("night"), std::string::npos);
  const MethodRun whole = generate({{"prompt", prompt}, {"long_prompt", true}});
  EXPECT_TRUE(whole.warnings.empty());
  EXPECT_GT(relative_difference(end(whole), end(cut)), 1e-5);
  EXPECT_NO_THROW(generate({{"negative_prompt", prompt}, {"long_prompt", true}}));
}

TEST(Generate, PromptWeightsAreReadOnlyWhenAskedFor) {
  const Json weighted = {{"prompt", "a (red:1.6) house by the sea"}, {"prompt_weights", true}}, neutral = {{"prompt", "a (red:1.0) house by the sea"}, {"prompt_weights", true}};
  EXPECT_GT(relative_difference(end(generate(weighted)), end(generate())), 1e-5);
  EXPECT_LT(relative_difference(end(generate(neutral)), end(generate())), 1e-5);
}

TEST(Generate, ClipSkipActsOnThePromptAlone) {
  EXPECT_GT(relative_difference(end(generate({{"clip_skip", 1}})), end(generate())), 1e-5);
  const Json unprompted = {{"prompt_embeds", pipeline_fixture("generate.safetensors") + ":prompt_embeds"}};
  Json skipped = unprompted;
  skipped["clip_skip"] = 1;
  EXPECT_TRUE(at::equal(end(generate(skipped)), end(generate(unprompted))));
}

TEST(Generate, GivenLatentsReplaceTheSeed) {
  const std::filesystem::path path = test_folder() / "noise.safetensors";
  write_safetensors(path, {{"noise", at::randn({1, 4, 16, 16}, make_generator(5), at::kFloat)}});
  EXPECT_TRUE(at::equal(end(generate({{"latents", path.string() + ":noise"}, {"seed", 77}})), end(generate())));
}

TEST(Generate, TilingOfAPictureWithinATileIsNone) {
  EXPECT_EQ(generate({{"vae_tiling", "on"}}).outputs[0].image.pixels, generate({{"vae_tiling", "off"}}).outputs[0].image.pixels);
}

TEST(Generate, SizesComeFromTheModelAndFromThePicture) {
  EXPECT_EQ(generate({{"size", nullptr}, {"steps", 1}}).outputs[0].image.width, 128);
  Image wide{64, 32, 3, std::vector<uint8_t>(64 * 32 * 3, 90)};
  save_image(test_folder() / "wide.png", wide);
  const MethodRun run = generate({{"size", nullptr}, {"steps", 2}}, {{"image", {test_folder() / "wide.png"}}});
  EXPECT_EQ(run.outputs[0].image.width, 184);
  EXPECT_EQ(run.outputs[0].image.height, 88);
}

TEST(Generate, PreviewsAreSmallPicturesOfEachStep) {
  Context context;
  std::vector<at::Tensor> previews;
  context.preview = [&](int64_t step, const at::Tensor& picture) {
    EXPECT_EQ(step, static_cast<int64_t>(previews.size()));
    previews.push_back(picture);
  };
  run_method("generate", shared_model(), settings(), {}, context);
  ASSERT_EQ(previews.size(), 4u);
  EXPECT_EQ(previews[0].sizes(), at::IntArrayRef({1, 3, 16, 16}));
  EXPECT_GE(previews[3].min().item<float>(), 0);
  EXPECT_LE(previews[3].max().item<float>(), 1);
  EXPECT_GT((previews[3] - previews[0]).abs().max().item<float>(), 0);
}

TEST(Generate, AStopEndsTheRun) {
  Context context;
  std::stop_source stop;
  context.stop = stop.get_token();
  int64_t outputs = 0;
  std::vector<Problem> problems;
  const Method* method = find_method("generate");
  MethodJob job{resolve_parameters(method->parameters, settings({{"steps", 50}}), "", problems), {}, &shared_model(), nullptr};
  int64_t steps = 0;
  context.progress = [&](const Progress& progress) {
    if (progress.stage == "sampling" && ++steps == 2) stop.request_stop();
  };
  EXPECT_THROW(method->run(job, context, [&](MethodOutput) { ++outputs; }), Interrupted);
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(outputs, 0);
}

TEST(Generate, WrongJobsAreRefusedByName) {
  const auto refused = [](const Json& changes, const Inputs& inputs, std::string_view part, const std::string& model = "sd") {
    EXPECT_EQ(error_of([&] { generate(changes, inputs, model); }, part), ExitCode::kBadInput) << changes.dump();
  };
  refused({{"size", {100, 128}}}, {}, "multiples of 8");
  refused(Json::object(), {{"mask", {pipeline_fixture("mask.png")}}}, "/inputs/mask");
  refused({{"strength", 0.1}}, kPicture, "leaves no step");
  refused({{"eta", 0.5}, {"sampler", "euler_a"}}, {}, "/params/eta");
  refused(Json::object(), {{"control", {pipeline_fixture("control.png")}}}, "/params/control_model");
  refused({{"control_model", {"net"}}}, {}, "/inputs/control");
  refused({{"lora", {"a", "b"}}, {"lora_weights", {1}}}, {}, "/params/lora_weights");
  refused({{"latents", pipeline_fixture("generate.safetensors") + ":prompt_embeds"}}, {}, "/params/latents");
  refused({{"latents", pipeline_fixture("generate.safetensors") + ":nothing"}}, {}, "holds no tensor \"nothing\"");
  refused({{"prompt_embeds", "embeds"}}, {}, "FILE.safetensors:NAME");
  refused({{"prompt_embeds", pipeline_fixture("generate.safetensors") + ":xl.prompt_embeds"}}, {}, "/params/prompt_embeds");
  refused({{"clip_skip", 5}}, {}, "/params/clip_skip");
  refused(Json::object(), {{"image", {pipeline_fixture("generate.safetensors")}}}, "generate.safetensors");
  refused({{"prompt_embeds", pipeline_fixture("generate.safetensors") + ":prompt_embeds"}, {"guidance_scale", 1}}, {}, "inpainting model", "inpainting");
}

TEST(Generate, ABlackMaskCannotBeCroppedTo) {
  save_image(test_folder() / "black.png", Image{128, 128, 1, std::vector<uint8_t>(128 * 128)});
  const Inputs inputs = {{"image", {pipeline_fixture("picture.png")}}, {"mask", {test_folder() / "black.png"}}};
  EXPECT_EQ(error_of([&] { generate({{"mask_crop", 4}}, inputs); }, "black everywhere"), ExitCode::kBadInput);
}

}  // namespace
}  // namespace attelier
