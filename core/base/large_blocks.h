// Memory of large tensors on the CPU. The C library maps and unmaps a block of many MiB each time, and the kernel clears its pages in between, one of 4 KiB
// after the other: half of the time of RGT-S at 160 x 160, a third of that of an autoencoder at 512 x 512.
#pragma once

#include <c10/core/Allocator.h>

#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace attelier {

/// Serves tensors of at least kLeast bytes from huge pages, and from what was freed before: of that it keeps at most kMost bytes, and never so much that all of
/// it together exceeds the most that was in use at once. Smaller tensors come from libtorch's own allocator. Threads may use it at once.
class LargeBlocks : public c10::Allocator {
 public:
  static constexpr size_t kLeast = size_t{8} << 20, kMost = size_t{256} << 20;

  /// The only one, as memory is given back without a word of whose it was. It lives as long as the process.
  static LargeBlocks& instance();

  c10::DataPtr allocate(size_t bytes) override;
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* target, const void* source, size_t bytes) const override { default_copy_data(target, source, bytes); }

  /// Bytes that tensors use, and that are kept for the next ones.
  size_t used() const;
  size_t kept() const;
  /// Gives back what is kept, and forgets how much was in use.
  void clear();

 private:
  struct Block {
    void* data;
    size_t bytes;
  };
  LargeBlocks() = default;
  static void give_back(void* data);
  /// Frees the longest kept blocks until at most `bytes` remain.
  void shrink(size_t bytes);

  mutable std::mutex mutex_;
  std::vector<Block> free_;  // in the order in which they were freed
  std::unordered_map<void*, size_t> taken_;
  size_t used_ = 0, kept_ = 0, most_used_ = 0;
};

}  // namespace attelier
