#include "core/base/large_blocks.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

namespace attelier {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kChecked = size_t{64} << 20;   // smaller tensors are not worth a look at the machine's state
constexpr size_t kReserve = size_t{128} << 20;  // for what is not a tensor

/// What the machine can still give without killing a program for it: free memory, caches that it would drop, swap. Where that is not known, no limit.
size_t available_memory() {
  std::ifstream file("/proc/meminfo");
  size_t available = 0, lines = 0;
  for (std::string name, unit; lines < 2 && file >> name;) {
    size_t kilobytes = 0;
    file >> kilobytes;
    std::getline(file, unit);
    if (name != "MemAvailable:" && name != "SwapFree:") continue;
    available += kilobytes * 1024;
    ++lines;
  }
  return lines == 2 ? available : std::numeric_limits<size_t>::max();
}

/// Linux promises more memory than there is, and kills whoever touches it: a window with a person's work would go with the tensor that did not fit.
bool fits(size_t bytes) {
  if (bytes < kChecked) return true;
  const size_t available = available_memory();
  return available > kReserve && bytes <= available - kReserve;
}

/// Null where there is none.
void* take_pages(size_t bytes) {
  if (!fits(bytes)) return nullptr;
  void* data = nullptr;
  if (posix_memalign(&data, kHugePage, bytes) != 0) return nullptr;
  madvise(data, bytes, MADV_HUGEPAGE);  // a wish
  return data;
}

}  // namespace

LargeBlocks& LargeBlocks::instance() {
  static auto* const blocks = new LargeBlocks;  // tensors of other static objects may outlive it
  return *blocks;
}

c10::DataPtr LargeBlocks::allocate(size_t bytes) {
  const auto from_libtorch = [bytes] {
    void* const data = c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
    return c10::DataPtr(data, data, &give_back, c10::Device(c10::kCPU));
  };
  if (bytes < kLeast) return from_libtorch();
  const std::lock_guard lock(mutex_);
  auto best = free_.end();
  for (auto block = free_.begin(); block != free_.end(); ++block)
    if (block->bytes >= bytes && block->bytes <= bytes + bytes / 4 && (best == free_.end() || block->bytes <= best->bytes)) best = block;
  Block block{nullptr, bytes};
  if (best != free_.end()) {
    block = *best;
    free_.erase(best);
    kept_ -= block.bytes;
  } else {
    const size_t most = std::max(most_used_, used_ + bytes);
    shrink(most - used_ - bytes);
    block.data = take_pages(bytes);
    if (block.data == nullptr) {
      shrink(0);
      block.data = take_pages(bytes);
    }
    TORCH_CHECK_WITH(OutOfMemoryError, block.data != nullptr, "out of memory: a tensor of ", bytes >> 20, " MiB was wanted");
  }
  used_ += block.bytes;
  most_used_ = std::max(most_used_, used_);
  taken_.emplace(block.data, block.bytes);
  return {block.data, block.data, &give_back, c10::Device(c10::kCPU)};
}

void LargeBlocks::give_back(void* data) {
  // Libtorch's own blocks hardly ever begin where a huge page does, so they need no look into the table.
  if (reinterpret_cast<uintptr_t>(data) % kHugePage == 0) {
    LargeBlocks& all = instance();
    const std::lock_guard lock(all.mutex_);
    if (const auto found = all.taken_.find(data); found != all.taken_.end()) {
      const Block block{data, found->second};
      all.taken_.erase(found);
      all.used_ -= block.bytes;
      all.free_.push_back(block);
      all.kept_ += block.bytes;
      return all.shrink(std::min(kMost, all.most_used_ - all.used_));
    }
  }
  c10::GetDefaultCPUAllocator()->raw_deleter()(data);
}

void LargeBlocks::shrink(size_t bytes) {
  size_t count = 0;
  for (; kept_ > bytes; ++count) {
    kept_ -= free_[count].bytes;
    std::free(free_[count].data);
  }
  free_.erase(free_.begin(), free_.begin() + static_cast<std::ptrdiff_t>(count));
}

size_t LargeBlocks::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

size_t LargeBlocks::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_;
}

void LargeBlocks::clear() {
  const std::lock_guard lock(mutex_);
  shrink(0);
  most_used_ = used_;
}

}  // namespace attelier
