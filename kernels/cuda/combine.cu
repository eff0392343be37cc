#include "kernels/cuda/combine.h"

#include "kernels/cuda/start.h"

namespace attelier::kernels::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(kCombineThreads) combine_kernel(const __grid_constant__ Arguments a) {
  combine<T>(a);
}

}  // namespace

template <typename T>
cudaError_t launch_combine(int64_t rows, const Arguments& a, cudaStream_t stream) {
  return start(combine_kernel<T>, {rows, 1, 1}, kCombineThreads, kCombineSharedBytes, stream, a);
}

template cudaError_t launch_combine<float>(int64_t, const Arguments&, cudaStream_t);
template cudaError_t launch_combine<BFloat16>(int64_t, const Arguments&, cudaStream_t);
template cudaError_t launch_combine<Float16>(int64_t, const Arguments&, cudaStream_t);

}  // namespace attelier::kernels::cuda
