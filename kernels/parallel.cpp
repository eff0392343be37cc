#include "kernels/parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <new>

namespace attelier::kernels {
namespace {

constexpr int64_t kRangesPerThread = 16;

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

/// Hands out ranges of at least `least` from 0..count.
class Ranges {
 public:
  Ranges(int64_t count, int64_t threads, int64_t least) : count_(count), size_(std::max(least, threads > 1 ? count / (threads * kRangesPerThread) : count)) {}
  bool next(int64_t& begin, int64_t& end) {
    begin = next_.fetch_add(size_);
    end = std::min(begin + size_, count_);
    return begin < count_;
  }

 private:
  const int64_t count_, size_;
  std::atomic<int64_t> next_ = 0;
};

}  // namespace

void on_threads(int64_t threads, const std::function<void()>& body) {
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) { body(); });
}

void parallel_ranges(int64_t count, int64_t least, const std::function<void(int64_t, int64_t)>& run) {
  if (count <= 0) return;
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), (count + least - 1) / least);
  Ranges ranges(count, threads, least);
  on_threads(threads, [&] {
    for (int64_t begin, end; ranges.next(begin, end);) run(begin, end);
  });
}

void run_in_parallel(int64_t tasks, int64_t scratch_bytes, double operations, const std::function<void(int64_t, int64_t, void*)>& run) {
  constexpr double kOperationsPerThread = 2e6;  // less is not worth another thread: about 20 microseconds
  if (tasks <= 0) return;
  const auto useful = static_cast<int64_t>(std::clamp(operations / kOperationsPerThread, 1.0, 1e6));
  const int64_t threads = std::min({useful, tasks, static_cast<int64_t>(at::get_num_threads())});
  Ranges ranges(tasks, threads, 1);
  on_threads(threads, [&] {
    const Scratch scratch(scratch_bytes);
    for (int64_t begin, end; ranges.next(begin, end);) run(begin, end, scratch.memory());
  });
}

}  // namespace attelier::kernels
