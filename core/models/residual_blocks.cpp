#include "core/models/residual_blocks.h"

#include <c10/core/GradMode.h>

namespace attelier {

at::Tensor activate(at::Tensor x) { return c10::GradMode::is_enabled() ? at::silu(x) : at::silu_(x); }

ResnetBlock::ResnetBlock(int64_t in, int64_t out, int64_t groups, double epsilon, int64_t time_width)
    : norm1_(groups, in, epsilon), norm2_(groups, out, epsilon), conv1_(in, out, 3, 1, 1), conv2_(out, out, 3, 1, 1) {
  add("norm1", norm1_);
  add("conv1", conv1_);
  if (time_width > 0) add("time_emb_proj", time_emb_proj_.emplace(time_width, out));
  add("norm2", norm2_);
  add("conv2", conv2_);
  if (in != out) add("conv_shortcut", conv_shortcut_.emplace(in, out, 1));
}

at::Tensor ResnetBlock::forward(const at::Tensor& x, const at::Tensor& time) const {
  const at::Tensor h = conv1_.forward(norm1_.forward_silu(x));
  const at::Tensor shift = time_emb_proj_ ? time_emb_proj_->forward(time) : at::Tensor();
  return conv2_.forward(norm2_.forward_silu(h, shift), conv_shortcut_ ? conv_shortcut_->forward(x) : x);
}

Downsampler::Downsampler(int64_t channels, Padding padding) : padding_(padding), conv_(channels, channels, 3, 2, padding == Padding::kBothSides ? 1 : 0) {
  add("conv", conv_);
}

at::Tensor Downsampler::forward(const at::Tensor& x) const {
  return conv_.forward(padding_ == Padding::kBothSides ? x : at::constant_pad_nd(x, {0, 1, 0, 1}));
}

Upsampler::Upsampler(int64_t channels) : conv_(channels, channels, 3, 1, 1) { add("conv", conv_); }

at::Tensor Upsampler::forward(const at::Tensor& x, int64_t height, int64_t width) const {
  return conv_.forward(at::upsample_nearest2d(x, {height > 0 ? height : 2 * x.size(2), width > 0 ? width : 2 * x.size(3)}));
}

}  // namespace attelier
