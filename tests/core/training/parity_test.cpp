// Losses, gradients and one optimiser step against PyTorch, diffusers, transformers and PEFT (tests/parity/training_fixtures.py).
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "core/base/context.h"
#include "core/base/files.h"
#include "core/models/text_encoder.h"
#include "core/models/unet.h"
#include "core/models/upscalers/rgt.h"
#include "core/models/vae.h"
#include "core/training/denoising.h"
#include "core/training/lora_layers.h"
#include "core/training/optimizer.h"
#include "core/weights/load.h"
#include "tests/testing/seeded_weights.h"

namespace attelier {
namespace {

const std::filesystem::path kFixtures = std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures";
constexpr double kLimit = 1e-4;
constexpr int64_t kSamples = 16;

template <typename ModuleType, typename Config>
std::unique_ptr<ModuleType> model(const std::string& name) {
  auto module = std::make_unique<ModuleType>(Config::from_json(Json::parse(read_file(kFixtures / "models" / name / "config.json"))));
  load_weights(*module, *open_tensors(kFixtures / "models" / name / "model.safetensors"), at::kCPU, at::kFloat);
  return module;
}

struct Reference {
  explicit Reference(const std::string& name) : tensors(read_all(*open_tensors(kFixtures / "training" / (name + ".safetensors")))) {}
  at::Tensor operator()(const std::string& name) const { return tensors.at(name); }
  at::Tensor input(const std::string& name) const {
    const auto found = tensors.find("in." + name);
    return found == tensors.end() ? at::Tensor() : found->second;
  }
  UNetInputs unet_inputs() const {
    UNetInputs inputs;
    inputs.sample = input("sample"), inputs.timestep = input("timestep"), inputs.encoder_hidden_states = input("encoder_hidden_states");
    inputs.text_embeds = input("text_embeds"), inputs.time_ids = input("time_ids");
    return inputs;
  }
  std::map<std::string, at::Tensor> tensors;
};

/// The places that the fixture holds.
at::Tensor spread(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().reshape(-1);
  at::Tensor row = at::zeros({kSamples});
  const int64_t count = std::min(kSamples, flat.size(0));
  for (int64_t i = 0; i < count; ++i) row[i] = flat[i * flat.size(0) / count];
  return row;
}

std::vector<nn::NamedParameter> sorted(nn::Module& module) {
  auto parameters = module.named_parameters();
  std::sort(parameters.begin(), parameters.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return parameters;
}

/// Runs `loss` with gradients for `module`, steps once, and compares everything.
void compare(nn::Module& module, const Reference& reference, const std::function<at::Tensor()>& loss) {
  for (const nn::NamedParameter& entry : module.named_parameters()) entry.parameter->value = entry.parameter->value.detach().clone();
  Optimizer optimizer(module, {.learning_rate = 1e-2, .minimum_rate = 1, .warm_up = 1, .epsilon = 1e-4, .weight_decay = 0.1, .clip_norm = 1});
  const at::Tensor value = loss();
  EXPECT_NEAR(value.item<double>(), reference("loss").item<double>(), kLimit * reference("loss").item<double>());
  value.backward();
  const auto parameters = sorted(module);
  ASSERT_EQ(static_cast<int64_t>(parameters.size()), reference("norms").size(0));
  const double largest = reference("norms").max().item<double>();
  double squares = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& gradient = parameters[i].parameter->value.grad();
    const auto row = static_cast<int64_t>(i);
    const at::Tensor own = gradient.defined() ? gradient : at::zeros(parameters[i].parameter->shape);
    const double norm = reference("norms")[row].item<double>();
    squares += norm * norm;
    // A gradient that is mathematically zero (a bias before a norm of its channel alone) is rounding noise on both sides.
    const double scale = std::max(norm, 1e-4 * largest);
    EXPECT_NEAR(own.norm().item<double>(), norm, kLimit * scale) << parameters[i].name;
    EXPECT_LE((spread(own) - reference("gradients")[row]).abs().max().item<double>(), kLimit * scale) << parameters[i].name;
  }
  EXPECT_NEAR(optimizer.step(0, 10), std::sqrt(squares), kLimit * std::sqrt(squares));
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor expected = reference("stepped")[static_cast<int64_t>(i)];
    EXPECT_LE((spread(parameters[i].parameter->value) - expected).abs().max().item<double>(), kLimit * std::max(0.1, expected.abs().max().item<double>())) << parameters[i].name;
  }
}

at::Tensor squared_error(const at::Tensor& output, const Reference& reference) { return (output - reference.input("target")).pow(2).mean(); }

class UNetGradients : public testing::TestWithParam<std::tuple<const char*, bool>> {};

TEST_P(UNetGradients, EqualDiffusers) {
  const auto [name, recompute] = GetParam();
  const Reference reference(name);
  const auto unet = model<UNet, UNetConfig>(name);
  ForwardContext context;
  context.recompute = recompute;
  compare(*unet, reference, [&] { return squared_error(unet->forward(reference.unet_inputs(), context), reference); });
}

INSTANTIATE_TEST_SUITE_P(Flavours, UNetGradients, testing::Combine(testing::Values("unet_sd1", "unet_xl", "unet_inpaint"), testing::Bool()));

TEST(TrainingParity, ControlNetThroughTheFrozenUNet) {
  const Reference reference("controlnet");
  for (const bool recompute : {false, true}) {
    const auto net = model<ControlNet, ControlNetConfig>("controlnet_sd1");
    const auto unet = model<UNet, UNetConfig>("unet_sd1");
    ForwardContext context;
    context.recompute = recompute;
    compare(*net, reference, [&] {
      UNetInputs inputs = reference.unet_inputs();
      ControlNetResiduals residuals = net->forward(inputs, reference.input("controlnet_cond"), 1, false, context);
      inputs.down_residuals = residuals.down, inputs.mid_residual = residuals.mid;
      return squared_error(unet->forward(inputs, context), reference);
    });
    for (const nn::NamedParameter& entry : unet->named_parameters()) EXPECT_FALSE(entry.parameter->value.grad().defined());
  }
}

TEST(TrainingParity, TextEncoder) {
  const Reference reference("text_encoder");
  const auto encoder = model<TextEncoder, TextEncoderConfig>("text_quick_gelu");
  compare(*encoder, reference, [&] { return squared_error(encoder->forward(reference.input("input_ids")).last_hidden_state, reference); });
}

TEST(TrainingParity, Autoencoder) {
  const Reference reference("vae");
  const auto vae = model<Vae, VaeConfig>("vae_4");
  compare(*vae, reference, [&] {
    const VaePosterior posterior = vae->encode(reference.input("picture"));
    const at::Tensor difference = vae->decode(posterior.sample(reference.input("noise"))) - reference.input("picture");
    const at::Tensor edges = difference.diff(1, 3).abs().mean() + difference.diff(1, 2).abs().mean();
    const at::Tensor divergence = 0.5 * (posterior.mean.pow(2) + posterior.logvar.exp() - 1 - posterior.logvar).mean();
    return difference.pow(2).mean() + 0.02 * edges + 2e-5 * divergence;
  });
}

TEST(TrainingParity, Upscaler) {
  const Reference reference("upscaler");
  for (const bool recompute : {false, true}) {
    Rgt rgt(RgtConfig::from_json({{"upscale", 2}, {"embed_dim", 160}, {"depth", {3}}, {"num_heads", {4}}, {"split_size", {2, 4}}}));
    fill_seeded(rgt, 400);
    ForwardContext context;
    context.recompute = recompute;
    compare(rgt, reference, [&] { return (rgt.forward(reference.input("low"), context) - reference.input("high")).abs().mean(); });
  }
}

TEST(TrainingParity, LoraOfLinearLayersAndConvolutions) {
  const Reference reference("lora");
  for (const bool recompute : {false, true}) {
    const auto unet = model<UNet, UNetConfig>("unet_sd1");
    LoraLayers layers({{"unet", unet.get()}}, {"to_q", "to_k", "to_v", "to_out.0", "conv1", "proj_in"}, 3, 6);
    layers.initialise_layers(make_generator(1), at::kCPU);
    ForwardContext context;
    context.recompute = recompute;
    compare(layers, reference, [&] {
      const c10::NoGradGuard no_grad;
      for (const nn::NamedParameter& entry : layers.named_parameters()) entry.parameter->value.copy_(reference.input(entry.name));
      layers.attach();
      const at::AutoGradMode with_gradients(true);
      return squared_error(unet->forward(reference.unet_inputs(), context), reference);
    });
  }
}

TEST(TrainingParity, LossesOfBothPredictions) {
  const Reference reference("losses");
  for (const std::string kind : {"epsilon", "v_prediction"}) {
    NoisyBatch batch;
    const at::Tensor timesteps = reference.input("timesteps");
    NoiseLevels(default_scheduler_config(kind), 5).add_noise(batch, reference.input("clean"), reference.input("noise"), {timesteps.data_ptr<int64_t>(), timesteps.data_ptr<int64_t>() + timesteps.numel()});
    EXPECT_TRUE(at::allclose(batch.noisy, reference(kind + ".noisy"), 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(batch.target, reference(kind + ".target"), 1e-5, 1e-6));
    const double expected = reference(kind + ".loss").item<double>();
    EXPECT_NEAR(denoising_loss(reference.input("prediction"), batch).item<double>(), expected, 1e-5 * expected);
  }
}

}  // namespace
}  // namespace attelier
