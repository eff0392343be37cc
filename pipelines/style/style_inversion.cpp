#include "pipelines/style/style_inversion.h"

namespace attelier {
namespace {

uint64_t bytes(const StepFeatures& features) {
  uint64_t sum = 0;
  for (const auto& [path, site] : features)
    for (const at::Tensor* tensor : {&site.q, &site.k, &site.v}) sum += tensor->defined() ? tensor->nbytes() : 0;
  return sum;
}

}  // namespace

at::Tensor StyleRun::predict(int64_t k, int64_t step, const at::Tensor& latent, AttentionProgram* program, Row row) const {
  context.check_stop();
  ForwardContext forward;
  forward.program = program;
  forward.stop = context.stop;
  forward.step = step;
  forward.timestep = schedule.timesteps[static_cast<size_t>(k)];
  forward.rows = {row};
  UNetInputs inputs;
  inputs.sample = latent.to(context.dtype).contiguous();  // one memory layout, so that a stored latent gives the bits of a fresh one
  inputs.timestep = at::full({1}, forward.timestep, at::TensorOptions().dtype(at::kFloat).device(latent.device()));
  inputs.encoder_hidden_states = embeds;
  return model.unet().forward(inputs, forward).to(at::kFloat).contiguous();
}

void Inversion::run(const StyleRun& run, const at::Tensor& latent, int64_t kept_steps, uint64_t budget, const std::string& stage) {
  const auto steps = static_cast<int64_t>(run.schedule.timesteps.size());
  features_.assign(static_cast<size_t>(steps), {});
  bool keep = kept_steps > 0;
  std::vector<at::Tensor> all = {latent.contiguous()};  // one memory layout: sums over a stored trajectory give the same bits
  for (int64_t k = 0; k < steps; ++k) {
    const bool record = keep && k < kept_steps;
    const at::Tensor prediction = run.predict(k, k, all.back(), record ? &recorder_ : nullptr, {Row::Branch::kReference, subject_, 0, subject_});
    if (record) {
      features_[static_cast<size_t>(k)] = recorder_.take();
      keep = bytes(features_[static_cast<size_t>(k)]) * static_cast<uint64_t>(kept_steps) <= budget;
      if (!keep) features_[static_cast<size_t>(k)].clear();
    }
    all.push_back(run.schedule.invert(k, prediction, all.back()));
    run.context.report(stage, k + 1, steps);
  }
  latents_ = at::cat(all).contiguous();
}

StepFeatures Inversion::features(const StyleRun& run, int64_t k, int64_t step) {
  if (!features_.empty() && !features_[static_cast<size_t>(k)].empty()) return std::exchange(features_[static_cast<size_t>(k)], {});
  run.predict(k, step, latents_.slice(0, k, k + 1), &recorder_, {Row::Branch::kReference, subject_, 0, subject_});
  return recorder_.take();
}

}  // namespace attelier
