// Attention in windows that learn where to look: VSA (Zhang et al., "VSA: Learning Varied-Size Window Attention in Vision Transformers", arXiv 2204.08446), and
// in plain windows (Liu et al., arXiv 2103.14030, without the shift), as ViTAEv2 holds them. Keys and values are sampled tile by tile inside the kernel
// (kernels/regions.h); neither sampled copies nor a grid of positions of every cell are kept.
#pragma once

#include <ATen/ATen.h>

#include <functional>

#include "core/nn/layers.h"
#include "kernels/regions.h"

namespace attelier {

/// Where each head of each window looked, in cells of the map. Window g = row * columns + column of `grid`.
struct LearnedWindows {
  kernels::RegionGrid grid;
  at::Tensor offsets, scales;          // [B,heads,windows,2], each (x, y): the default window moved by offsets and stretched by scales about its centre
  at::Tensor raw_offsets, raw_scales;  // likewise: what the regression said: offsets before their divisors, scales minus 1
};

/// What the attentions of one forward pass share.
struct WindowCall {
  std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const kernels::RegionAttention& attention)> attend =
      kernels::attend_regions;
  LearnedWindows* windows = nullptr;  // filled by attentions with learned windows
};

/// Of the authors' two implementations.
enum class VsaStyle {
  kClassification,  // maps padded on the right and below; offsets along x divided by the windows that fit along x
  kDetection,       // padded on all sides; offsets along x divided by the windows that fit along y, and the other way round
};

/// VSAWindowAttention. Every head of every window predicts an offset and a scale for each axis from the window's average.
class VsaAttention : public nn::Module {
 public:
  /// `out` channels in `heads` heads from `in` channels, in windows of `window` x `window` cells. `identity`: offsets and scales as if they were 0.
  VsaAttention(int64_t in, int64_t out, int64_t heads, int64_t window, VsaStyle style, bool identity);
  /// x [B,h,w,in], dense; plus `addend` [B,h,w,out] where given -> [B,h,w,out]. Both h and w must be at least `window` unless `identity`; Error(kBadInput).
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend, const WindowCall& call = {}) const;

 protected:
  void initialise_own(at::Generator& generator) override;

 private:
  /// A 1x1 convolution of pooled maps in float32 or better.
  class Regression : public nn::Module {
   public:
    Regression(int64_t in, int64_t out);
    at::Tensor forward(const at::Tensor& pooled) const;

   private:
    nn::Parameter weight_, bias_;
  };

  LearnedWindows find_windows(const at::Tensor& x) const;

  int64_t heads_, window_;
  double scale_;
  VsaStyle style_;
  bool identity_;
  nn::Conv2d qkv_, proj_;
  Regression offsets_, scales_;
  nn::Parameter table_;
};

/// WindowAttention of ViTAEv2. Maps are padded on all sides before the projection, so that keys and values of the margin are its bias.
class WindowAttention : public nn::Module {
 public:
  WindowAttention(int64_t in, int64_t out, int64_t heads, int64_t window, bool qkv_bias, double scale, bool relative_positions);
  /// x [B,h,w,in], dense; plus `addend` [B,h,w,out] where given -> [B,h,w,out].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& addend, const WindowCall& call = {}) const;

 protected:
  void initialise_own(at::Generator& generator) override;

 private:
  int64_t heads_, window_;
  double scale_;
  nn::Linear qkv_, proj_;
  nn::Parameter table_;
};

}  // namespace attelier
