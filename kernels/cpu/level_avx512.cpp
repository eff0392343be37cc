#define ATTELIER_CPU_LEVEL avx512
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/layers.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/regions.h"
#include "kernels/cpu/tasks.h"
#include "kernels/cpu/warp.h"

namespace attelier::kernels::cpu {

extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = {avx512::task_count, avx512::workspace_bytes, avx512::run, avx512::spin};

extern const LayerKernels kAvx512LayerKernels;
const LayerKernels kAvx512LayerKernels = {avx512::group_norm_sums, avx512::group_norm_factors, avx512::group_norm_apply, avx512::gated_gelu};

extern const ConvolutionKernels kAvx512ConvolutionKernels;
const ConvolutionKernels kAvx512ConvolutionKernels = {avx512::convolution_inputs, avx512::convolution_outputs};

extern const MapKernels kAvx512MapKernels;
const MapKernels kAvx512MapKernels = {avx512::region_tasks, avx512::region_workspace_bytes, avx512::run_regions, avx512::warp};

}  // namespace attelier::kernels::cpu
