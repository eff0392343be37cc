#include "kernels/cpu/map_binding.h"

#include <cmath>

namespace attelier::kernels::cpu {
namespace {

Element element_of(at::ScalarType type) { return type == at::kFloat ? Element::kFloat32 : type == at::kBFloat16 ? Element::kBFloat16 : Element::kFloat16; }

int64_t stride_of(const at::Tensor& tensor, int64_t dimension) { return tensor.size(dimension) == 1 ? 0 : tensor.stride(dimension); }

at::Tensor dense(const at::Tensor& tensor) { return tensor.size(-1) == 1 || tensor.stride(-1) == 1 ? tensor : tensor.contiguous(); }

}  // namespace

Cells RegionBinding::cells(const at::Tensor& map) {
  const at::Tensor& own = kept(dense(map));
  return {const_cast<void*>(own.const_data_ptr()), stride_of(own, 0), stride_of(own, 1), stride_of(own, 2), stride_of(own, 3)};
}

RegionBinding::RegionBinding(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& o)
    : scale_(static_cast<float>(attention.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(4)))))) {
  const RegionGrid& grid = attention.grid;
  RegionView& view = call_.view;
  view.regions = grid.regions();
  view.across = grid.columns;
  view.height = grid.height;
  view.width = grid.width;
  view.top = grid.top;
  view.left = grid.left;
  view.q = cells(q);
  view.k = cells(k);
  view.v = cells(v);
  view.o = cells(o);
  view.rows = q.size(2);
  view.columns = q.size(3);
  view.key_rows = k.size(2);
  view.key_columns = k.size(3);
  Call& call = call_.call;
  if (attention.index.defined()) {
    const at::Tensor& index = kept(dense(attention.index.to(at::kLong)));
    view.index = index.const_data_ptr<int64_t>();
    view.index_batch = stride_of(index, 0);
    view.index_head = stride_of(index, 1);
    view.index_region = stride_of(index, 2);
    view.choices = index.size(3);
    call.keys = view.choices * grid.cells();
  } else {
    const at::Tensor& points = kept(dense(attention.points.to(at::kFloat)));
    view.points = points.const_data_ptr<float>();
    view.points_batch = stride_of(points, 0);
    view.points_head = stride_of(points, 1);
    view.points_region = stride_of(points, 2);
    view.points_key = stride_of(points, 3);
    call.keys = points.size(3);
  }
  call.element = element_of(q.scalar_type());
  call.batches = q.size(0) * grid.regions();
  call.heads = q.size(1);
  call.rows = grid.cells();
  call.depth = q.size(4);
  call.value_depth = v.size(4);
  call.scales = &scale_;
  call.source_count = 1;
  call.sources[0].length = call.keys;
  call.sources[0].group = 1;
  call.o = o.data_ptr();
  if (attention.pair_bias.defined()) {
    const at::Tensor& bias = kept(attention.pair_bias.to(at::kFloat).transpose(1, 2).contiguous());
    call.pair_bias = {bias.const_data_ptr<float>(), 1, stride_of(bias, 0), call.rows};
  }
}

Planes WarpBinding::planes(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const at::Tensor& own = tensors_.emplace_back(tensor);
  return {const_cast<void*>(own.const_data_ptr()), stride_of(own, 0), own.stride(1), own.stride(2), own.stride(3)};
}

WarpBinding::WarpBinding(const Warp& warp, const at::Tensor& x, const at::Tensor& y) {
  const at::MemoryFormat format = x.suggest_memory_format();
  call_.element = element_of(x.scalar_type());
  call_.batches = x.size(0);
  call_.channels = x.size(1);
  call_.rows = x.size(2);
  call_.columns = x.size(3);
  call_.x = planes(format == at::MemoryFormat::ChannelsLast && x.stride(1) != 1 ? x.contiguous(format) : x);
  call_.y = planes(y);
  call_.base = planes(warp.base.defined() ? warp.base.contiguous(format) : at::Tensor());
  call_.flow = planes(warp.flow.to(at::kFloat));
  call_.mask = planes(warp.mask.defined() ? warp.mask.to(at::kFloat) : at::Tensor());
  call_.nearest = warp.sampling == WarpSampling::kNearest;
  call_.border = warp.padding == WarpPadding::kBorder;
  call_.inside_only = warp.base.defined() && warp.inside_only;
}

at::Tensor empty_regions(const at::Tensor& q, const at::Tensor& v) {
  return at::empty({q.size(0), q.size(2), q.size(3), q.size(1), v.size(4)}, q.options()).permute({0, 3, 1, 2, 4});
}

at::Tensor empty_warp(const at::Tensor& x) { return at::empty(x.sizes(), x.options(), x.suggest_memory_format()); }

}  // namespace attelier::kernels::cpu
