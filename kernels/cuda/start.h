// For *.cu: a kernel with its shared memory on a stream.
#pragma once

#include "kernels/cuda/launch.h"

namespace attelier::kernels::cuda {

template <typename Kernel, typename... Values>
cudaError_t start(const Kernel& kernel, const Blocks& blocks, int threads, int64_t shared_bytes, cudaStream_t stream, Values... values) {
  // More than 48 KB have to be asked for; the call costs less than a microsecond and is allowed while a graph is captured.
  constexpr int64_t kGivenBytes = 48 << 10;
  if (shared_bytes > kGivenBytes) {
    const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return error;
  }
  const dim3 grid(static_cast<unsigned>(blocks.x), static_cast<unsigned>(blocks.y), static_cast<unsigned>(blocks.z));
  kernel<<<grid, static_cast<unsigned>(threads), static_cast<size_t>(shared_bytes), stream>>>(values...);
  return cudaGetLastError();
}

}  // namespace attelier::kernels::cuda
