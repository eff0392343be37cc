// Region attention and warps as the pointers and strides of cpu/map_call.h.
#pragma once

#include <deque>

#include "kernels/cpu/map_call.h"
#include "kernels/regions.h"
#include "kernels/warp.h"

namespace attelier::kernels::cpu {

/// Keeps alive what its call points to. Maps need no copy as long as their last dimension is dense.
class RegionBinding {
 public:
  /// o [B,H,rows,columns,Dv] with a dense last dimension.
  RegionBinding(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& o);
  RegionBinding(const RegionBinding&) = delete;
  const RegionCall& call() const { return call_; }

 private:
  const at::Tensor& kept(const at::Tensor& tensor) { return tensors_.emplace_back(tensor); }
  Cells cells(const at::Tensor& map);

  RegionCall call_ = {};
  float scale_;
  std::deque<at::Tensor> tensors_;
};

class WarpBinding {
 public:
  /// y of empty_warp(x).
  WarpBinding(const Warp& warp, const at::Tensor& x, const at::Tensor& y);
  WarpBinding(const WarpBinding&) = delete;
  const WarpCall& call() const { return call_; }

 private:
  Planes planes(const at::Tensor& tensor);

  WarpCall call_ = {};
  std::deque<at::Tensor> tensors_;
};

/// Results without values: o [B,H,rows,columns,Dv] over memory [B,rows,columns,H,Dv], and a tensor as x in its memory format.
at::Tensor empty_regions(const at::Tensor& q, const at::Tensor& v);
at::Tensor empty_warp(const at::Tensor& x);

}  // namespace attelier::kernels::cpu
