// A latent as a small picture at hardly any cost: one linear map per model, for previews while a run is under way.
#pragma once

#include <ATen/ATen.h>

#include "core/diffusion/diffusion_model.h"

namespace attelier {

/// Colours are close to linear in the latent's channels. The map is fitted once, by least squares between the latents of a smooth colourful picture and
/// its pixels averaged over each latent's cell; that costs one encoding of 16 x 16 latents, once for an opened model.
class LatentPreview {
 public:
  explicit LatentPreview(DiffusionModel& model, const ForwardContext& context = {});
  /// Scaled latent [B, C, h, w] -> f32 [B, 3, h, w] in [0, 1], on the CPU.
  at::Tensor operator()(const at::Tensor& latent) const;

 private:
  at::Tensor map_;  // f32 [C + 1, 3]
};

}  // namespace attelier
