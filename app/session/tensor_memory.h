// Where tensors on the CPU get their memory.
#pragma once

#include <c10/core/Allocator.h>

namespace attelier {

/// For a whole program: tensors of 8 MiB and more come from LargeBlocks, smaller ones from a heap that keeps up to 64 MiB of what was freed. Otherwise the
/// kernel clears the same pages for every layer again, an eighth of the time of a backbone on a small picture.
void keep_freed_memory();

/// What is kept of freed memory, by Attelier and by the C library, goes back to the system; takes some milliseconds. For a program that rests after work.
void give_back_freed_memory();

/// While one lives, new tensors of all threads have the memory that they have in a program which only links libtorch: what is measured meanwhile is what its
/// users have. Tensors may be freed on either side of it, as every block knows whose it is.
class LibtorchMemory {
 public:
  LibtorchMemory();
  ~LibtorchMemory();
  LibtorchMemory(const LibtorchMemory&) = delete;
  LibtorchMemory& operator=(const LibtorchMemory&) = delete;

 private:
  c10::Allocator* const before_;
};

}  // namespace attelier
