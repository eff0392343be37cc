#include "core/diffusion/latents.h"

#include <algorithm>

#include "core/base/error.h"

namespace attelier {

at::Tensor initial_noise(const NoiseSource& noise, at::IntArrayRef shape, at::Device device, at::ScalarType dtype) {
  return noise(at::empty({1}, at::TensorOptions().device(device).dtype(dtype)).expand(shape));
}

at::Tensor start_from_noise(const Scheduler& scheduler, const at::Tensor& noise) {
  return noise * at::scalar_tensor(scheduler.init_noise_sigma(), at::kFloat);
}

int64_t set_strength(Scheduler& scheduler, int64_t steps, double strength) {
  if (!(strength >= 0 && strength <= 1)) fail(ExitCode::kBadInput, "strength is {}; allowed is 0 to 1", strength);
  const int64_t left = std::min(static_cast<int64_t>(static_cast<double>(steps) * strength), steps);
  if (left < 1)
    fail(ExitCode::kBadInput, "strength {} of {} steps leaves no step to make; allowed is a strength of at least {}", strength, steps, 1.0 / static_cast<double>(steps));
  const int64_t index = (steps - left) * scheduler.order();
  scheduler.set_begin_index(index);
  return index;
}

at::Tensor start_from_image(const Scheduler& scheduler, const at::Tensor& image_latent, const at::Tensor& noise) {
  return scheduler.add_noise(image_latent, noise, scheduler.index());
}

at::Tensor start_inpainting(const Scheduler& scheduler, const at::Tensor& image_latent, const at::Tensor& noise, double strength) {
  return strength == 1 ? start_from_noise(scheduler, noise) : start_from_image(scheduler, image_latent, noise);
}

at::Tensor binary_mask(const at::Tensor& mask) { return (mask >= 0.5).to(mask.scalar_type()); }

at::Tensor masked_picture(const at::Tensor& picture, const at::Tensor& mask) { return picture * (mask < 0.5); }

at::Tensor mask_to_latent(const at::Tensor& mask, int64_t height, int64_t width, MaskReduction reduction) {
  if (mask.dim() != 4 || mask.size(1) != 1)
    fail(ExitCode::kBadInput, "a mask has the shape [{}]; allowed is [B, 1, H, W]", fmt::join(mask.sizes(), ", "));
  if (reduction == MaskReduction::kNearest) return at::upsample_nearest2d(mask, {height, width});
  if (mask.size(2) % height != 0 || mask.size(3) % width != 0)
    fail(ExitCode::kBadInput, "a mask of {} x {} pixels does not divide into the latent's {} x {} cells", mask.size(3), mask.size(2), width, height);
  return at::max_pool2d(mask, {mask.size(2) / height, mask.size(3) / width});
}

at::Tensor inpainting_channels(const at::Tensor& latent_mask, const at::Tensor& masked_latent, int64_t rows) {
  return at::cat({latent_mask.to(masked_latent.options()).expand({rows, -1, -1, -1}), masked_latent.expand({rows, -1, -1, -1})}, 1);
}

std::function<at::Tensor(int64_t, const at::Tensor&)> keep_outside_mask(const Scheduler& scheduler, const at::Tensor& image_latent, const at::Tensor& noise,
                                                                        const at::Tensor& latent_mask) {
  return [&scheduler, image_latent, noise, latent_mask](int64_t, const at::Tensor& latent) {
    // The step that was just made has advanced the counter.
    const bool last = scheduler.index() == static_cast<int64_t>(scheduler.timesteps().size());
    const at::Tensor known = last ? image_latent : scheduler.add_noise(image_latent, noise, scheduler.index());
    const at::Tensor mask = latent_mask.to(latent.options());
    return (1 - mask) * known + mask * latent;
  };
}

}  // namespace attelier
