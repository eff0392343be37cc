// What holds between schedulers, how configs are read, and what is refused.
#include <cmath>
#include <set>

#include "core/base/context.h"
#include "tests/core/diffusion/diffusion_testing.h"

namespace attelier {
namespace {

const at::Tensor& sample() { return fixtures().tensor("sample"); }

Json with(Json config, const Json& changes) {
  config.update(changes);
  return config;
}

/// Runs all evaluations with the output that `model` gives for a sample and its timestep.
template <typename Model>
at::Tensor run(Scheduler& scheduler, at::Tensor x, const Model& model, const NoiseSource& noise = {}) {
  for (const double timestep : scheduler.timesteps()) x = scheduler.step(model(x, timestep), x, noise);
  return x;
}

std::vector<double> timesteps(const std::string& class_name, int64_t steps, const Json& options = {}) {
  const auto scheduler = make_scheduler(sd_config(), class_name, options);
  scheduler->set_timesteps(steps);
  return scheduler->timesteps();
}

TEST(SchedulerRules, PublishedTimesteps) {
  using Values = std::vector<double>;
  EXPECT_EQ(timesteps("DDIMScheduler", 20), (Values{951, 901, 851, 801, 751, 701, 651, 601, 551, 501, 451, 401, 351, 301, 251, 201, 151, 101, 51, 1}));
  EXPECT_EQ(timesteps("PNDMScheduler", 5), (Values{801, 601, 601, 401, 201, 1}));
  EXPECT_EQ(timesteps("LCMScheduler", 8), (Values{999, 879, 759, 639, 499, 379, 259, 139}));
  // 499.5 rounds to the even 500.
  EXPECT_EQ(timesteps("DPMSolverMultistepScheduler", 20), (Values{999, 949, 899, 849, 799, 749, 699, 649, 599, 549, 500, 450, 400, 350, 300, 250, 200, 150, 100, 50}));
  EXPECT_EQ(timesteps("DPMSolverMultistepScheduler", 20, {{"use_karras_sigmas", true}}),
            (Values{999, 962, 921, 876, 827, 772, 710, 640, 561, 474, 380, 285, 197, 123, 69, 35, 15, 6, 2, 0}));
  const auto inverse = make_inverse_scheduler(sd_config());
  inverse->set_timesteps(4);
  EXPECT_EQ(inverse->timesteps(), (Values{1, 251, 501, 751}));
  const auto sdxl = make_scheduler(fixtures().configs.at("sdxl"));
  sdxl->set_timesteps(50);
  EXPECT_EQ(sdxl->timesteps().front(), 981);
  EXPECT_NEAR(sdxl->init_noise_sigma(), 13.158464, 1e-5);
}

TEST(SchedulerRules, PublishedAlphas) {
  const auto scheduler = make_scheduler(sd_config());
  const std::vector<double>& alphas = scheduler->alphas_cumprod();
  ASSERT_EQ(alphas.size(), 1000u);
  EXPECT_NEAR(alphas[0], 0.99915000, 5e-7);
  EXPECT_NEAR(alphas[500], 0.27633268, 5e-7);
  EXPECT_NEAR(alphas[981], 0.00577550, 5e-7);
  EXPECT_NEAR(alphas[999], 0.00466010, 5e-7);
}

TEST(SchedulerRules, TrailingHasAsManyTimestepsAsSteps) {
  for (int64_t steps = 1; steps <= 1000; ++steps) {
    const std::vector<double> t = timesteps("DDIMScheduler", steps, {{"timestep_spacing", "trailing"}});
    ASSERT_EQ(static_cast<int64_t>(t.size()), steps);
    ASSERT_EQ(t.front(), 999);
    ASSERT_GE(t.back(), 0);
  }
}

TEST(SchedulerRules, DdimEqualsFirstOrderDpmSolver) {
  const auto ddim = make_scheduler(sd_config(), "DDIMScheduler", {{"timestep_spacing", "trailing"}});
  const auto solver = make_scheduler(sd_config(), "DPMSolverMultistepScheduler", {{"timestep_spacing", "trailing"}, {"solver_order", 1}});
  ddim->set_timesteps(20);
  solver->set_timesteps(20);
  ASSERT_EQ(ddim->timesteps(), solver->timesteps());
  at::Tensor a = sample(), b = sample();
  // All but the last step, whose targets differ: timestep -1 and sigma 0.
  for (size_t i = 0; i + 1 < 20; ++i) {
    const at::Tensor prediction = fixtures().tensor("predictions")[static_cast<int64_t>(i)];
    a = ddim->step(prediction, a, {});
    b = solver->step(prediction, b, {});
    EXPECT_LE(relative_difference(a, b), 1e-5) << i;
  }
}

TEST(SchedulerRules, InversionComesBack) {
  for (const char* prediction_type : {"epsilon", "v_prediction"}) {
    const Json config = with(sd_config(), {{"prediction_type", prediction_type}});
    const auto inverse = make_inverse_scheduler(config);
    const auto ddim = make_scheduler(config, "DDIMScheduler");
    inverse->set_timesteps(10);
    ddim->set_timesteps(10);
    // One noise for every step, expressed as the model would say it.
    const at::Tensor epsilon = fixtures().tensor("noise")[0];
    const bool velocity = std::string(prediction_type) == "v_prediction";
    const auto said = [&](const at::Tensor& x, double alpha) { return velocity ? (epsilon - std::sqrt(1 - alpha) * x) / std::sqrt(alpha) : epsilon; };
    const auto& alphas = ddim->alphas_cumprod();
    at::Tensor x = run(*inverse, sample(), [&](const at::Tensor& z, double t) { return said(z, alphas[static_cast<size_t>(std::max(t - 100, 0.0))]); });
    EXPECT_GT(relative_difference(x, sample()), 0.1);
    x = run(*ddim, x, [&](const at::Tensor& z, double t) { return said(z, alphas[static_cast<size_t>(t)]); });
    EXPECT_LE(relative_difference(x, sample()), 1e-5) << prediction_type;
  }
}

/// A model that knows its picture and noise: every prediction type says the same, so every scheduler must end at the same sample.
TEST(SchedulerRules, PredictionTypesAgree) {
  const at::Tensor picture = fixtures().tensor("noise")[1];
  for (const SamplerName& sampler : sampler_names()) {
    at::Tensor reference;
    for (const char* prediction_type : {"epsilon", "v_prediction", "sample"}) {
      const bool lacks_sample = sampler.name == "pndm" || sampler.name == "euler_a";
      if (lacks_sample && std::string(prediction_type) == "sample") continue;
      Json config = with(sd_config(), {{"prediction_type", prediction_type}});
      const auto scheduler = make_scheduler(config, sampler.class_name, sampler.options);
      scheduler->set_timesteps(8);
      int64_t draws = 2;
      const NoiseSource noise = [&](const at::Tensor&) { return fixtures().tensor("noise")[draws++]; };
      at::Tensor x = sample() * scheduler->init_noise_sigma();
      for (size_t i = 0; i < scheduler->timesteps().size(); ++i) {
        // The level that the scheduler reads the sample at: x = sqrt(a) picture + sqrt(1 - a) epsilon, in the scaled coordinates of sigma schedulers too.
        double alpha;
        const bool scaled = scheduler->init_noise_sigma() != 1;
        if (scheduler->sigmas().empty())
          alpha = scheduler->alphas_cumprod()[static_cast<size_t>(scheduler->timesteps()[i])];
        else
          alpha = 1 / (scheduler->sigmas()[i] * scheduler->sigmas()[i] + 1);
        if (sampler.name == "pndm" && i == 1) alpha = scheduler->alphas_cumprod()[static_cast<size_t>(scheduler->timesteps()[0])];
        at::Tensor at_level = scaled ? x * std::sqrt(alpha) : x;
        if (sampler.name == "pndm" && i == 1) at_level = sample();
        const at::Tensor epsilon = (at_level - std::sqrt(alpha) * picture) / std::sqrt(1 - alpha);
        const at::Tensor velocity = std::sqrt(alpha) * epsilon - std::sqrt(1 - alpha) * picture;
        const std::string type = prediction_type;
        x = scheduler->step(type == "epsilon" ? epsilon : type == "sample" ? picture : velocity, x, noise);
      }
      if (!reference.defined()) reference = x;
      // PNDM mixes predictions of several timesteps, whose velocities mix otherwise than noises do.
      if (sampler.name != "pndm") {
        EXPECT_LE(relative_difference(x, reference), 2e-4) << sampler.name << " " << prediction_type;
      }
    }
    if (sampler.name.starts_with("dpmpp") || sampler.name.starts_with("euler") || sampler.name.starts_with("heun") || sampler.name == "unipc") {
      EXPECT_LE(relative_difference(reference, picture), 2e-4) << sampler.name << " ends at the picture";
    }
  }
}

TEST(SchedulerRules, DdimWithEtaOneHasTheVarianceOfDdpm) {
  Json config = with(sd_config(), {{"steps_offset", 0}, {"set_alpha_to_one", true}});
  const auto ddim = make_scheduler(config, "DDIMScheduler", {{"eta", 1.0}});
  const auto ddpm = make_scheduler(config, "DDPMScheduler");
  ddim->set_timesteps(1000);
  ddpm->set_timesteps(1000);
  const at::Tensor zero = at::zeros({1, 4}), one = at::ones({1, 4});
  const NoiseSource ones = [&](const at::Tensor&) { return one; };
  for (int64_t i = 0; i < 999; ++i) {
    const at::Tensor a = ddim->step(zero, zero, ones), b = ddpm->step(zero, zero, ones);
    EXPECT_LE(relative_difference(a, b), 1e-5) << i;
  }
}

TEST(SchedulerRules, NoiseIsDrawnWhereDiffusersDrawsIt) {
  const std::map<std::string, int64_t> expected = {{"ddpm", 5}, {"euler_a", 5}, {"dpmpp_2m_sde", 5}, {"dpmpp_2m_sde_karras", 5}, {"lcm", 4}};
  for (const SamplerName& sampler : sampler_names()) {
    const auto scheduler = make_scheduler(sd_config(), sampler.class_name, sampler.options);
    scheduler->set_timesteps(5);
    int64_t draws = 0;
    run(*scheduler, sample(), [](const at::Tensor& x, double) { return at::zeros_like(x); }, [&](const at::Tensor& like) {
      ++draws;
      return at::zeros_like(like);
    });
    const auto found = expected.find(sampler.name);
    EXPECT_EQ(draws, found == expected.end() ? 0 : found->second) << sampler.name;
  }
}

TEST(SchedulerRules, ARunCanBeRepeated) {
  for (const SamplerName& sampler : sampler_names()) {
    const auto scheduler = make_scheduler(sd_config(), sampler.class_name, sampler.options);
    std::vector<at::Tensor> results;
    for (int64_t round = 0; round < 2; ++round) {
      scheduler->set_timesteps(6);
      const NoiseSource noise = generator_noise(make_generator(3));
      results.push_back(run(*scheduler, sample(), [](const at::Tensor& x, double t) { return (x * (t / 1000)).sin(); }, noise));
    }
    EXPECT_EQ(relative_difference(results[0], results[1]), 0) << sampler.name;
  }
}

TEST(SchedulerRules, SamplerNamesAreDistinctAndComplete) {
  std::set<std::string> names;
  for (const SamplerName& sampler : sampler_names()) names.insert(sampler.name);
  EXPECT_EQ(names.size(), sampler_names().size());
  for (const char* name : {"ddim", "ddpm", "pndm", "euler", "euler_a", "heun", "lms", "dpmpp_2m", "dpmpp_2m_karras", "dpmpp_2m_sde", "dpmpp_2m_sde_karras", "unipc", "lcm"})
    EXPECT_EQ(names.count(name), 1u) << name;
}

TEST(SchedulerRules, DefaultedKeysAreNotCarriedOver) {
  // What diffusers writes for a scheduler that was made with its defaults.
  Json config = with(sd_config(), {{"timestep_spacing", "leading"}, {"_use_default_values", {"timestep_spacing"}}});
  const auto euler = make_scheduler(config, "EulerDiscreteScheduler");
  euler->set_timesteps(2);
  EXPECT_EQ(euler->timesteps(), (std::vector<double>{999, 0}));
}

TEST(SchedulerRules, StepsOutsideTheModelAreRefused) {
  for (const SamplerName& sampler : sampler_names()) {
    const auto scheduler = make_scheduler(sd_config(), sampler.class_name, sampler.options);
    for (const int64_t steps : {int64_t{0}, int64_t{-1}, int64_t{1001}, INT64_MAX})
      EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { scheduler->set_timesteps(steps); }), "allowed is 1 to")) << sampler.name;
  }
  const auto ddim = make_scheduler(sd_config(), "DDIMScheduler");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { ddim->set_timesteps(1000); }), "needs timestep 1000; allowed is 0 to 999"));
  const auto solver = make_scheduler(sd_config(), "DPMSolverMultistepScheduler", {{"timestep_spacing", "leading"}});
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { solver->set_timesteps(1000); }), "allowed is 1 to 999"));
  const auto pndm = make_scheduler(sd_config(), "PNDMScheduler", {{"skip_prk_steps", false}});
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { pndm->set_timesteps(3); }), "allowed is 4 to 1000"));
  const auto lcm = make_scheduler(sd_config(), "LCMScheduler");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { lcm->set_timesteps(51); }), "original_inference_steps, 50"));
}

TEST(SchedulerRules, WrongStepsAreRefused) {
  const auto scheduler = make_scheduler(sd_config(), "DDPMScheduler");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { scheduler->step(sample(), sample(), {}); }), "none at index 0"));
  scheduler->set_timesteps(1);
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { scheduler->step(sample().flatten(), sample(), {}); }), "one shape"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { scheduler->step(sample(), sample(), {}); }), "source of noise"));
  scheduler->step(sample(), sample(), generator_noise(make_generator(0)));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { scheduler->step(sample(), sample(), {}); }), "none at index 1"));
  EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { scheduler->add_noise(sample(), sample(), 7); }), "none at index 7"));
}

struct BadConfig {
  const char* class_name;
  Json changes;
  const char* message;
};

TEST(SchedulerRules, BadConfigsAreRefused) {
  const BadConfig cases[] = {
      {"DDIMScheduler", {{"beta_schedule", "quadratic"}}, "beta_schedule of DDIMScheduler is \"quadratic\"; allowed is one of linear, scaled_linear, squaredcos_cap_v2"},
      {"DDIMScheduler", {{"beta_schedule", 3}}, "beta_schedule of DDIMScheduler is 3"},
      {"DDIMScheduler", {{"beta_start", "small"}}, "beta_start of DDIMScheduler is \"small\"; allowed is a number"},
      {"DDIMScheduler", {{"beta_end", 1.5}}, "allowed is a number from 0 to 1"},
      {"DDIMScheduler", {{"num_train_timesteps", 0}}, "allowed is an integer from 1 to 100000"},
      {"DDIMScheduler", {{"num_train_timesteps", 1000.5}}, "num_train_timesteps of DDIMScheduler is 1000.5"},
      {"DDIMScheduler", {{"num_train_timesteps", 18446744073709551615u}}, "num_train_timesteps"},
      {"DDIMScheduler", {{"trained_betas", {0.1, 0.2}}}, "trained_betas of DDIMScheduler has 2 entries; allowed is num_train_timesteps, 1000"},
      {"DDIMScheduler", {{"trained_betas", "none"}}, "allowed is a list of numbers"},
      {"DDIMScheduler", {{"steps_offset", -1}}, "steps_offset of DDIMScheduler is -1; allowed is an integer from 0 to 999"},
      {"DDIMScheduler", {{"clip_sample", "no"}}, "clip_sample of DDIMScheduler is \"no\"; allowed is true or false"},
      {"DDIMScheduler", {{"prediction_type", "flow_prediction"}}, "allowed is one of epsilon, sample, v_prediction"},
      {"DDIMScheduler", {{"timestep_spacing", "random"}}, "allowed is one of linspace, leading, trailing"},
      {"DDIMScheduler", {{"eta", 2}}, "eta of DDIMScheduler is 2; allowed is a number from 0 to 1"},
      {"DDIMInverseScheduler", {{"timestep_spacing", "linspace"}}, "allowed is one of leading, trailing"},
      {"DDPMScheduler", {{"variance_type", "learned_range"}}, "allowed is one of fixed_small, fixed_small_log, fixed_large"},
      {"PNDMScheduler", {{"prediction_type", "sample"}}, "allowed is one of epsilon, v_prediction"},
      {"EulerAncestralDiscreteScheduler", {{"prediction_type", "sample"}}, "allowed is one of epsilon, v_prediction"},
      {"EulerDiscreteScheduler", {{"use_beta_sigmas", true}}, "use_beta_sigmas of EulerDiscreteScheduler is true; allowed is false"},
      {"EulerDiscreteScheduler", {{"use_karras_sigmas", true}, {"use_exponential_sigmas", true}}, "allowed is one of the two"},
      {"EulerDiscreteScheduler", {{"final_sigmas_type", "one"}}, "allowed is one of zero, sigma_min"},
      {"DPMSolverMultistepScheduler", {{"solver_order", 4}}, "solver_order of DPMSolverMultistepScheduler is 4; allowed is an integer from 1 to 3"},
      {"DPMSolverMultistepScheduler", {{"algorithm_type", "dpmsolver"}}, "allowed with algorithm_type dpmsolver is sigma_min"},
      {"DPMSolverMultistepScheduler", {{"algorithm_type", "euler"}}, "allowed is one of dpmsolver++, sde-dpmsolver++"},
      {"DPMSolverMultistepScheduler", {{"algorithm_type", "sde-dpmsolver"}, {"final_sigmas_type", "sigma_min"}, {"solver_order", 3}}, "is 1 or 2"},
      {"DPMSolverMultistepScheduler", {{"variance_type", "learned"}}, "variance_type"},
      {"DPMSolverMultistepScheduler", {{"use_flow_sigmas", true}}, "flow matching"},
      {"DPMSolverMultistepScheduler", {{"lambda_min_clipped", 100}}, "leaves no timestep"},
      {"UniPCMultistepScheduler", {{"solver_p", "DDIMScheduler"}}, "solver_p"},
      {"UniPCMultistepScheduler", {{"disable_corrector", {"first"}}}, "allowed is a list of numbers"},
      {"LCMScheduler", {{"original_inference_steps", 2000}}, "allowed is an integer from 1 to 1000"},
  };
  for (const BadConfig& bad : cases)
    EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { make_scheduler(with(sd_config(), bad.changes), bad.class_name); }), bad.message)) << bad.changes;
}

TEST(SchedulerRules, UnknownClassesAndOptionsAreRefused) {
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_scheduler(sd_config(), "DDIM"); }), "scheduler class \"DDIM\" is unknown; allowed is DDIMScheduler, "));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_scheduler(Json::object()); }), "has no _class_name; allowed is one of DDIMScheduler"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_scheduler({{"_class_name", 3}}); }), "has no _class_name"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_scheduler(Json::array()); }), "no JSON object"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_scheduler(Json()); }), "no JSON object"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { make_scheduler(sd_config(), "LCMScheduler", {{"eta", 0.5}}); }), "LCMScheduler has no option \"eta\"; allowed is "));
  // Unknown keys of a config are ignored, as in diffusers, and null is as good as absent.
  EXPECT_NO_THROW(make_scheduler(with(sd_config(), {{"something_new", 1}, {"steps_offset", nullptr}})));
  // Python writes infinities as words.
  EXPECT_NO_THROW(make_scheduler(with(sd_config(), {{"lambda_min_clipped", "-Infinity"}}), "DPMSolverMultistepScheduler"));
}

}  // namespace
}  // namespace attelier
