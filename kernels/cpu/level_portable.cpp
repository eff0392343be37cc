#define ATTELIER_CPU_LEVEL portable
#include "kernels/cpu/peak.h"
#include "kernels/cpu/tasks.h"

namespace attelier::kernels::cpu {

extern const Kernels kPortableKernels;
const Kernels kPortableKernels = {portable::task_count, portable::workspace_bytes, portable::run, portable::spin};

}  // namespace attelier::kernels::cpu
