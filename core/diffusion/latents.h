// Where a run of the denoising loop starts and what it keeps: initial noise, image to image, and inpainting, as diffusers' Stable Diffusion pipelines do
// it. Latents are [B, C, h, w] of any C, scaled by the VAE's scaling factor; masks are 1 (repaint) or 0 (keep).
#pragma once

#include <ATen/ATen.h>

#include <functional>

#include "core/diffusion/scheduler.h"

namespace attelier {

/// Standard normal noise of this shape, drawn on the CPU in `dtype` by `noise` (generator_noise) and moved to `device`.
/// The same seed gives other numbers in float16 or bfloat16 than in float32, as in torch.
at::Tensor initial_noise(const NoiseSource& noise, at::IntArrayRef shape, at::Device device, at::ScalarType dtype);

/// Text to image: the noise at the scheduler's strength of its first timestep (noise * init_noise_sigma).
at::Tensor start_from_noise(const Scheduler& scheduler, const at::Tensor& noise);

/// Image to image, to be called after set_timesteps(steps): min(int(steps * strength), steps) steps are left, and the scheduler's counter is set to the
/// first of them, which is returned. Throws Error(kBadInput) when strength is outside 0..1 or leaves no step.
int64_t set_strength(Scheduler& scheduler, int64_t steps, double strength);

/// Image to image: the picture's latent with noise of the counter's timestep. Also at strength 1, where some of the picture remains.
at::Tensor start_from_image(const Scheduler& scheduler, const at::Tensor& image_latent, const at::Tensor& noise);

/// Inpainting: pure noise at strength 1 exactly (`image_latent` may be undefined then), otherwise start_from_image.
at::Tensor start_inpainting(const Scheduler& scheduler, const at::Tensor& image_latent, const at::Tensor& noise, double strength);

/// A mask in 0..1 as 0 and 1: white (>= 0.5) is repainted.
at::Tensor binary_mask(const at::Tensor& mask);

/// The picture [B, 3, H, W] in [-1, 1] with mid-gray (0) where the mask [B or 1, 1, H, W] is >= 0.5; encoded, it is the masked latent.
at::Tensor masked_picture(const at::Tensor& picture, const at::Tensor& mask);

/// How a pixel mask becomes a latent mask: the top left pixel of each cell (diffusers), or 1 where any pixel of the cell is 1.
enum class MaskReduction { kNearest, kLargest };

/// [B, 1, H, W] -> [B, 1, height, width]. kLargest needs sides that are multiples of the latent's.
at::Tensor mask_to_latent(const at::Tensor& mask, int64_t height, int64_t width, MaskReduction reduction = MaskReduction::kNearest);

/// What an inpainting UNet of 2C + 1 input channels sees after its C latent channels: mask [B or 1, 1, h, w], then masked latent [B or 1, C, h, w];
/// for DenoiseHooks::extra_channels, `rows` = B. Only the latent itself goes through scale_model_input.
at::Tensor inpainting_channels(const at::Tensor& latent_mask, const at::Tensor& masked_latent, int64_t rows);

/// For DenoiseHooks::after_step of a UNet without extra channels: outside the mask the latent is put back to the picture's, with the same noise at
/// the level of the next timestep; clean after the last step. The scheduler must outlive the function.
std::function<at::Tensor(int64_t step, const at::Tensor& latent)> keep_outside_mask(const Scheduler& scheduler, const at::Tensor& image_latent,
                                                                                     const at::Tensor& noise, const at::Tensor& latent_mask);

}  // namespace attelier
