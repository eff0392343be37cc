// Tasks of a kernel on libtorch's threads.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
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

/// Calls run(begin, end, scratch memory) for ranges of the tasks, each thread with memory of its own. A thread that is done takes the next range, so
/// that none waits for one that was held up; results must not depend on the ranges. `operations` is the work of all tasks.
template <typename Run>
void run_in_parallel(int64_t tasks, int64_t scratch_bytes, double operations, const Run& run) {
  constexpr double kOperationsPerThread = 2e6;  // less is not worth another thread: about 20 microseconds
  constexpr int64_t kRangesPerThread = 16;
  const auto useful = static_cast<int64_t>(std::max(1.0, std::min(operations / kOperationsPerThread, 1e6)));
  const int64_t threads = std::min({useful, tasks, static_cast<int64_t>(at::get_num_threads())});
  const int64_t range = std::max<int64_t>(1, threads > 1 ? tasks / (threads * kRangesPerThread) : tasks);
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    const Scratch scratch(scratch_bytes);
    for (int64_t begin = next.fetch_add(range); begin < tasks; begin = next.fetch_add(range)) run(begin, std::min(begin + range, tasks), scratch.memory());
  });
}

}  // namespace attelier::kernels::cpu
