#include "kernels/cuda/flow_warp.h"

#include "kernels/cuda/start.h"

namespace attelier::kernels::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(kWarpThreads) warp_kernel(const __grid_constant__ WarpCall c) {
  warp_element<T>(c);
}

}  // namespace

template <typename T>
cudaError_t launch_warp(const WarpCall& call, cudaStream_t stream) {
  return start(warp_kernel<T>, {warp_blocks(call), 1, 1}, kWarpThreads, 0, stream, call);
}

template cudaError_t launch_warp<float>(const WarpCall&, cudaStream_t);
template cudaError_t launch_warp<BFloat16>(const WarpCall&, cudaStream_t);
template cudaError_t launch_warp<Float16>(const WarpCall&, cudaStream_t);

}  // namespace attelier::kernels::cuda
