#define ATTELIER_CPU_LEVEL avx2
#include "kernels/cpu/peak.h"
#include "kernels/cpu/tasks.h"

namespace attelier::kernels::cpu {

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = {avx2::task_count, avx2::workspace_bytes, avx2::run, avx2::spin};

}  // namespace attelier::kernels::cpu
