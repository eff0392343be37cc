#define ATTELIER_CPU_LEVEL avx2
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/layers.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/regions.h"
#include "kernels/cpu/tasks.h"
#include "kernels/cpu/warp.h"

namespace attelier::kernels::cpu {

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = {avx2::task_count, avx2::workspace_bytes, avx2::run, avx2::spin};

extern const LayerKernels kAvx2LayerKernels;
const LayerKernels kAvx2LayerKernels = {avx2::group_norm_sums, avx2::group_norm_factors, avx2::group_norm_apply, avx2::gated_gelu};

extern const ConvolutionKernels kAvx2ConvolutionKernels;
const ConvolutionKernels kAvx2ConvolutionKernels = {avx2::convolution_inputs, avx2::convolution_outputs};

extern const MapKernels kAvx2MapKernels;
const MapKernels kAvx2MapKernels = {avx2::region_tasks, avx2::region_workspace_bytes, avx2::run_regions, avx2::warp};

}  // namespace attelier::kernels::cpu
