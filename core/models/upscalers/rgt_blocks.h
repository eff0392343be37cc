// The layers of RGT, named as in the authors' checkpoints. Maps are [B,H,W,C] between layers: tokens in rows, and channels-last pictures at the same time.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>

#include "core/attention/program.h"
#include "core/models/upscalers/rgt.h"
#include "core/models/upscalers/rgt_windows.h"
#include "core/nn/layers.h"

namespace attelier {

/// [B,H,W,C] as [B,C,H,W] and back, without a copy.
inline at::Tensor as_picture(const at::Tensor& map) { return map.permute({0, 3, 1, 2}); }
inline at::Tensor as_map(const at::Tensor& picture) { return picture.permute({0, 2, 3, 1}); }

/// DynamicPosBias: a small network that gives every offset between two cells of a window one number per head.
class PositionBias : public nn::Module {
 public:
  /// `channels` of the branch.
  PositionBias(int64_t channels, int64_t heads, int64_t height, int64_t width);
  /// [heads, cells, cells] for a part of the window. For the whole window it is computed once when the model is prepared.
  at::Tensor forward(int64_t part_height, int64_t part_width) const;

 protected:
  void initialise_own(at::Generator& generator) override;
  void prepare_own() override;

 private:
  struct Layer {
    nn::Parameter norm_weight, norm_bias, weight, bias;
  };
  at::Tensor table() const;  // [offsets, heads]
  bool is_current() const;

  int64_t height_, width_;
  std::deque<Layer> layers_;  // pos_proj, pos1, pos2, pos3; the first one has no norm
  at::Tensor whole_;          // where it was prepared, keys before queries: as the kernels read it
  std::vector<at::Tensor> prepared_from_;
  std::vector<int64_t> versions_;  // of these
};

/// L-SA: half of the heads in windows of split_size, the other half in turned ones, and a depthwise convolution of the values beside them.
class LocalAttention : public nn::Module {
 public:
  LocalAttention(const RgtConfig& config, int64_t heads, bool shifted);
  /// x [B,H,W,C]; plus `addend`.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend) const;

 private:
  int64_t heads_;
  std::array<WindowLayout, 2> layouts_;
  nn::Linear qkv_, proj_;
  nn::Conv2d get_v_;
  std::deque<PositionBias> positions_;
};

/// RG-SA: every pixel attends to the representative map, which one strided depthwise convolution makes from x, again and again.
class RecursiveAttention : public nn::Module {
 public:
  RecursiveAttention(const RgtConfig& config, int64_t heads, const std::string& path, int64_t index);
  /// x [B,H,W,C]; plus `addend`.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend, int64_t recursions, const ForwardContext& context) const;

 private:
  at::Tensor representative_map(const at::Tensor& x, int64_t recursions) const;

  AttentionSite site_;
  int64_t heads_;
  nn::Conv2d reduction1_, dwconv_, conv_;
  nn::LayerNorm norm_;
  nn::Linear q_, k_, v_, proj_;
  nn::Conv2d cpe_;
};

/// The spatial gate: fc2(a * dw3x3(norm(b))) of the halves a, b of gelu(fc1(x)).
class GatedMlp : public nn::Module {
 public:
  explicit GatedMlp(const RgtConfig& config);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend) const;

 private:
  GatedMlp(int64_t channels, int64_t half);

  nn::Linear fc1_, fc2_;
  nn::LayerNorm norm_;
  nn::Conv2d conv_;
};

/// x += attention(norm1(x)); x += mlp(norm2(x)); x += gamma * (x of before).
class RgtBlock : public nn::Module {
 public:
  /// Even blocks of a group are L-SA, odd ones RG-SA; `index` counts the RG-SA layers of the model.
  RgtBlock(const RgtConfig& config, size_t group, int64_t block, int64_t index);
  at::Tensor forward(const at::Tensor& x, int64_t recursions, const ForwardContext& context) const;

 protected:
  void initialise_own(at::Generator& generator) override;

 private:
  nn::Parameter gamma_;
  nn::LayerNorm norm1_, norm2_;
  std::optional<LocalAttention> local_;
  std::optional<RecursiveAttention> recursive_;
  GatedMlp mlp_;
};

/// The convolution after a group or after all of them: one, or three with a bottleneck.
class ResidualConvolution : public nn::Module {
 public:
  explicit ResidualConvolution(const RgtConfig& config);
  /// x [B,C,H,W]; plus `addend`.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend) const;

 private:
  std::deque<nn::Conv2d> convolutions_;
};

}  // namespace attelier
