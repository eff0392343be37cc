// The common part of the diffusion objectives: pictures become latents in a rolling pool, noise is added, the network predicts, the loss compares.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/training/denoising.h"
#include "core/training/rolling_pool.h"
#include "core/training/sample.h"
#include "core/training/training_run.h"

namespace attelier {

/// A sample as the network sees it, on the CPU.
struct Example {
  at::Tensor latent;            // float16 [C, h, w], scaled
  std::string caption{};
  at::Tensor mask{}, masked{};  // inpainting: float16 [1, h, w] and [C, h, w]
  at::Tensor condition{};       // ControlNet: uint8 [3, H, W]
};

/// A subclass says how a picture is encoded and what the network predicts; everything else is here.
class DenoisingObjective : public Objective {
 public:
  void prepare(int64_t step, const Context& context) override;
  at::Tensor loss(int64_t step, int64_t micro, const Context& context) override;
  void end_step() override { pool_.swap_in(); }
  void abandon_step() override { pool_.settle(); }
  /// The plain squared error on held-out pictures, at fixed noise and timesteps. Where the source holds none back, the figure's name says so.
  std::vector<Metric> validate(const Context& context) override;

 protected:
  /// `config` resolved, with denoising_shape(). The source may be shared with the subclass.
  DenoisingObjective(const Json& config, const Json& scheduler_config, std::shared_ptr<const SampleSource> source);

  /// Picture float32 [1, 3, H, W] in [-1, 1] -> scaled latent, and back. Called without gradients, from a second thread too.
  virtual at::Tensor encode(const at::Tensor& picture) = 0;
  virtual at::Tensor decode(const at::Tensor& latent) = 0;
  /// Fills what the network is told beside the caption.
  virtual void complete(Example&, const Sample&, std::mt19937_64&) {}
  /// The network's answer [B, C, h, w] to batch.noisy, any float dtype.
  virtual at::Tensor predict(const NoisyBatch& batch, const Context& context) = 0;

  /// The example of picture `number`, negative: held out where the source holds any.
  Example example(int64_t number);
  /// A batch of examples on the device, without noise yet; captions as given.
  static NoisyBatch assemble(const std::vector<const Example*>& examples, at::Device device);
  /// DDIM, 25 steps, guidance 5 against the empty caption, with what `example` tells (its latent gives the size): [3, H, W] in [-1, 1].
  at::Tensor sample(const Example& example, uint64_t seed, const Context& context);

  const Json& config() const { return config_; }
  const SampleSource& source() const { return *source_; }
  bool recompute() const { return config_.at("recompute").get<bool>(); }

 private:
  Example make_example(int64_t number, const Sample& sample);

  Json config_, scheduler_config_;
  std::shared_ptr<const SampleSource> source_;
  NoiseLevels levels_;
  uint64_t seed_;
  int64_t batch_;
  RollingPool<Example> pool_;
};

/// The parameters that every diffusion objective has; `picture_size` null: the model's own.
ConfigShape denoising_shape(Json picture_size);

}  // namespace attelier
