#include "kernels/cuda/probe.h"

#include "kernels/cuda/start.h"

namespace attelier::kernels::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(ProbeTile<T>::kThreads) probe_kernel(const __grid_constant__ Arguments a, int index) {
  ProbeReader<T>(a, a.call.probes[index]).run();
}

}  // namespace

template <typename T>
cudaError_t launch_probe(int index, const Blocks& blocks, const Arguments& a, cudaStream_t stream) {
  return start(probe_kernel<T>, blocks, ProbeTile<T>::kThreads, probe_shared_bytes<T>(a.call.depth), stream, a, index);
}

template cudaError_t launch_probe<float>(int, const Blocks&, const Arguments&, cudaStream_t);
template cudaError_t launch_probe<BFloat16>(int, const Blocks&, const Arguments&, cudaStream_t);
template cudaError_t launch_probe<Float16>(int, const Blocks&, const Arguments&, cudaStream_t);

}  // namespace attelier::kernels::cuda
