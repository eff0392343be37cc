// What the objectives on a checkpoint share: its autoencoder encodes their pictures, its text encoders their captions.
#pragma once

#include <memory>

#include "core/training/base_model.h"
#include "core/training/denoising_objective.h"

namespace attelier {

class CheckpointObjective : public DenoisingObjective {
 protected:
  /// `size` of the pictures in pixels.
  CheckpointObjective(const Json& config, std::unique_ptr<BaseModel> base, int64_t size, std::shared_ptr<const SampleSource> source)
      : DenoisingObjective(config, base->model().scheduler_config(), std::move(source)), base_(std::move(base)), size_(size) {}

  at::Tensor encode(const at::Tensor& picture) override { return base_->encode(picture); }
  at::Tensor decode(const at::Tensor& latent) override { return base_->decode(latent); }

  BaseModel& base() { return *base_; }
  const BaseModel& base() const { return *base_; }

  /// Noisy latents, timestep and captions as the UNet is told them; with `text_gradients` the text encoders learn too.
  UNetInputs inputs_of(const NoisyBatch& batch, bool text_gradients = false) {
    UNetInputs inputs;
    inputs.sample = batch.noisy;
    inputs.timestep = batch.timestep;
    base_->tell(inputs, batch.captions, size_, text_gradients);
    return inputs;
  }

  ForwardContext forward_context() const {
    ForwardContext context;
    context.recompute = recompute();
    return context;
  }

 private:
  std::unique_ptr<BaseModel> base_;
  int64_t size_;
};

}  // namespace attelier
