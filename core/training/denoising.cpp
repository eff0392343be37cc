#include "core/training/denoising.h"

#include "core/base/error.h"

namespace attelier {

NoiseLevels::NoiseLevels(const Json& scheduler_config, double snr_limit) : snr_limit_(snr_limit) {
  const auto scheduler = make_scheduler(scheduler_config, "DDIMScheduler");
  alphas_ = scheduler->alphas_cumprod();
  const std::string& prediction = scheduler->prediction_type();
  if (prediction != "epsilon" && prediction != "v_prediction")
    fail(ExitCode::kModel, "the model's scheduler_config.json: \"prediction_type\" is \"{}\"; \"epsilon\" and \"v_prediction\" can be trained", prediction);
  velocity_ = prediction == "v_prediction";
}

void NoiseLevels::add_noise(NoisyBatch& batch, const at::Tensor& clean, const at::Tensor& noise, const std::vector<int64_t>& timesteps) const {
  std::vector<float> times, alphas, weights;
  for (const int64_t t : timesteps) {
    const double alpha = alphas_.at(static_cast<size_t>(t));
    // Both predictions weigh the error of the clean latent alike: by min(SNR, gamma) times the factor between the two errors.
    const double snr = std::max(alpha / (1 - alpha), 1e-8), limited = snr_limit_ > 0 ? std::min(snr, snr_limit_) / (velocity_ ? snr + 1 : snr) : 1;
    times.push_back(static_cast<float>(t));
    alphas.push_back(static_cast<float>(alpha));
    weights.push_back(static_cast<float>(limited));
  }
  const auto row_values = [&](const std::vector<float>& values) { return at::tensor(values).to(clean.device()); };
  const at::Tensor alpha = row_values(alphas).view({-1, 1, 1, 1});
  batch.noisy = (alpha.sqrt() * clean + (1 - alpha).sqrt() * noise).contiguous(at::MemoryFormat::ChannelsLast);
  batch.timestep = row_values(times);
  batch.target = velocity_ ? alpha.sqrt() * noise - (1 - alpha).sqrt() * clean : noise;
  batch.weight = row_values(weights);
}

at::Tensor denoising_loss(const at::Tensor& prediction, const NoisyBatch& batch) {
  return ((prediction.to(at::kFloat) - batch.target).pow(2).mean({1, 2, 3}) * batch.weight).mean();
}

Json default_scheduler_config(const std::string& prediction) {
  return {{"_class_name", "DDIMScheduler"}, {"_diffusers_version", "0.42.1"}, {"num_train_timesteps", 1000}, {"beta_start", 0.00085},
          {"beta_end", 0.012},              {"beta_schedule", "scaled_linear"}, {"clip_sample", false},      {"set_alpha_to_one", false},
          {"steps_offset", 1},              {"prediction_type", prediction}};
}

}  // namespace attelier
