// The denoising loop with classifier-free guidance that text-to-image methods share (diffusers' Stable Diffusion and ControlNet pipelines).
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "core/base/context.h"
#include "core/diffusion/scheduler.h"
#include "core/models/unet.h"

namespace attelier {

/// A ControlNet at work: its picture [1 or B, 3, H, W] in [0, 1], and when it acts.
struct ControlNetGuide {
  ControlNet* net = nullptr;
  at::Tensor picture;
  double scale = 1;
  double start = 0, end = 1;  // share of the steps
  bool guess_mode = false;    // only the conditional rows are guided, by residuals that fade towards the shallow levels
};

/// Rows [unconditional x B, conditional x B] when guided, otherwise only the conditional ones.
struct Conditioning {
  at::Tensor embeds;       // [2B or B, S, C]
  at::Tensor text_embeds;  // SDXL [2B or B, P]
  at::Tensor time_ids;     // SDXL [2B or B, 6]
  double guidance = 7.5;
  double rescale = 0;      // Lin et al. 2024, section 3.4
  bool embedded_guidance = false;  // the UNet takes `guidance` as an input (LCM): one call per step, no unconditional rows
  bool guided() const { return guidance > 1 && !embedded_guidance; }
};

struct DenoiseHooks {
  /// Joined to the scaled latent along the channels: mask and masked latents of an inpainting UNet, [B, K, h, w].
  at::Tensor extra_channels;
  /// After each step: may replace the latent (inpainting with a plain UNet).
  std::function<at::Tensor(int64_t step, const at::Tensor& latent)> after_step;
  /// Sees the guided prediction and the latent after each step.
  std::function<void(int64_t step, const at::Tensor& prediction, const at::Tensor& latent)> observe;
  /// Gets the estimate of the clean latent after each step, where the scheduler makes one.
  std::function<void(int64_t step, const at::Tensor& clean)> estimate;
  std::vector<ControlNetGuide> controls;
  AttentionProgram* program = nullptr;
};

/// Runs the scheduler from its counter to its end. The rows that programs see are tagged with branch and picture. Throws Error(kNumerical) at the first
/// step whose latent holds NaN or Inf, Interrupted when the context was stopped.
at::Tensor denoise(UNet& unet, Scheduler& scheduler, at::Tensor latent, const Conditioning& conditioning, const DenoiseHooks& hooks, const NoiseSource& noise,
                   const Context& context);

/// The embedding of a guidance scale that LCM's UNet takes: [1, width] of sines then cosines of 1000 (scale - 1) (Luo et al. 2023).
at::Tensor guidance_embedding(double scale, int64_t width);

}  // namespace attelier
