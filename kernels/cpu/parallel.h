// Tasks of a kernel on libtorch's threads.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <new>

namespace attelier::kernels::cpu {

/// Scratch memory on a cache line.
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : memory_(::operator new(static_cast<size_t>(bytes), kAlignment)) {}
  ~Scratch() { ::operator delete(memory_, kAlignment); }
  Scratch(const Scratch&) = delete;
  void* memory() const { return memory_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  void* memory_;
};

/// Calls run(begin, end, scratch memory) for ranges of the tasks, each thread with memory of its own. `operations` is the work of all of them.
template <typename Run>
void run_in_parallel(int64_t tasks, int64_t scratch_bytes, double operations, const Run& run) {
  constexpr double kOperationsPerThread = 2e6;  // less is not worth another thread: about 20 microseconds
  const auto grain = static_cast<int64_t>(kOperationsPerThread * static_cast<double>(tasks) / std::max(operations, 1.0));
  at::parallel_for(0, tasks, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) {
    const Scratch scratch(scratch_bytes);
    run(begin, end, scratch.memory());
  });
}

}  // namespace attelier::kernels::cpu
