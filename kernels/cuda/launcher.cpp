// The only file of the module that knows libtorch: tensors to pointers, memory from its allocator, kernels on its current stream.
#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "kernels/cpu/binding.h"
#include "kernels/cpu/map_binding.h"
#include "kernels/cuda/attention_cuda.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/regions.h"

namespace attelier::kernels::cuda {
namespace {

template <typename F>
cudaError_t with_element(cpu::Element element, const F& f) {
  switch (element) {
    case cpu::Element::kBFloat16: return f(BFloat16{});
    case cpu::Element::kFloat16: return f(Float16{});
    default: return f(float{});
  }
}

class StreamDevice : public Device {
 public:
  explicit StreamDevice(cudaStream_t stream) : stream_(stream) {}

  void deliver(const Parcel& parcel) override { C10_CUDA_CHECK(launch_deliver(parcel, stream_)); }
  void order_keys(const Arguments& a, int32_t* order, int32_t* class_count) override { C10_CUDA_CHECK(launch_order(a, order, class_count, stream_)); }

  void attend(const Plan& plan, const Blocks& blocks, const Arguments& a) override {
    C10_CUDA_CHECK(with_variant(a.call.element, plan.width, plan.bundle,
                                [&]<typename V>(V) { return launch_attend<typename V::Element, V::kWidth>(plan.bundle, plan.tile, blocks, a, stream_); }));
  }

  void combine(int64_t rows, const Arguments& a) override {
    C10_CUDA_CHECK(with_element(a.call.element, [&]<typename T>(T) { return launch_combine<T>(rows, a, stream_); }));
  }

  void probe(int index, const Blocks& blocks, const Arguments& a) override {
    C10_CUDA_CHECK(with_element(a.call.element, [&]<typename T>(T) { return launch_probe<T>(index, blocks, a, stream_); }));
  }

 private:
  cudaStream_t stream_;
};

/// Kept by the driver: reading one costs no more than a function call.
int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

/// An element of the kernels on a GPU that they run on.
bool is_taken(const at::Tensor& x) {
  const at::ScalarType type = x.scalar_type();
  return (type == at::kFloat || type == at::kBFloat16 || type == at::kHalf) && attribute(cudaDevAttrComputeCapabilityMajor, x.get_device()) >= 8;
}

bool module_takes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const at::ScalarType type = q.scalar_type();
  return k.scalar_type() == type && v.scalar_type() == type && q.size(3) <= kMaximumWidth && v.size(3) <= kMaximumWidth && is_taken(q);
}

bool module_takes_regions(const at::Tensor& q, const at::Tensor& v) {
  const cpu::Element element = q.scalar_type() == at::kFloat ? cpu::Element::kFloat32 : cpu::Element::kBFloat16;
  return is_taken(q) && region_width(element, q.size(4), v.size(4)) > 0;
}

at::Tensor module_attend_regions(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const c10::cuda::CUDAGuard guard(q.device());
  const at::Tensor o = cpu::empty_regions(q, v);
  const cpu::RegionBinding binding(attention, q, k, v, o);
  const cpu::RegionCall& call = binding.call();
  const RegionPlan plan = plan_regions(call);
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  // Kernels are compiled with both kinds of keys beside each other.
  C10_CUDA_CHECK(with_region_variant(call.call.element, plan.width, false, [&]<typename V>(V) { return launch_regions<typename V::Element, V::kWidth>(plan, call.view, stream); }));
  return o;
}

at::Tensor module_warp(const Warp& warp, const at::Tensor& x) {
  const c10::cuda::CUDAGuard guard(x.device());
  const at::Tensor y = cpu::empty_warp(x);
  const cpu::WarpBinding binding(warp, x, y);
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  C10_CUDA_CHECK(with_element(binding.call().element, [&]<typename T>(T) { return launch_warp<T>(binding.call(), stream); }));
  return y;
}

AttentionResult module_attention(const AttentionControl& canonical, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, Wanted wanted) {
  const c10::cuda::CUDAGuard guard(q.device());
  const int index = q.get_device();
  cpu::Binding binding(canonical, q, k, v);
  bool needs_lse = wanted.lse;
  for (const Probe& probe : canonical.probes) needs_lse |= probe.kind == ProbeKind::kLse;
  AttentionResult result;
  if (wanted.o) result.o = at::empty({q.size(0), q.size(2), q.size(1), v.size(3)}, q.options()).transpose(1, 2);
  if (needs_lse) result.lse = at::empty({q.size(0), q.size(1), q.size(2)}, q.options().dtype(at::kFloat));
  binding.set_outputs(result.o, result.lse);
  binding.set_probes(canonical.probes);
  const Plan plan = make_plan(binding.call(), {attribute(cudaDevAttrMultiProcessorCount, index), attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, index)});
  const at::Tensor workspace = at::empty({plan.workspace.bytes}, q.options().dtype(at::kByte));
  StreamDevice device(c10::cuda::getCurrentCUDAStream());
  execute(binding.call(), plan, canonical.blend_weight_map.empty(), static_cast<char*>(workspace.data_ptr()), device);
  for (const auto& probe : binding.probes()) result.probes.push_back(probe.result(result.lse));
  if (!wanted.lse) result.lse = at::Tensor();
  return result;
}

}  // namespace
}  // namespace attelier::kernels::cuda

extern "C" __attribute__((visibility("default"))) const attelier::kernels::cuda::Module* attelier_cuda_module() {
  using namespace attelier::kernels::cuda;
  static constexpr Module module = {kModuleVersion, module_takes, module_attention, module_takes_regions, module_attend_regions, is_taken, module_warp};
  return &module;
}
