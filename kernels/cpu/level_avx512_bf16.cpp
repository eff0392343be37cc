#define ATTELIER_CPU_LEVEL avx512_bf16
#include "kernels/cpu/peak.h"
#include "kernels/cpu/tasks.h"

namespace attelier::kernels::cpu {

extern const Kernels kAvx512Bf16Kernels;
const Kernels kAvx512Bf16Kernels = {avx512_bf16::task_count, avx512_bf16::workspace_bytes, avx512_bf16::run, avx512_bf16::spin};

}  // namespace attelier::kernels::cpu
