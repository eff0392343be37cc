#include "app/session/tensor_memory.h"

#include <c10/core/CPUAllocator.h>

#include "core/base/large_blocks.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace attelier {
namespace {

bool keeps_freed_memory = false;

/// Blocks from so many bytes on are mapped, and given back at once. Unless told, the C library raises its threshold to the largest mapped block that was freed,
/// up to 32 MiB, and keeps twice as much.
void set_mapped_from([[maybe_unused]] int bytes) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, bytes);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

constexpr int kOurs = LargeBlocks::kLeast, kHighestOfTheLibrary = 32 << 20;

}  // namespace

void keep_freed_memory() {
  keeps_freed_memory = true;
  set_mapped_from(kOurs);
  c10::SetCPUAllocator(&LargeBlocks::instance());
}

void give_back_freed_memory() {
  LargeBlocks::instance().clear();
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

LibtorchMemory::LibtorchMemory() : before_(c10::GetCPUAllocator()) {
  if (keeps_freed_memory) set_mapped_from(kHighestOfTheLibrary);
  c10::SetCPUAllocator(c10::GetDefaultCPUAllocator());
}

LibtorchMemory::~LibtorchMemory() {
  c10::SetCPUAllocator(before_);
  if (keeps_freed_memory) set_mapped_from(kOurs);
}

}  // namespace attelier
