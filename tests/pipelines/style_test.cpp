// What StyleID must do whatever the weights are.
#include <cmath>
#include <fstream>

#include "core/attention/attention_maps.h"
#include "core/base/files.h"
#include "pipelines/style/style_adain.h"
#include "pipelines/style/style_inversion.h"
#include "pipelines/style/style_schedule.h"
#include "pipelines/style/trajectory_cache.h"
#include "tests/pipelines/pipelines_testing.h"

namespace attelier {
namespace {

namespace fs = std::filesystem;

const Inputs kPictures = {{"content", {pipeline_fixture("picture.png")}}, {"style", {pipeline_fixture("control.png")}}};
const std::vector<int64_t> kBlocks = {6, 7, 8, 9, 10, 11};

/// Few steps: 5 of inversion, 4 of painting.
MethodRun style(const Json& changes = Json::object(), const Inputs& inputs = kPictures) {
  Json params = {{"steps", 5}, {"cache", false}};
  params.update(changes);
  return run_method("style", shared_model(), params, inputs);
}

at::Tensor end(const MethodRun& run) {
  int64_t last = -1;
  while (run.trace.contains(fmt::format("latents.{}", last + 1))) ++last;
  return run.trace.at(fmt::format("latents.{}", last));
}

at::Tensor latent(uint64_t seed) { return at::randn({1, 4, 16, 16}, make_generator(seed), at::kFloat); }
at::Tensor embeds() { return fixture_tensors("style.safetensors").at("prompt_embeds"); }

at::Tensor predict(const at::Tensor& z, AttentionProgram* program) {
  ForwardContext context;
  context.program = program;
  UNetInputs inputs;
  inputs.sample = z;
  inputs.timestep = at::full({1}, 501.0f);
  inputs.encoder_hidden_states = embeds();
  return shared_model().unet().forward(inputs, context);
}

StepFeatures recorded(const at::Tensor& z, FeatureRecorder::Kind kind, const std::vector<int64_t>& blocks = kBlocks) {
  FeatureRecorder recorder(kind, blocks);
  predict(z, &recorder);
  return recorder.take();
}

TEST(StyleProgram, RecordsTheSelfAttentionsOfTheChosenBlocksAndChangesNothing) {
  const at::Tensor z = latent(1);
  FeatureRecorder recorder(FeatureRecorder::Kind::kStyle, kBlocks);
  EXPECT_TRUE(at::equal(predict(z, &recorder), predict(z, nullptr)));
  const StepFeatures features = recorder.take();
  ASSERT_EQ(features.size(), 6u);
  const SiteFeatures& last = features.at("up_blocks.3.attentions.2.transformer_blocks.0.attn1");
  EXPECT_EQ(last.k.sizes(), at::IntArrayRef({1, 8, 256, 4}));
  EXPECT_FALSE(last.q.defined());
  EXPECT_TRUE(features.contains("up_blocks.2.attentions.0.transformer_blocks.0.attn1"));
  EXPECT_TRUE(recorder.take().empty());
}

TEST(StyleProgram, OwnFeaturesAreNeutralForEveryGamma) {
  const at::Tensor z = latent(1), plain = predict(z, nullptr);
  const StepFeatures content = recorded(z, FeatureRecorder::Kind::kContent), own = recorded(z, FeatureRecorder::Kind::kStyle);
  for (const double gamma : {0.0, 0.4, 1.0}) {
    StyleInjection injection({gamma, 1, kBlocks, {}}, {{1.0}, {}, false});
    injection.use(content, {&own});
    EXPECT_LT(relative_difference(predict(z, &injection), plain), 1e-5) << gamma;
    EXPECT_EQ(injection.injections(), 6);
  }
}

TEST(StyleProgram, OtherFeaturesActAndSoDoGammaAndTemperature) {
  const at::Tensor z = latent(1), other = latent(2), plain = predict(z, nullptr);
  const StepFeatures content = recorded(latent(3), FeatureRecorder::Kind::kContent), features = recorded(other, FeatureRecorder::Kind::kStyle);
  const auto injected = [&](StyleStrength strength) {
    StyleInjection injection(std::move(strength), {{1.0}, {}, false});
    injection.use(content, {&features});
    return predict(z, &injection);
  };
  const at::Tensor base = injected({0.75, 1.5, kBlocks, {}});
  EXPECT_GT(relative_difference(base, plain), 1e-3);
  EXPECT_GT(relative_difference(injected({0.2, 1.5, kBlocks, {}}), base), 1e-4);
  EXPECT_GT(relative_difference(injected({0.75, 1, kBlocks, {}}), base), 1e-4);
  EXPECT_TRUE(at::equal(injected({0, 1.5, kBlocks, std::vector<double>(6, 0.75)}), base));
  EXPECT_GT(relative_difference(injected({0, 1.5, kBlocks, {0.75, 0.75, 0.75, 0.75, 0.75, 0.1}}), base), 1e-5);
  EXPECT_TRUE(at::equal(injected({0.75, 9, kBlocks, {}, std::vector<double>(6, 1.5)}), base));
  EXPECT_GT(relative_difference(injected({0.75, 9, kBlocks, {}, {1.5, 1.5, 1.5, 1.5, 1.5, 3}}), base), 1e-5);
}

TEST(StyleProgram, AStyleMixedWithItselfIsThatStyle) {
  const at::Tensor z = latent(1);
  const StepFeatures content = recorded(latent(3), FeatureRecorder::Kind::kContent), features = recorded(latent(2), FeatureRecorder::Kind::kStyle);
  const auto injected = [&](StyleMix mix) {
    const std::vector<const StepFeatures*> styles(mix.weights.size(), &features);
    StyleInjection injection({0.75, 1.5, kBlocks, {}}, std::move(mix));
    injection.use(content, styles);
    return predict(z, &injection);
  };
  const at::Tensor one = injected({{1.0}, {}, false}), white = at::ones({16, 16});
  EXPECT_LT(relative_difference(injected({{2.0, 1.0}, {}, false}), one), 1e-5);
  EXPECT_LT(relative_difference(injected({{2.0, 1.0}, {}, true}), one), 1e-5);
  EXPECT_LT(relative_difference(injected({{1.0}, {white}, true}), one), 1e-5);
  EXPECT_LT(relative_difference(injected({{1.0}, {white * 0}, true}), predict(z, nullptr)), 1e-5);
  at::Tensor half = white.clone();
  half.slice(1, 0, 8).zero_();
  const at::Tensor part = injected({{1.0}, {half}, true});
  EXPECT_GT(relative_difference(part, one), 1e-4);
  EXPECT_GT(relative_difference(part, predict(z, nullptr)), 1e-4);
  EXPECT_LT(relative_difference(injected({{1.0, 3.0}, {half, 1 - half}, true}), one), 1e-5);
}

TEST(StyleSchedule, OfficialLevelsAndTimesteps) {
  const Json config = shared_model().scheduler_config();
  const auto ddim = shared_model().scheduler("DDIMScheduler");
  const StyleSchedule schedule = style_official_schedule(config, *ddim, 50);
  ASSERT_EQ(schedule.timesteps.size(), 50u);
  EXPECT_EQ(schedule.timesteps.front(), 1);
  EXPECT_EQ(schedule.timesteps.back(), 981);
  EXPECT_NEAR(schedule.alpha_low[0], 0.99829603, 5e-8);
  EXPECT_NEAR(schedule.alpha_high[0], 0.98038075, 5e-8);
  EXPECT_NEAR(schedule.alpha_high[48], 0.00577550, 5e-8);
  EXPECT_NEAR(schedule.alpha_high[49], 0.00466010, 5e-8);
  EXPECT_NEAR(schedule.alpha_from[48], 0.00728173, 5e-8);
  EXPECT_NEAR(schedule.alpha_to[48], 0.00911731, 5e-8);
  EXPECT_NEAR(schedule.alpha_to[0], 0.99915000, 5e-8);
  // A number of steps that does not divide 1000.
  const StyleSchedule uneven = style_official_schedule(config, *ddim, 30);
  EXPECT_EQ(uneven.timesteps.back(), 29 * 33 + 1);
  EXPECT_NEAR(uneven.alpha_high.back(), 0.00466010, 5e-8);
}

TEST(StyleSchedule, DiffusersLevelsAndTimesteps) {
  const auto ddim = shared_model().scheduler("DDIMScheduler");
  const StyleSchedule schedule = style_diffusers_schedule(shared_model().scheduler_config(), *ddim, 20);
  EXPECT_EQ(schedule.timesteps.front(), 1);
  EXPECT_EQ(schedule.timesteps.back(), 951);
  const auto& alphas = ddim->alphas_cumprod();
  EXPECT_EQ(schedule.alpha_low[0], alphas[0]);
  EXPECT_EQ(schedule.alpha_high[0], alphas[1]);
  EXPECT_EQ(schedule.alpha_low[1], alphas[1]);
  EXPECT_EQ(schedule.alpha_high[19], alphas[951]);
  EXPECT_EQ(schedule.alpha_to[0], alphas[0]);
}

TEST(StyleSchedule, AConstantPredictionComesBackButForTheSkippedStretch) {
  const auto ddim = shared_model().scheduler("DDIMScheduler");
  const StyleSchedule schedule = style_official_schedule(shared_model().scheduler_config(), *ddim, 50);
  const double e = 0.3, start = 0.8;
  const at::Tensor prediction = at::full({1}, e, at::kDouble);
  at::Tensor z = at::full({1}, start, at::kDouble);
  for (int64_t k = 0; k < 50; ++k) z = schedule.invert(k, prediction, z);
  for (int64_t k = 49; k >= 0; --k) z = schedule.sample(k, prediction, z).latent;
  // z / sqrt(a) - e sqrt(1 / a - 1) stays the same in every step; between them the latent of level 999 is taken for one of level 981.
  const auto noise = [&](double a) { return e * std::sqrt(1 / a - 1); };
  const double first = schedule.alpha_low[0], top = schedule.alpha_high[49], believed = schedule.alpha_from[49], end = schedule.alpha_to[0];
  const double inverted = std::sqrt(top) * (start / std::sqrt(first) - noise(first) + noise(top));
  const double closed_form = std::sqrt(end) * (inverted / std::sqrt(believed) - noise(believed) + noise(end));
  EXPECT_NEAR(z.item<double>(), closed_form, 1e-5);
}

TEST(StyleSchedule, PredictionTypesAgreeWhenConverted) {
  const auto ddim = shared_model().scheduler("DDIMScheduler");
  StyleSchedule schedule = style_official_schedule(shared_model().scheduler_config(), *ddim, 50);
  const at::Tensor noise = at::randn({8}, at::kDouble), original = at::randn({8}, at::kDouble);
  const double a = schedule.alpha_from[20];
  const at::Tensor z = std::sqrt(a) * original + std::sqrt(1 - a) * noise, expected = schedule.sample(20, noise, z).latent;
  schedule.prediction_type = "v_prediction";
  EXPECT_LT(relative_difference(schedule.sample(20, std::sqrt(a) * noise - std::sqrt(1 - a) * original, z).latent, expected), 1e-6);
  schedule.prediction_type = "sample";
  EXPECT_LT(relative_difference(schedule.sample(20, original, z).latent, expected), 1e-6);
}

TEST(StyleAdain, TakesMeanAndUnbiasedDeviation) {
  const at::Tensor content = latent(1), target = latent(2) * 2 + 0.7;
  EXPECT_LT((style_adain(content, {content}, {{1.0}, {}, false}, 0) - content).abs().max().item<double>(), 1e-6);
  const at::Tensor moved = style_adain(content, {target}, {{1.0}, {}, false}, 0);
  EXPECT_LT((moved.mean({2, 3}) - target.mean({2, 3})).abs().max().item<double>(), 1e-5);
  EXPECT_LT((moved.std({2, 3}) - target.std({2, 3})).abs().max().item<double>(), 1e-5);
  const at::Tensor flat = style_adain(at::full_like(content, 3.0f), {target}, {{1.0}, {}, false}, 0);
  EXPECT_TRUE(at::isfinite(flat).all().item<bool>());
  const at::Tensor black = at::zeros({16, 16});
  EXPECT_TRUE(at::equal(style_adain(content, {target}, {{1.0}, {black}, true}, 0), content));
}

TEST(Style, WithoutInjectionAndAdainItIsPlainDdim) {
  const MethodRun run = style({{"injection", false}, {"initial_adain", false}});
  const auto ddim = shared_model().scheduler("DDIMScheduler");
  const StyleSchedule schedule = style_official_schedule(shared_model().scheduler_config(), *ddim, 5);
  const at::Tensor prompt = shared_model().encode_prompt("", {}, {}).embeds;
  const Context context;
  const StyleRun unet{shared_model(), schedule, prompt, context};
  at::Tensor x = run.trace.at("inversion.content.5");
  EXPECT_TRUE(at::equal(run.trace.at("latents.-1"), x));
  for (int64_t k = 3; k >= 0; --k) x = schedule.sample(k, unet.predict(k, 0, x, nullptr, {}), x).latent;
  EXPECT_TRUE(at::equal(end(run), x));
}

TEST(Style, AnIdenticalStyleWithGammaOneAndTemperatureOneIsTheReconstruction) {
  const Inputs same = {{"content", {pipeline_fixture("picture.png")}}, {"style", {pipeline_fixture("picture.png")}}};
  const MethodRun plain = style({{"injection", false}, {"start_step", 1}}, same);
  EXPECT_LT(relative_difference(plain.trace.at("latents.-1"), plain.trace.at("inversion.content.5")), 1e-5);
  // Started from the latent whose features are injected, the call is the plain one.
  const fs::path path = test_folder() / "start.safetensors";
  write_safetensors(path, {{"z", plain.trace.at("inversion.content.0")}});
  const Json start = {{"gamma", 1}, {"temperature", 1}, {"start_step", 1}, {"latents", path.string() + ":z"}};
  Json off = start;
  off["injection"] = false;
  EXPECT_LT(relative_difference(end(style(start, same)), end(style(off, same))), 1e-5);
}

TEST(Style, CachedRunsAreTheSameAndInvertNothing) {
  fs::remove_all(trajectory_folder());
  const MethodRun fresh = style({{"cache", true}});
  EXPECT_EQ(fresh.progress.at("inverting the content"), 5);
  EXPECT_EQ(std::distance(fs::directory_iterator(trajectory_folder()), {}), 2);
  const MethodRun cached = style({{"cache", true}});
  EXPECT_FALSE(cached.progress.contains("inverting the content"));
  EXPECT_FALSE(cached.progress.contains("inverting the style"));
  // Features kept in memory in the first run, computed again in the second: the same bits.
  EXPECT_TRUE(at::equal(end(cached), end(fresh)));
  EXPECT_TRUE(at::equal(end(style()), end(fresh)));
  for (const Json& changes : {Json{{"gamma", 0.3}}, Json{{"temperature", 1}}, Json{{"layers", {9, 10}}}, Json{{"initial_adain", false}}}) {
    Json params = changes;
    params["cache"] = true;
    const MethodRun other = style(params);
    EXPECT_FALSE(other.progress.contains("inverting the content")) << changes.dump();
    EXPECT_GT(relative_difference(end(other), end(fresh)), 1e-5) << changes.dump();
  }
  // Another style of the same photograph inverts only the style; another number of steps both.
  const MethodRun second = style({{"cache", true}}, {{"content", kPictures.at("content")}, {"style", {pipeline_fixture("mask.png")}}});
  EXPECT_FALSE(second.progress.contains("inverting the content"));
  EXPECT_EQ(second.progress.at("inverting the style"), 5);
  EXPECT_EQ(style({{"cache", true}, {"steps", 4}}).progress.at("inverting the content"), 4);
}

TEST(Style, DamagedCacheFilesAreMadeAgain) {
  fs::remove_all(trajectory_folder());
  const at::Tensor right = end(style({{"cache", true}}));
  int64_t kind = 0;
  for (const auto& entry : fs::directory_iterator(trajectory_folder())) {
    std::string bytes = read_file(entry.path());
    if (kind++ == 0)
      bytes.resize(bytes.size() / 2);
    else
      bytes[bytes.size() - 3] ^= 1;
    std::ofstream(entry.path(), std::ios::binary) << bytes;
  }
  const MethodRun again = style({{"cache", true}});
  EXPECT_EQ(again.progress.at("inverting the content"), 5);
  EXPECT_EQ(again.progress.at("inverting the style"), 5);
  EXPECT_TRUE(at::equal(end(again), right));
  EXPECT_FALSE(style({{"cache", true}}).progress.contains("inverting the style"));
}

TEST(Style, TheCacheStaysWithinItsLimit) {
  fs::remove_all(trajectory_folder());
  const auto key = [](int64_t i) { return TrajectoryKey().add(fmt::format("{}", i)); };
  for (int64_t i = 0; i < 5; ++i) {
    save_trajectory(key(i), at::full({2, 4, 16, 16}, static_cast<float>(i)), trajectory_folder(), 30000);
    fs::last_write_time(trajectory_folder() / (key(i).digest() + ".safetensors"), fs::file_time_type::clock::now() - std::chrono::hours(10 - i));
  }
  EXPECT_FALSE(load_trajectory(key(0), {2, 4, 16, 16}).defined());
  EXPECT_FALSE(load_trajectory(key(4), {3, 4, 16, 16}).defined());
  EXPECT_EQ(load_trajectory(key(4), {2, 4, 16, 16})[0][0][0][0].item<float>(), 4);
  // Use keeps an entry alive.
  EXPECT_TRUE(load_trajectory(key(2), {2, 4, 16, 16}).defined());
  save_trajectory(key(5), at::ones({2, 4, 16, 16}), trajectory_folder(), 30000);
  EXPECT_TRUE(load_trajectory(key(2), {2, 4, 16, 16}).defined());
  EXPECT_FALSE(load_trajectory(key(3), {2, 4, 16, 16}).defined());
}

TEST(Style, APictureWithAFolderForThemKeepsItsInversionsThere) {
  fs::remove_all(trajectory_folder());
  const fs::path own = test_folder() / "kept/style.png", kept = own.parent_path() / "trajectories";
  fs::create_directories(own.parent_path());
  fs::copy_file(kPictures.at("style")[0], own, fs::copy_options::overwrite_existing);
  const Inputs inputs = {{"content", kPictures.at("content")}, {"style", {own}}};
  // The cache has the inversion already: it is taken over, not computed again.
  const at::Tensor right = end(style({{"cache", true}}, inputs));
  fs::create_directories(kept);
  EXPECT_FALSE(style({{"cache", true}}, inputs).progress.contains("inverting the style"));
  EXPECT_EQ(std::distance(fs::directory_iterator(kept), {}), 1);
  // Whatever becomes of the cache.
  fs::remove_all(trajectory_folder());
  const MethodRun again = style({{"cache", true}}, inputs);
  EXPECT_TRUE(again.progress.contains("inverting the content"));
  EXPECT_FALSE(again.progress.contains("inverting the style"));
  EXPECT_TRUE(at::equal(end(again), right));
  // A new one goes there and nowhere else.
  style({{"cache", true}, {"steps", 4}}, inputs);
  EXPECT_EQ(std::distance(fs::directory_iterator(kept), {}), 2);
  EXPECT_EQ(std::distance(fs::directory_iterator(trajectory_folder()), {}), 2) << "the content's";
  fs::remove_all(own.parent_path());
}

TEST(Style, AWatchedRunIsTheSameAndShowsWherePlacesLookInTheStyles) {
  const Inputs inputs = {{"content", kPictures.at("content")}, {"style", {kPictures.at("style")[0], pipeline_fixture("picture.png")}}};
  const Json params = {{"steps", 5}, {"cache", false}, {"weights", {3, 1}}, {"combine", "blend"}};
  AttentionWatch watch;
  const MethodRun plain = style(params, inputs), watched = run_method("style", shared_model(), params, inputs, {}, &watch);
  EXPECT_TRUE(at::equal(end(watched), end(plain)));
  EXPECT_TRUE(watch.words().empty());
  ASSERT_EQ(watch.sources().size(), 2u);
  EXPECT_EQ(watch.sources()[0].width, shared_model().native_size());
  const std::vector<CapturedAttention> captures = watch.recorder.captures();
  EXPECT_EQ(captured_steps(captures), (std::vector<int64_t>{0, 1, 2, 3}));
  const std::string injected = "up_blocks.3.attentions.2.transformer_blocks.0.attn1", plain_site = "down_blocks.0.attentions.0.transformer_blocks.0.attn1";
  // Maps are in multiples of the mean: over a whole picture they average to its share.
  const auto share = [&](const std::string& site, std::optional<int64_t> source) {
    const at::Tensor map = place_map(captures, {site, 1, {}, source}, 0.3, 0.6);
    return map.numel() == 0 ? 0.0 : map.mean().item<double>();
  };
  EXPECT_NEAR(share(injected, 0), 0.75, 1e-4);
  EXPECT_NEAR(share(injected, 1), 0.25, 1e-4);
  EXPECT_EQ(share(injected, {}), 0) << "keys and values are the styles' alone";
  EXPECT_EQ(share(plain_site, 0), 0);
  EXPECT_NEAR(share(plain_site, {}), 1, 1e-4);
  const at::Tensor received = received_map(captures, {injected, {}, {}, 0});
  EXPECT_NEAR(received.mean().item<double>(), 0.75, 1e-4);
}

TEST(Style, FeaturesThatDoNotFitAreComputedAgainBitForBit) {
  const auto ddim = shared_model().scheduler("DDIMScheduler");
  const StyleSchedule schedule = style_official_schedule(shared_model().scheduler_config(), *ddim, 3);
  const at::Tensor prompt = embeds();
  const Context context;
  const StyleRun run{shared_model(), schedule, prompt, context};
  Inversion kept(FeatureRecorder::Kind::kStyle, kBlocks), small(FeatureRecorder::Kind::kStyle, kBlocks);
  kept.run(run, latent(4), 3, uint64_t{1} << 30, "");
  small.run(run, latent(4), 3, 1000, "");
  EXPECT_TRUE(at::equal(kept.latents(), small.latents()));
  for (int64_t k = 0; k < 3; ++k) {
    const StepFeatures a = kept.features(run, k, 0), b = small.features(run, k, 0);
    ASSERT_EQ(a.size(), 6u);
    for (const auto& [path, site] : a) EXPECT_TRUE(at::equal(site.k, b.at(path).k) && at::equal(site.v, b.at(path).v)) << path;
  }
}

TEST(Style, SeveralStylesAndMasks) {
  const fs::path picture = pipeline_fixture("picture.png"), control = pipeline_fixture("control.png"), mask = pipeline_fixture("mask.png");
  const at::Tensor one = end(style());
  const MethodRun two = style({{"weights", {3, 1}}}, {{"content", {picture}}, {"style", {control, mask}}});
  EXPECT_TRUE(two.trace.contains("inversion.style.1.5"));
  EXPECT_GT(relative_difference(end(two), one), 1e-3);
  EXPECT_LT(relative_difference(end(style({{"weights", {3, 1}}}, {{"content", {picture}}, {"style", {control, control}}})), one), 1e-4);
  const at::Tensor masked = end(style(Json::object(), {{"content", {picture}}, {"style", {control}}, {"style_mask", {mask}}}));
  EXPECT_GT(relative_difference(masked, one), 1e-3);
}

TEST(Style, SizesThatAreNotSquare) {
  const MethodRun run = style({{"size", {96, 64}}, {"steps", 2}});
  EXPECT_EQ(run.outputs[0].image.width, 96);
  EXPECT_EQ(run.outputs[0].image.height, 64);
}

TEST(Style, PosteriorSamplesDependOnTheSeed) {
  const auto start = [](const Json& changes) { return style(changes).trace.at("inversion.content.0"); };
  EXPECT_TRUE(at::equal(start({{"seed", 1}}), start({{"seed", 2}})));
  EXPECT_GT(relative_difference(start({{"posterior", "sample"}, {"seed", 1}}), start({{"posterior", "sample"}, {"seed", 2}})), 1e-4);
}

TEST(Style, WrongJobsAreRefusedByName) {
  const auto refused = [](const Json& changes, const Inputs& inputs, std::string_view part) {
    EXPECT_EQ(error_of([&] { style(changes, inputs); }, part), ExitCode::kBadInput) << changes.dump();
  };
  const fs::path picture = pipeline_fixture("picture.png");
  refused({{"start_step", 6}}, kPictures, "/params/start_step");
  refused({{"size", {100, 100}}}, kPictures, "multiples of 8");
  refused({{"weights", {1, 2}}}, kPictures, "/params/weights");
  refused({{"block_gammas", {0.5}}}, kPictures, "/params/block_gammas");
  refused({{"block_temperatures", {1.5, 1.5}}, {"layers", {8}}}, kPictures, "/params/block_temperatures");
  refused(Json::object(), {{"content", {picture}}, {"style", {picture, picture, picture, picture}}}, "at most 3");
  refused(Json::object(), {{"content", {picture}}, {"style", {picture}}, {"style_mask", {picture, picture}}}, "/inputs/style_mask");
  refused({{"content_latents", pipeline_fixture("style.safetensors") + ":prompt_embeds"}}, kPictures, "/params/content_latents");
  EXPECT_EQ(error_of([&] { run_method("style", shared_model("xl"), Json::object(), kPictures); }, "SDXL"), ExitCode::kBadInput);
}

}  // namespace
}  // namespace attelier
