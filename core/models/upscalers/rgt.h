// The recursive generalization transformer (RGT, ICLR 2024, arXiv 2303.06373): classical super-resolution x2, x3 and x4. Layers of windows (L-SA) take
// turns with layers in which every pixel attends to a tiny representative map of the whole picture (RG-SA).
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/attention/program.h"
#include "core/nn/module.h"

namespace attelier {

/// config.json of an upscaler: the arguments of the authors' constructor under their own names. The defaults are RGT-S x4.
struct RgtConfig {
  int64_t upscale = 4;                               // 2, 3 or 4
  int64_t in_chans = 3;
  int64_t img_size = 64;                             // no part of the computation
  double img_range = 1;
  std::vector<int64_t> depth = {6, 6, 6, 6, 6, 6};   // blocks of each group
  int64_t embed_dim = 180;
  std::vector<int64_t> num_heads = {6, 6, 6, 6, 6, 6};  // of each group, even
  double mlp_ratio = 2;
  bool qkv_bias = true;
  std::vector<int64_t> split_size = {8, 32};         // height and width of the windows of one half of the heads; the other half has them turned
  double c_ratio = 0.5;                              // width of the representative map in parts of embed_dim
  std::string resi_connection = "1conv";             // or 3conv

  /// Throws Error(kModel) with every impossible entry. Absent entries have the defaults; those of other names are ignored.
  static RgtConfig from_json(const nlohmann::json& config);
  nlohmann::json to_json() const;
  /// Channels of the representative map.
  int64_t representative_width() const { return static_cast<int64_t>(static_cast<double>(embed_dim) * c_ratio); }
};

/// How often RG-SA shrinks a map by 4: the largest t with 4^t <= max(height / 16, width / 16), at least 2, and no more than the shorter side allows
/// (where the authors' code fails). 1 below 16 pixels, 0 below 4.
int64_t rgt_recursions(int64_t height, int64_t width);
/// The same as the authors train: the largest t with 4^t <= max(height / 4, width / 4).
int64_t rgt_training_recursions(int64_t height, int64_t width);

class Rgt : public nn::Module {
 public:
  explicit Rgt(const RgtConfig& config);
  ~Rgt() override;

  /// image [B,3,H,W] in [0,1], of the parameters' dtype and device -> [B,3,sH,sW], not clipped. H and W at least 16. Differentiable. `recursions` replaces
  /// rgt_recursions() (training: rgt_training_recursions()). Throws Error(kBadInput) for shapes that the architecture does not take, Error(kNumerical) for
  /// pictures with NaN or Inf, Interrupted once a stop was requested.
  at::Tensor forward(const at::Tensor& image, const ForwardContext& context, std::optional<int64_t> recursions = std::nullopt) const;

  /// Multiply-adds of one picture in convolutions, linear layers and the products of attention: what papers call FLOPs (they also count norms). Padding of
  /// windows counts, the network of position biases does not: it runs once.
  double multiply_adds(int64_t height, int64_t width) const;
  const RgtConfig& config() const { return config_; }
  int64_t scale() const { return config_.upscale; }
  at::Device device() const;
  at::ScalarType dtype() const;
  /// Ends of names of buffers that checkpoints carry and the model computes itself: masks, offsets and indices of the windows.
  static std::vector<std::string> computed_buffers();

 private:
  struct Layers;
  RgtConfig config_;
  std::unique_ptr<Layers> layers_;
};

/// A model with its weights, ready for inference: a folder with config.json and weights, or the authors' file, whose config its tensors tell.
/// Throws Error(kModel).
std::unique_ptr<Rgt> load_upscaler(const std::filesystem::path& path, at::Device device, at::ScalarType dtype);

}  // namespace attelier
