#define ATTELIER_CPU_LEVEL avx512_bf16
#include "kernels/cpu/layers.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/regions.h"
#include "kernels/cpu/tasks.h"
#include "kernels/cpu/warp.h"

namespace attelier::kernels::cpu {

extern const Kernels kAvx512Bf16Kernels;
const Kernels kAvx512Bf16Kernels = {avx512_bf16::task_count, avx512_bf16::workspace_bytes, avx512_bf16::run, avx512_bf16::spin};

extern const LayerKernels kAvx512Bf16LayerKernels;
const LayerKernels kAvx512Bf16LayerKernels = {avx512_bf16::group_norm_sums, avx512_bf16::group_norm_factors, avx512_bf16::group_norm_apply, avx512_bf16::gated_gelu};

extern const MapKernels kAvx512Bf16MapKernels;
const MapKernels kAvx512Bf16MapKernels = {avx512_bf16::region_tasks, avx512_bf16::region_workspace_bytes, avx512_bf16::run_regions, avx512_bf16::warp};

}  // namespace attelier::kernels::cpu
