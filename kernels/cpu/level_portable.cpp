#define ATTELIER_CPU_LEVEL portable
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/layers.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/regions.h"
#include "kernels/cpu/tasks.h"
#include "kernels/cpu/warp.h"

namespace attelier::kernels::cpu {

extern const Kernels kPortableKernels;
const Kernels kPortableKernels = {portable::task_count, portable::workspace_bytes, portable::run, portable::spin};

extern const LayerKernels kPortableLayerKernels;
const LayerKernels kPortableLayerKernels = {portable::group_norm_sums, portable::group_norm_factors, portable::group_norm_apply, portable::gated_gelu};

extern const ConvolutionKernels kPortableConvolutionKernels;
const ConvolutionKernels kPortableConvolutionKernels = {portable::convolution_inputs, portable::convolution_outputs};

extern const MapKernels kPortableMapKernels;
const MapKernels kPortableMapKernels = {portable::region_tasks, portable::region_workspace_bytes, portable::run_regions, portable::warp};

}  // namespace attelier::kernels::cpu
