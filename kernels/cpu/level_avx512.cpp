#define ATTELIER_CPU_LEVEL avx512
#include "kernels/cpu/peak.h"
#include "kernels/cpu/tasks.h"

namespace attelier::kernels::cpu {

extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = {avx512::task_count, avx512::workspace_bytes, avx512::run, avx512::spin};

}  // namespace attelier::kernels::cpu
