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
#include "kernels/cuda/tensor_maps.h"
#include "kernels/cuda/warpgroup_check.h"

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

/// Kept by the driver: reading one costs no more than a function call.
int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

WarpgroupGuard& guard() {
  static WarpgroupGuard once(warpgroups_wanted(), [](const std::string& message) { TORCH_WARN(message); });
  return once;
}

class StreamDevice : public Device {
 public:
  /// `checks` false: takes the warpgroup kernels without asking whether they are right.
  StreamDevice(int index, cudaStream_t stream, bool checks = true) : index_(index), stream_(stream), checks_(checks) {}

  bool takes_warpgroups(const Plan& plan, cpu::Element element, const KeyBoxes& boxes) override {
    const WarpgroupKernel kernel{element, plan.width, plan.listed};
    return (!checks_ || guard().allows(index_, kernel, [&] { return check(kernel); })) && make_maps(boxes, maps_);
  }

  void deliver(const Parcel& parcel) override { C10_CUDA_CHECK(launch_deliver(parcel, stream_)); }
  void order_keys(const Arguments& a, int32_t* order, int32_t* class_count) override { C10_CUDA_CHECK(launch_order(a, order, class_count, stream_)); }

  void attend(const Plan& plan, const Blocks& blocks, const Arguments& a) override {
    if (plan.family == Family::kWarpgroup) {
      C10_CUDA_CHECK(with_warpgroup_width(plan.width, [&]<int W>(std::integral_constant<int, W>) {
        return a.call.element == cpu::Element::kBFloat16 ? launch_warpgroups<BFloat16, W>(plan.listed, plan.tile, blocks, a, maps_, stream_)
                                                         : launch_warpgroups<Float16, W>(plan.listed, plan.tile, blocks, a, maps_, stream_);
      }));
      return;
    }
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
  std::optional<std::string> check(const WarpgroupKernel& kernel) const;

  const int index_;
  const cudaStream_t stream_;
  const bool checks_;
  KeyMaps maps_ = {};
};

/// Memory of libtorch's allocator, on the current device.
class StreamMemory : public CheckedDevice {
 public:
  StreamMemory(int index, cudaStream_t stream) : index_(index), stream_(stream), device_(index, stream, false) {}

  char* allocate(int64_t bytes) override {
    tensors_.push_back(at::empty({bytes}, at::TensorOptions(at::kByte).device(at::kCUDA, static_cast<c10::DeviceIndex>(index_))));
    return static_cast<char*>(tensors_.back().data_ptr());
  }
  void upload(char* to, const void* from, int64_t bytes) override {
    C10_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_));
    C10_CUDA_CHECK(cudaStreamSynchronize(stream_));
  }
  void download(void* to, const char* from, int64_t bytes) override {
    C10_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_));
    C10_CUDA_CHECK(cudaStreamSynchronize(stream_));
  }
  Device& kernels() override { return device_; }
  int64_t shared_bytes() const override { return attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, index_); }

 private:
  const int index_;
  const cudaStream_t stream_;
  StreamDevice device_;
  std::vector<at::Tensor> tensors_;
};

std::optional<std::string> StreamDevice::check(const WarpgroupKernel& kernel) const {
  // A graph under capture can wait for nothing.
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  C10_CUDA_CHECK(cudaStreamIsCapturing(stream_, &capture));
  if (capture != cudaStreamCaptureStatusNone) return std::nullopt;
  StreamMemory memory(index_, stream_);
  return compare_kernels(kernel, memory);
}

DeviceCaps caps_of(int device) {
  const bool is_9_0 = attribute(cudaDevAttrComputeCapabilityMajor, device) == 9 && attribute(cudaDevAttrComputeCapabilityMinor, device) == 0;
  return {attribute(cudaDevAttrMultiProcessorCount, device), attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device), is_9_0};
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
  StreamDevice device(index, c10::cuda::getCurrentCUDAStream());
  const Plan plan = plan_for(binding.call(), caps_of(index), device);
  const at::Tensor workspace = at::empty({plan.workspace.bytes}, q.options().dtype(at::kByte));
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
