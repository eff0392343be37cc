#include "core/diffusion/denoise.h"

#include <cmath>

#include "core/diffusion/guidance.h"

namespace attelier {
namespace {

/// The rows' tags: unconditional ones first.
std::vector<Row> rows(int64_t pictures, bool guided) {
  std::vector<Row> rows;
  if (guided)
    for (int64_t b = 0; b < pictures; ++b) rows.push_back({Row::Branch::kUnconditional, b});
  for (int64_t b = 0; b < pictures; ++b) rows.push_back({Row::Branch::kConditional, b});
  return rows;
}

at::Tensor doubled(const at::Tensor& tensor, bool guided) { return guided ? at::cat({tensor, tensor}) : tensor; }

/// One ControlNet's residuals for every row of `inputs`; in guess mode zeros for the unconditional half.
ControlNetResiduals residuals_of(const ControlNetGuide& guide, UNetInputs inputs, bool guided, const ForwardContext& context) {
  const int64_t rows = inputs.sample.size(0), pictures = guided ? rows / 2 : rows;
  const at::Tensor picture = guide.picture.expand({pictures, -1, -1, -1});
  if (!guide.guess_mode || !guided) return guide.net->forward(inputs, doubled(picture, guided), guide.scale, guide.guess_mode, context);
  const auto conditional = [&](at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.slice(0, pictures);
  };
  for (at::Tensor* tensor : {&inputs.sample, &inputs.encoder_hidden_states, &inputs.text_embeds, &inputs.time_ids}) conditional(*tensor);
  ForwardContext half = context;
  half.rows.erase(half.rows.begin(), half.rows.begin() + pictures);
  ControlNetResiduals residuals = guide.net->forward(inputs, picture, guide.scale, true, half);
  for (at::Tensor& residual : residuals.down) residual = at::cat({at::zeros_like(residual), residual});
  residuals.mid = at::cat({at::zeros_like(residuals.mid), residuals.mid});
  return residuals;
}

/// Adds the residuals of every net that acts between these shares of the run.
void add_controls(const std::vector<ControlNetGuide>& controls, double begin, double end, bool guided, UNetInputs& inputs, const ForwardContext& context) {
  UNetInputs bare = inputs;
  for (const ControlNetGuide& guide : controls) {
    if (begin < guide.start || end > guide.end || guide.scale == 0) continue;
    bare.sample = inputs.sample.slice(1, 0, guide.net->config().unet.in_channels);
    ControlNetResiduals residuals = residuals_of(guide, bare, guided, context);
    if (inputs.down_residuals.empty()) {
      inputs.down_residuals = std::move(residuals.down);
      inputs.mid_residual = residuals.mid;
      continue;
    }
    for (size_t i = 0; i < residuals.down.size(); ++i) inputs.down_residuals[i] = inputs.down_residuals[i] + residuals.down[i];
    inputs.mid_residual = inputs.mid_residual + residuals.mid;
  }
}

}  // namespace

at::Tensor guidance_embedding(double scale, int64_t width) {
  const int64_t half = width / 2;
  const at::Tensor frequencies = at::exp(at::arange(half, at::kFloat) * static_cast<float>(-std::log(10000.0) / static_cast<double>(half - 1)));
  const at::Tensor angles = frequencies * static_cast<float>((scale - 1) * 1000);
  return at::constant_pad_nd(at::cat({at::sin(angles), at::cos(angles)}), {0, width - 2 * half}).unsqueeze(0);
}

at::Tensor denoise(UNet& unet, Scheduler& scheduler, at::Tensor latent, const Conditioning& conditioning, const DenoiseHooks& hooks, const NoiseSource& noise,
                   const Context& context) {
  const bool guided = conditioning.guided();
  ForwardContext forward;
  forward.program = hooks.program;
  forward.stop = context.stop;
  forward.rows = rows(latent.size(0), guided);
  at::Tensor guidance;
  if (conditioning.embedded_guidance)
    guidance = guidance_embedding(conditioning.guidance, unet.config().time_condition_dim).to(latent.options()).expand({latent.size(0), -1});
  const int64_t first = scheduler.index(), count = static_cast<int64_t>(scheduler.timesteps().size()) - first;
  const auto share = [&](int64_t step) { return static_cast<double>(step) / static_cast<double>(count); };
  for (int64_t i = 0; i < count; ++i) {
    context.check_stop();
    forward.step = i;
    forward.timestep = scheduler.timesteps()[static_cast<size_t>(first + i)];
    UNetInputs inputs;
    inputs.sample = scheduler.scale_model_input(doubled(latent, guided));
    if (hooks.extra_channels.defined()) inputs.sample = at::cat({inputs.sample, doubled(hooks.extra_channels, guided)}, 1);
    inputs.timestep = at::full({1}, forward.timestep, at::TensorOptions().dtype(at::kFloat).device(latent.device()));
    inputs.encoder_hidden_states = conditioning.embeds;
    inputs.text_embeds = conditioning.text_embeds;
    inputs.time_ids = conditioning.time_ids;
    inputs.guidance_embedding = guidance;
    add_controls(hooks.controls, share(i), share(i + 1), guided, inputs, forward);
    at::Tensor prediction = unet.forward(inputs, forward);
    if (guided) prediction = guide(prediction, conditioning.guidance, conditioning.rescale);
    latent = scheduler.step(prediction, latent, noise);
    if (hooks.after_step) latent = hooks.after_step(i, latent);
    if (!at::isfinite(latent).all().item<bool>())
      fail(ExitCode::kNumerical, "step {} of {} (timestep {}): the latent holds NaN or Inf; try --dtype float32 or another sampler", i + 1, count, forward.timestep);
    if (hooks.observe) hooks.observe(i, prediction, latent);
    if (hooks.estimate && scheduler.predicted_original().defined()) hooks.estimate(i, scheduler.predicted_original());
    context.report("sampling", i + 1, count);
  }
  return latent;
}

}  // namespace attelier
