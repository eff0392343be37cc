// The layers of vision and diffusion models, thin over ATen. Names of members are the checkpoint's.
#pragma once

#include <vector>

#include "core/nn/module.h"
#include "core/nn/prepared_weights.h"

namespace attelier::nn {

/// A low-rank addition to a Linear or Conv2d at run time: y += scale * up(down(x)). For 3x3 convolutions `down` carries kernel, stride and padding.
struct LowRank {
  at::Tensor down, up;
  double scale = 1;
};

/// y = x W^T + b, plus `addend` [..., out] where one is given (a residual, for the price of none); x [..., in], W [out, in].
class Linear : public Module {
 public:
  Linear(int64_t in, int64_t out, bool bias = true);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend = {}) const;
  Parameter weight, bias;
  std::vector<LowRank> low_rank;

 protected:
  void prepare_own() override;
};

/// NCHW convolution, W [out, in / groups, k, k]; zero padding; plus `addend` of the output's shape where one is given.
class Conv2d : public Module {
 public:
  Conv2d(int64_t in, int64_t out, int64_t kernel, const ConvolutionOptions& options);
  Conv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t padding = 0);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend = {}) const;
  Parameter weight, bias;
  std::vector<LowRank> low_rank;

 protected:
  void prepare_own() override;

 private:
  bool is_pointwise() const;
  at::Tensor convolve(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& shift) const;
  ConvolutionOptions options_;
};

/// Over batch and pixels of x [B, C, H, W]: with the statistics of the whole training set (running_mean and running_var), or in training with those of
/// the batch, which then move the running ones by a tenth.
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(int64_t channels, double epsilon = 1e-5);
  at::Tensor forward(const at::Tensor& x, bool training = false) const;
  /// silu(forward(x)); may overwrite a tensor that is moved in (kernels::batch_norm_silu).
  at::Tensor forward_silu(at::Tensor x, bool training = false) const;
  Parameter weight, bias, running_mean, running_var;

 protected:
  void initialise_own(at::Generator& generator) override;

 private:
  double epsilon_;
};

/// Statistics in float32 whatever the dtype of x [B, C, ...].
class GroupNorm : public Module {
 public:
  GroupNorm(int64_t groups, int64_t channels, double epsilon);
  at::Tensor forward(const at::Tensor& x) const;
  /// silu(norm(x + shift)); shift [B|1, C], or undefined.
  at::Tensor forward_silu(const at::Tensor& x, const at::Tensor& shift = {}) const;
  Parameter weight, bias;

 protected:
  void initialise_own(at::Generator& generator) override;

 private:
  int64_t groups_;
  double epsilon_;
};

/// Over the last axis.
class LayerNorm : public Module {
 public:
  explicit LayerNorm(int64_t channels, double epsilon = 1e-5);
  at::Tensor forward(const at::Tensor& x) const;
  Parameter weight, bias;

 protected:
  void initialise_own(at::Generator& generator) override;

 private:
  double epsilon_;
};

/// Rows of a table: ids i64 [...] -> [..., width].
class Embedding : public Module {
 public:
  Embedding(int64_t count, int64_t width);
  at::Tensor forward(const at::Tensor& ids) const;
  Parameter weight;

 protected:
  void initialise_own(at::Generator& generator) override;
};

/// [cos(t f_k), sin(t f_k)] with f_k = exp(-ln(10000) k / (width/2)), in float32; t [B] -> [B, width].
at::Tensor sinusoidal_embedding(const at::Tensor& t, int64_t width);

}  // namespace attelier::nn
