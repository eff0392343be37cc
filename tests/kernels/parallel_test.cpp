#include "kernels/parallel.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <mutex>
#include <numeric>
#include <set>
#include <thread>

namespace attelier::kernels {
namespace {

class Parallel : public testing::Test {
 protected:
  void TearDown() override { at::set_num_threads(before_); }
  const int before_ = at::get_num_threads();
};

TEST_F(Parallel, EveryTaskRunsOnce) {
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    for (const int64_t count : {0, 1, 5, 1000}) {
      std::vector<std::atomic<int>> ranges(static_cast<size_t>(count)), tasks(static_cast<size_t>(count));
      parallel_ranges(count, 3, [&](int64_t begin, int64_t end) {
        EXPECT_TRUE(end - begin >= 3 || end == count);
        for (int64_t i = begin; i < end; ++i) ++ranges[static_cast<size_t>(i)];
      });
      run_in_parallel(count, 128, 1e9, [&](int64_t begin, int64_t end, void* scratch) {
        EXPECT_EQ(reinterpret_cast<uintptr_t>(scratch) % 64, 0u);
        for (int64_t i = begin; i < end; ++i) ++tasks[static_cast<size_t>(i)];
      });
      for (const auto* counts : {&ranges, &tasks})
        for (const std::atomic<int>& n : *counts) EXPECT_EQ(n, 1);
    }
  }
}

#ifdef __clang__
constexpr bool kHasThreads = false;
#else
constexpr bool kHasThreads = true;
#endif

/// A build without OpenMP would pass every other test.
TEST_F(Parallel, ThreadsAreUsed) {
  if (!kHasThreads) GTEST_SKIP() << "built without OpenMP";
  at::set_num_threads(3);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  const auto note = [&] {
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  };
  on_threads(3, note);
  EXPECT_EQ(seen.size(), 3u);
  seen.clear();
  std::atomic<int> arrived = 0;
  run_in_parallel(2, 64, 1e9, [&](int64_t, int64_t, void*) {  // each waits for the other
    ++arrived;
    for (int64_t i = 0; arrived < 2 && i < 10000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    note();
  });
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(Parallel, LittleWorkStaysOnOneThread) {
  at::set_num_threads(3);
  const std::thread::id own = std::this_thread::get_id();
  run_in_parallel(100, 64, 1000, [&](int64_t, int64_t, void*) { EXPECT_EQ(std::this_thread::get_id(), own); });
}

TEST_F(Parallel, ErrorsArrive) {
  at::set_num_threads(2);
  EXPECT_THROW(run_in_parallel(8, 64, 1e9, [](int64_t begin, int64_t, void*) { if (begin == 5) throw std::runtime_error("five"); }), std::runtime_error);
}

}  // namespace
}  // namespace attelier::kernels
