// AutoencoderKL of diffusers: f = 8 (or what the number of levels says), any number of latent channels.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/attention/program.h"
#include "core/base/context.h"
#include "core/nn/module.h"

namespace attelier {

struct VaeConfig {
  int64_t in_channels = 3, out_channels = 3;
  int64_t latent_channels = 4;
  std::vector<int64_t> block_out_channels = {128, 256, 512, 512};
  int64_t layers_per_block = 2;
  int64_t norm_groups = 32;
  int64_t sample_size = 512;
  double scaling_factor = 0.18215;
  bool force_upcast = true;
  bool mid_block_attention = true;  // mid_block_add_attention
  bool quant_convs = true;          // use_quant_conv / use_post_quant_conv

  static VaeConfig from_json(const nlohmann::json& config);
  nlohmann::json to_json() const;
  /// Pixels per latent, 8 for four levels.
  int64_t factor() const { return int64_t{1} << (block_out_channels.size() - 1); }
};

/// Diagonal Gaussian, before the scaling factor: mean and logvar [B, C, h, w], logvar clamped to [-30, 20].
struct VaePosterior {
  at::Tensor mean, logvar;
  at::Tensor sample(const at::Tensor& noise) const { return mean + at::exp(0.5 * logvar) * noise; }
};

/// How large pictures are cut. Off by default; tiling changes the group norms' statistics and is therefore not exact.
struct VaeTiling {
  bool enabled = false;
  int64_t tile_pixels = 0;   // 0 = the config's sample_size
  double overlap = 0.25;
};

class Vae : public nn::Module {
 public:
  explicit Vae(const VaeConfig& config);
  ~Vae() override;
  /// x [B, 3, H, W] in [-1, 1], sides multiples of factor(). One row at a time when `slicing`. Differentiable without tiling and slicing.
  VaePosterior encode(const at::Tensor& x, const ForwardContext& context = {}, const VaeTiling& tiling = {}, bool slicing = false);
  /// z [B, C, h, w] after division by the scaling factor -> [B, 3, factor h, factor w]. `progress` gets tiles or rows done.
  at::Tensor decode(const at::Tensor& z, const ForwardContext& context = {}, const VaeTiling& tiling = {}, bool slicing = false,
                    const std::function<void(int64_t done, int64_t total)>& progress = {});
  const VaeConfig& config() const { return config_; }

 private:
  struct Layers;
  VaeConfig config_;
  std::unique_ptr<Layers> layers_;
};

}  // namespace attelier
