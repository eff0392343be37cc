// Work on libtorch's threads. at::parallel_for is a template that runs on one thread where its caller was not compiled with OpenMP: parallel.cpp is.
#pragma once

#include <cstdint>
#include <functional>

namespace attelier::kernels {

/// Calls body() once on each of so many threads, at most at::get_num_threads(); inside another parallel region once. Throws what a body throws.
void on_threads(int64_t threads, const std::function<void()>& body);

/// Calls run(begin, end) for ranges that cover 0..count, of `least` or more. A thread that is done takes the next range, so that none waits for one that
/// was held up; results must not depend on the ranges.
void parallel_ranges(int64_t count, int64_t least, const std::function<void(int64_t begin, int64_t end)>& run);

/// The same for the tasks of a kernel: each thread has scratch memory of its own, on a cache line. `operations` is the work of all tasks.
void run_in_parallel(int64_t tasks, int64_t scratch_bytes, double operations, const std::function<void(int64_t begin, int64_t end, void* scratch)>& run);

}  // namespace attelier::kernels
