// Initial noise, image to image, inpainting and guidance.
#include "core/diffusion/latents.h"

#include <cmath>

#include "core/base/context.h"
#include "core/diffusion/guidance.h"
#include "tests/core/diffusion/diffusion_testing.h"

namespace attelier {
namespace {

const at::Tensor& sample() { return fixtures().tensor("sample"); }
at::Tensor noise(int64_t i) { return fixtures().tensor("noise")[i]; }

at::Tensor seeded(uint64_t seed, at::IntArrayRef shape, at::ScalarType dtype = at::kFloat) {
  return initial_noise(generator_noise(make_generator(seed)), shape, at::kCPU, dtype);
}

TEST(InitialNoise, SeedsOfTorch) {
  const at::Tensor zero = seeded(0, {1, 4, 64, 64}).flatten(), answer = seeded(42, {1, 4, 64, 64}).flatten();
  const at::Tensor first_of_zero = at::tensor({-1.1258f, -1.1524f, -0.2506f, -0.4339f, 0.8487f, 0.6920f, -0.3160f, -2.1152f, 0.3223f, -1.2633f, 0.3500f, 0.3081f, 0.1198f,
                                               1.2377f, 1.1168f, -0.2473f});
  const at::Tensor first_of_answer = at::tensor({1.9269f, 1.4873f, 0.9007f, -2.1055f, 0.6784f, -1.2345f, -0.0431f, -1.6047f});
  EXPECT_LE((zero.slice(0, 0, 16) - first_of_zero).abs().max().item<float>(), 5.1e-5f);
  EXPECT_NEAR(zero[-1].item<float>(), -1.0782, 5.1e-5);
  EXPECT_LE((answer.slice(0, 0, 8) - first_of_answer).abs().max().item<float>(), 5.1e-5f);
  EXPECT_NEAR(answer[-1].item<float>(), -0.2934, 5.1e-5);
}

TEST(InitialNoise, EqualsTheGeneratorOfTheFixtures) {
  // The fixtures draw the sample, then 32 predictions, then 32 noises from torch.Generator().manual_seed(5).
  const NoiseSource source = generator_noise(make_generator(5));
  EXPECT_LE(relative_difference(initial_noise(source, {1, 4, 4, 4}, at::kCPU, at::kFloat), sample()), same());
  for (const char* name : {"predictions", "noise"}) EXPECT_LE(relative_difference(source(fixtures().tensor(name)), fixtures().tensor(name)), same()) << name;
}

TEST(InitialNoise, OnlyTheLowBitsOfTheSeedCount) {
  EXPECT_TRUE(at::equal(seeded(7, {1, 4, 8, 8}), seeded(7 + (uint64_t{1} << 32), {1, 4, 8, 8})));
  EXPECT_FALSE(at::equal(seeded(7, {1, 4, 8, 8}), seeded(8, {1, 4, 8, 8})));
}

TEST(InitialNoise, IsDrawnInItsDtype) {
  const at::Tensor half = seeded(1, {1, 4, 8, 8}, at::kHalf);
  EXPECT_EQ(half.scalar_type(), at::kHalf);
  EXPECT_FALSE(at::equal(half, seeded(1, {1, 4, 8, 8}).to(at::kHalf)));
}

TEST(InitialNoise, OneGeneratorPerPictureMakesThemIndependentOfTheBatch) {
  const at::Tensor both = initial_noise(generator_noise(std::vector<at::Generator>{make_generator(1), make_generator(2)}), {2, 4, 8, 8}, at::kCPU, at::kFloat);
  EXPECT_TRUE(at::equal(both.slice(0, 0, 1), seeded(1, {1, 4, 8, 8})));
  EXPECT_TRUE(at::equal(both.slice(0, 1, 2), seeded(2, {1, 4, 8, 8})));
  // A list of one draws the whole batch, as in diffusers.
  EXPECT_TRUE(at::equal(initial_noise(generator_noise(std::vector<at::Generator>{make_generator(1)}), {2, 4, 8, 8}, at::kCPU, at::kFloat), seeded(1, {2, 4, 8, 8})));
  const NoiseSource two = generator_noise(std::vector<at::Generator>{make_generator(1), make_generator(2)});
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { two(at::zeros({3, 4})); }), "one per row"));
}

TEST(InitialNoise, IsScaledToTheFirstTimestep) {
  const auto euler = make_scheduler(sd_config(), "EulerDiscreteScheduler");
  euler->set_timesteps(20);
  EXPECT_TRUE(at::equal(start_from_noise(*euler, sample()), sample() * static_cast<float>(euler->sigmas()[0])));
  const auto ddim = make_scheduler(sd_config(), "DDIMScheduler");
  ddim->set_timesteps(20);
  EXPECT_TRUE(at::equal(start_from_noise(*ddim, sample()), sample()));
}

TEST(ImageToImage, StrengthChoosesTheFirstStep) {
  const auto ddim = make_scheduler(sd_config(), "DDIMScheduler");
  ddim->set_timesteps(50);
  EXPECT_EQ(set_strength(*ddim, 50, 0.8), 10);
  EXPECT_EQ(ddim->timesteps()[10], 781);
  EXPECT_EQ(ddim->index(), 10);
  // 50 * 0.58 is 28.999999999999996 and is cut off.
  EXPECT_EQ(set_strength(*ddim, 50, 0.58), 22);
  EXPECT_EQ(set_strength(*ddim, 50, 1), 0);
  const auto heun = make_scheduler(sd_config(), "HeunDiscreteScheduler");
  heun->set_timesteps(10);
  EXPECT_EQ(set_strength(*heun, 10, 0.7), 6);
}

TEST(ImageToImage, StrengthsWithoutStepsAreRefused) {
  const auto ddim = make_scheduler(sd_config(), "DDIMScheduler");
  ddim->set_timesteps(10);
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { set_strength(*ddim, 10, 0.05); }), "leaves no step"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { set_strength(*ddim, 10, 1.5); }), "strength is 1.5; allowed is 0 to 1"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { set_strength(*ddim, 10, std::nan("")); }), "allowed is 0 to 1"));
}

TEST(ImageToImage, StartsAsDiffusersDoes) {
  for (const Json& item : fixtures().cases) {
    if (item.at("kind") != "trajectory" || item.at("strength").is_null() || item.at("dtype") != "float32") continue;
    const std::string name = item.at("name");
    const auto scheduler = fixtures().scheduler(item);
    scheduler->set_timesteps(item.at("steps"));
    EXPECT_EQ(set_strength(*scheduler, item.at("steps"), item.at("strength")), item.at("start")) << name;
    EXPECT_LE(relative_difference(start_from_image(*scheduler, sample(), noise(31)), fixtures().tensor(name + ".samples")[0]), same()) << name;
  }
}

TEST(Inpainting, StrengthOneIsPureNoise) {
  const auto euler = make_scheduler(sd_config(), "EulerDiscreteScheduler");
  euler->set_timesteps(10);
  EXPECT_TRUE(at::equal(start_inpainting(*euler, {}, noise(0), 1), start_from_noise(*euler, noise(0))));
  set_strength(*euler, 10, 0.5);
  EXPECT_TRUE(at::equal(start_inpainting(*euler, sample(), noise(0), 0.5), euler->add_noise(sample(), noise(0), 5)));
}

TEST(Inpainting, MasksAndHoles) {
  const at::Tensor mask = at::tensor({0.0f, 0.49f, 0.5f, 1.0f}).view({1, 1, 2, 2});
  EXPECT_TRUE(at::equal(binary_mask(mask).flatten(), at::tensor({0.0f, 0.0f, 1.0f, 1.0f})));
  const at::Tensor picture = at::full({2, 3, 2, 2}, -0.5f), masked = masked_picture(picture, mask);
  EXPECT_TRUE(at::equal(masked.slice(2, 0, 1), picture.slice(2, 0, 1)));
  EXPECT_EQ(masked.slice(2, 1, 2).abs().max().item<float>(), 0);
}

TEST(Inpainting, MaskReductions) {
  at::Tensor mask = at::zeros({1, 1, 16, 24});
  mask.index_put_({at::tensor(0), at::tensor(0), at::tensor(0), at::tensor(8)}, 1.0);    // the corner of cell (0, 1)
  mask.index_put_({at::tensor(0), at::tensor(0), at::tensor(15), at::tensor(23)}, 1.0);  // the last pixel of cell (1, 2)
  const at::Tensor nearest = mask_to_latent(mask, 2, 3), largest = mask_to_latent(mask, 2, 3, MaskReduction::kLargest);
  EXPECT_TRUE(at::equal(nearest.flatten(), at::tensor({0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 0.0f})));
  EXPECT_TRUE(at::equal(largest.flatten(), at::tensor({0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f})));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { mask_to_latent(mask, 5, 3, MaskReduction::kLargest); }), "does not divide"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { mask_to_latent(mask[0], 2, 3); }), "allowed is [B, 1, H, W]"));
}

TEST(Inpainting, ChannelsOfAnyLatentSize) {
  for (const int64_t channels : {4, 8}) {
    const at::Tensor mask = at::ones({1, 1, 4, 4}), masked = at::rand({1, channels, 4, 4});
    const at::Tensor extra = inpainting_channels(mask, masked, 3);
    EXPECT_EQ(extra.sizes(), (std::vector<int64_t>{3, 1 + channels, 4, 4}));
    EXPECT_TRUE(at::equal(extra.slice(1, 0, 1), mask.expand({3, 1, 4, 4})));
    EXPECT_TRUE(at::equal(extra.slice(1, 1), masked.expand({3, -1, -1, -1})));
  }
}

TEST(Inpainting, OutsideTheMaskThePictureStays) {
  at::Tensor mask = at::zeros({1, 1, 4, 4});
  mask.slice(2, 0, 2).fill_(1);
  for (const SamplerName& sampler : sampler_names()) {
    const auto scheduler = make_scheduler(sd_config(), sampler.class_name, sampler.options);
    scheduler->set_timesteps(6);
    set_strength(*scheduler, 6, 0.7);
    at::Tensor latent = start_from_image(*scheduler, sample(), noise(0));
    const auto keep = keep_outside_mask(*scheduler, sample(), noise(0), mask);
    const NoiseSource source = generator_noise(make_generator(1));
    for (int64_t i = scheduler->index(), step = 0; i < static_cast<int64_t>(scheduler->timesteps().size()); ++i, ++step) {
      const at::Tensor stepped = scheduler->step(fixtures().tensor("predictions")[i], latent, source);
      latent = keep(step, stepped);
      EXPECT_TRUE(at::equal(latent.slice(2, 0, 2), stepped.slice(2, 0, 2))) << sampler.name;
      if (i + 1 < static_cast<int64_t>(scheduler->timesteps().size())) {
        EXPECT_TRUE(at::equal(latent.slice(2, 2), scheduler->add_noise(sample(), noise(0), i + 1).slice(2, 2))) << sampler.name;
      }
    }
    EXPECT_TRUE(at::equal(latent.slice(2, 2), sample().slice(2, 2))) << sampler.name;
  }
}

TEST(Guidance, Identities) {
  const at::Tensor unconditional = at::cat({noise(0), noise(1)}), conditional = at::cat({noise(2), noise(3)});
  const at::Tensor rows = at::cat({unconditional, conditional});
  EXPECT_LE(relative_difference(guide(rows, 1), conditional), 1e-6);
  EXPECT_TRUE(at::equal(guide(rows, 0), unconditional));
  EXPECT_TRUE(at::equal(guide(rows, 7.5), unconditional + 7.5 * (conditional - unconditional)));
  EXPECT_TRUE(at::equal(guide(rows, 7.5, 0), guide(rows, 7.5)));
  // Equal branches: the scale does not matter.
  EXPECT_TRUE(at::equal(guide(at::cat({conditional, conditional}), 11), conditional));
}

TEST(Guidance, RescaleGivesTheConditionalDeviation) {
  const at::Tensor rows = at::cat({noise(0), noise(1), noise(2) * 3, noise(3)});
  const at::Tensor full = guide(rows, 7.5, 1), part = guide(rows, 7.5, 0.7), plain = guide(rows, 7.5);
  for (int64_t picture = 0; picture < 2; ++picture)
    EXPECT_NEAR(full[picture].std().item<double>(), rows[2 + picture].std().item<double>(), 1e-5);
  EXPECT_LE(relative_difference(part, 0.7 * full + 0.3 * plain), 1e-6);
}

TEST(Guidance, OddRowsAreRefused) {
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [] { guide(at::zeros({3, 4, 2, 2}), 7.5); }), "there are 3 rows"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [] { guide(at::zeros({}), 7.5); }), "there are 0 rows"));
}

}  // namespace
}  // namespace attelier
