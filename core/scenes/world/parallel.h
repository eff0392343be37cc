// Rows shared out among threads.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

namespace attelier::world {

/// Calls work(row) for 0 .. rows-1, on `threads` threads. Rows must not depend on each other, so that the order never shows.
template <typename Work>
void for_each_row(int rows, int threads, const Work& work) {
  if (threads <= 1 || rows <= 1) {
    for (int row = 0; row < rows; ++row) work(row);
    return;
  }
  std::atomic<int> next{0};
  const auto loop = [&] {
    for (int row = next++; row < rows; row = next++) work(row);
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(loop);
  loop();
}

}  // namespace attelier::world
