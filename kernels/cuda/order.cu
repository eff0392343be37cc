#include "kernels/cuda/order.h"

#include "kernels/cuda/start.h"

namespace attelier::kernels::cuda {
namespace {

__global__ void __launch_bounds__(kDeliverThreads) deliver_kernel(const __grid_constant__ Parcel parcel) { deliver(parcel); }

__global__ void __launch_bounds__(kOrderThreads) order_kernel(const __grid_constant__ Arguments a, int32_t* order, int32_t* class_count) {
  order_keys(a, order, class_count);
}

}  // namespace

cudaError_t launch_deliver(const Parcel& parcel, cudaStream_t stream) { return start(deliver_kernel, {}, kDeliverThreads, 0, stream, parcel); }

cudaError_t launch_order(const Arguments& a, int32_t* order, int32_t* class_count, cudaStream_t stream) {
  return start(order_kernel, {a.call.batches, 1, 1}, kOrderThreads, kOrderSharedBytes, stream, a, order, class_count);
}

}  // namespace attelier::kernels::cuda
