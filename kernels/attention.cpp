#include "kernels/attention.h"

namespace attelier::kernels {

at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::optional<double> scale) {
  return at::scaled_dot_product_attention(q, k, v, {}, 0.0, false, scale, k.size(1) != q.size(1));
}

}  // namespace attelier::kernels
