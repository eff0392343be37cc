#include "core/training/denoising.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/base/context.h"
#include "core/base/error.h"
#include "tests/testing/errors.h"

namespace attelier {
namespace {

TEST(NoiseLevels, MixSignalAndNoiseAndNameTheTarget) {
  const at::Tensor clean = at::randn({3, 2, 4, 4}, make_generator(1), at::kFloat), noise = at::randn({3, 2, 4, 4}, make_generator(2), at::kFloat);
  const std::vector<int64_t> timesteps = {0, 500, 999};
  const std::vector<double> alphas = make_scheduler(default_scheduler_config("epsilon"))->alphas_cumprod();
  for (const bool velocity : {false, true}) {
    const NoiseLevels levels(default_scheduler_config(velocity ? "v_prediction" : "epsilon"), 5);
    EXPECT_EQ(levels.count(), 1000);
    EXPECT_EQ(levels.predicts_velocity(), velocity);
    NoisyBatch batch;
    levels.add_noise(batch, clean, noise, timesteps);
    for (int64_t b = 0; b < 3; ++b) {
      const double a = alphas[static_cast<size_t>(timesteps[static_cast<size_t>(b)])], snr = a / (1 - a);
      EXPECT_TRUE(at::allclose(batch.noisy[b], std::sqrt(a) * clean[b] + std::sqrt(1 - a) * noise[b], 1e-5, 1e-6));
      EXPECT_TRUE(at::allclose(batch.target[b], velocity ? std::sqrt(a) * noise[b] - std::sqrt(1 - a) * clean[b] : noise[b], 1e-5, 1e-6));
      EXPECT_NEAR(batch.weight[b].item<double>(), std::min(snr, 5.0) / (velocity ? snr + 1 : snr), 1e-5);
      EXPECT_EQ(batch.timestep[b].item<double>(), static_cast<double>(timesteps[static_cast<size_t>(b)]));
      // Either prediction gives the clean latent back.
      const at::Tensor recovered = velocity ? std::sqrt(a) * batch.noisy[b] - std::sqrt(1 - a) * batch.target[b] : (batch.noisy[b] - std::sqrt(1 - a) * batch.target[b]) / std::sqrt(a);
      EXPECT_TRUE(at::allclose(recovered, clean[b], 1e-3, 1e-4));
    }
    EXPECT_NEAR(denoising_loss(batch.target + 2, batch).item<double>(), 4 * batch.weight.mean().item<double>(), 1e-5);
  }
}

TEST(NoiseLevels, WithoutALimitEveryTimestepCountsTheSame) {
  const NoiseLevels levels(default_scheduler_config("v_prediction"), 0);
  NoisyBatch batch;
  levels.add_noise(batch, at::zeros({2, 1, 1, 1}), at::ones({2, 1, 1, 1}), {3, 990});
  EXPECT_TRUE(at::equal(batch.weight, at::ones({2})));
}

TEST(NoiseLevels, AnyNumberOfMeasurementsCoversTheWholeRange) {
  const NoiseLevels levels(default_scheduler_config("epsilon"), 5);
  for (const int64_t parts : {1, 3, 16, 700, 1000, 2500}) {
    double sum = 0;
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t timestep = levels.timestep_of_part(i, parts);
      ASSERT_GE(timestep, 0);
      ASSERT_LT(timestep, levels.count());
      sum += static_cast<double>(timestep);
    }
    EXPECT_NEAR(sum / static_cast<double>(parts), 500, 1) << parts;
    EXPECT_LE(levels.timestep_of_part(0, parts), 500 / parts);
    EXPECT_GE(levels.timestep_of_part(parts - 1, parts), levels.count() - 1 - 500 / parts);
  }
}

TEST(NoiseLevels, OtherPredictionsAreRefused) {
  Json config = default_scheduler_config("sample");
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { NoiseLevels(config, 5); }), "\"sample\""));
}

}  // namespace
}  // namespace attelier
