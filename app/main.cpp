#include <c10/core/CPUAllocator.h>

#include "app/cli/console.h"
#include "core/base/large_blocks.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

/// Tensors of less than 8 MiB come from a heap that keeps up to 64 MiB of what was freed. Otherwise the kernel clears the same pages for every layer again, an
/// eighth of the time of a backbone on a small picture.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
  c10::SetCPUAllocator(&attelier::LargeBlocks::instance());
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  return attelier::run_command_line(argc, argv);
}
