// Every scheduler against diffusers: tables, timesteps, sigmas, and whole trajectories with fixed predictions and fixed noise.
#include "tests/core/diffusion/diffusion_testing.h"

namespace attelier {
namespace {

/// Levels that follow a rule go through float32 logarithms and double powers, which numpy rounds differently from the C library in the last place; the
/// timesteps interpolated from them are then equal to a few 1e-5.
bool follows_a_rule(const Json& options) {
  return options.value("use_karras_sigmas", false) || options.value("use_exponential_sigmas", false) || options.value("use_lu_lambdas", false) ||
         options.value("timestep_type", "") == "continuous" || options.value("interpolation_type", "") == "log_linear";
}

void expect_schedule(const Json& item, const Scheduler& scheduler) {
  const std::string name = item.at("name");
  const auto& expected = fixtures();
  const at::Tensor timesteps = as_tensor(scheduler.timesteps());
  const double tolerance = follows_a_rule(item.at("options")) ? std::max(2e-7, same()) : same();
  EXPECT_LE(relative_difference(timesteps, expected.tensor(name + ".timesteps")), tolerance) << name << "\n" << timesteps << expected.tensor(name + ".timesteps");
  EXPECT_LE(relative_difference(as_tensor({scheduler.init_noise_sigma()}), expected.tensor(name + ".init_noise_sigma")), tolerance) << name;
  const auto sigmas = expected.tensors.find(name + ".sigmas");
  if (sigmas == expected.tensors.end())
    EXPECT_TRUE(scheduler.sigmas().empty()) << name;
  else
    EXPECT_LE(relative_difference(as_tensor(scheduler.sigmas()), sigmas->second), tolerance) << name << "\n" << as_tensor(scheduler.sigmas()) << sigmas->second;
}

TEST(SchedulerParity, Tables) {
  int64_t seen = 0;
  for (const Json& item : fixtures().cases) {
    if (item.at("kind") != "betas") continue;
    ++seen;
    const auto scheduler = fixtures().scheduler(item);
    EXPECT_LE(relative_difference(as_tensor(scheduler->alphas_cumprod()), fixtures().tensor(item.at("name").get<std::string>() + ".alphas_cumprod")), same()) << item;
  }
  EXPECT_EQ(seen, 8);
}

TEST(SchedulerParity, TimestepsAndSigmas) {
  int64_t seen = 0;
  for (const Json& item : fixtures().cases) {
    if (item.at("kind") != "schedule") continue;
    ++seen;
    const auto scheduler = fixtures().scheduler(item);
    scheduler->set_timesteps(4);  // a scheduler can be set again
    scheduler->set_timesteps(item.at("steps"));
    expect_schedule(item, *scheduler);
  }
  EXPECT_GT(seen, 350);
}

TEST(SchedulerParity, Trajectories) {
  const auto& f = fixtures();
  int64_t seen = 0, equal = 0;
  for (const Json& item : f.cases) {
    if (item.at("kind") != "trajectory") continue;
    const std::string name = item.at("name");
    SCOPED_TRACE(name);
    const auto scheduler = f.scheduler(item);
    scheduler->set_timesteps(item.at("steps"));
    expect_schedule(item, *scheduler);
    const std::string dtype_name = item.at("dtype");
    const at::ScalarType dtype = dtype_name == "bfloat16" ? at::kBFloat16 : dtype_name == "float16" ? at::kHalf : at::kFloat;
    // One rounding of the dtype where coefficients differ in their last place.
    const double tolerance = dtype == at::kFloat ? 2e-6 : dtype == at::kHalf ? 1e-3 : 8e-3;
    int64_t draws = 0;
    const NoiseSource noise = [&](const at::Tensor& like) { return f.tensor("noise")[draws++].to(like.scalar_type()); };

    at::Tensor sample = f.tensor("sample").to(dtype);
    const at::Tensor image = sample, image_noise = f.tensor("noise")[31].to(dtype);
    const int64_t start = item.at("start");
    if (!item.at("strength").is_null()) {
      scheduler->set_begin_index(start);
      sample = scheduler->add_noise(image, image_noise, start);
    }
    const at::Tensor& samples = f.tensor(name + ".samples");
    const auto inputs = f.tensors.find(name + ".inputs"), known = f.tensors.find(name + ".known");
    EXPECT_LE(relative_difference(sample, samples[0]), dtype == at::kFloat ? same() : tolerance);
    ASSERT_EQ(samples.size(0) - 1, static_cast<int64_t>(scheduler->timesteps().size()) - start);
    double worst = 0;
    for (int64_t i = 0; i + 1 < samples.size(0); ++i) {
      if (inputs != f.tensors.end()) worst = std::max(worst, relative_difference(scheduler->scale_model_input(sample), inputs->second[i]));
      EXPECT_EQ(scheduler->index(), start + i);
      sample = scheduler->step(f.tensor("predictions")[i].to(dtype), sample, noise);
      worst = std::max(worst, relative_difference(sample, samples[i + 1]));
      EXPECT_EQ(scheduler->predicted_original().sizes(), sample.sizes());
      if (known != f.tensors.end() && i + 2 < samples.size(0))
        worst = std::max(worst, relative_difference(scheduler->add_noise(image, image_noise, scheduler->index()), known->second[i]));
    }
    EXPECT_LE(worst, tolerance);
    ++seen;
    equal += worst == 0;
    if (worst != 0) std::printf("  %s: %.1e\n", name.c_str(), worst);
  }
  std::printf("%ld of %ld trajectories have the bits of diffusers\n", equal, seen);
  EXPECT_GT(seen, 120);
}

}  // namespace
}  // namespace attelier
