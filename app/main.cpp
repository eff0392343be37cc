#include "app/cli/console.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

/// Tensors of less than 8 MiB come from a heap that keeps up to 64 MiB of what was freed. Otherwise the kernel clears the same pages for every layer again, an
/// eighth of the time of a backbone on a small picture. Larger tensors are given back at once, as they would be in any case.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  return attelier::run_command_line(argc, argv);
}
