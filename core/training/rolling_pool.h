// A pool of training pictures (or their latents) that is renewed while training goes on, so that training never waits for the drawing.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/context.h"

namespace attelier {

/// make(first) ... make(first + count - 1), by so many threads. What one of them throws is thrown here once all have ended.
template <typename Make>
auto make_side_by_side(int64_t first, int64_t count, int threads, const Make& make) {
  std::vector<std::invoke_result_t<Make, int64_t>> made(static_cast<size_t>(count));
  std::atomic<int64_t> next = 0;
  std::vector<std::future<void>> workers;
  for (int64_t t = 0; t < std::min<int64_t>(threads, count); ++t)
    workers.push_back(std::async(std::launch::async, [&] {
      for (int64_t i = next++; i < count; i = next++) made[static_cast<size_t>(i)] = make(first + i);
    }));
  for (std::future<void>& worker : workers) worker.get();
  return made;
}

/// Slot j holds the newest item whose number is j modulo the size. At step s the items 0 .. size + fresh * s have been made: a pure function of the
/// step, so a resumed run sees the same items. Making must be a pure function of the number too; items of the next step are made on a second thread while
/// the step computes.
template <typename Item>
class RollingPool {
 public:
  /// Makes items first .. first + count - 1, using up to `threads` threads.
  using MakeMany = std::function<std::vector<Item>(int64_t first, int64_t count, int threads)>;

  /// `threads` beside a step; filling uses all. `make` is called from them.
  RollingPool(int64_t size, int64_t fresh_per_step, int threads, std::function<Item(int64_t number)> make)
      : RollingPool(size, fresh_per_step, threads, [one = std::move(make)](int64_t first, int64_t count, int most) { return make_side_by_side(first, count, most, one); }) {}
  RollingPool(int64_t size, int64_t fresh_per_step, int threads, MakeMany make)
      : fresh_(fresh_per_step), threads_(threads), make_(std::move(make)), items_(static_cast<size_t>(size)) {}
  RollingPool(const RollingPool&) = delete;
  RollingPool& operator=(const RollingPool&) = delete;
  ~RollingPool() { settle(); }

  /// Makes the whole pool as it stands at `step`, and reports it as `stage`. Throws Interrupted once a stop was requested.
  void fill(int64_t step, const Context& context, std::string_view stage = "drawing") {
    const auto size = static_cast<int64_t>(items_.size()), threads = static_cast<int64_t>(std::max(1u, std::thread::hardware_concurrency()));
    const int64_t last = size + fresh_ * step;
    for (int64_t number = last - size; number < last;) {
      for (Item& item : make_(number, std::min(last - number, 2 * threads), static_cast<int>(threads))) items_[static_cast<size_t>(number++ % size)] = std::move(item);
      context.check_stop();
      context.report(stage, number - (last - size), size);
    }
    next_ = last;
  }

  /// Begins to make the items of the next step; call once a step, then swap_in() when the step is over.
  void start_next() {
    pending_ = std::async(std::launch::async, [this, first = next_] { return make_(first, fresh_, threads_); });
  }
  void swap_in() {
    for (Item& item : pending_.get()) items_[static_cast<size_t>(next_++ % static_cast<int64_t>(items_.size()))] = std::move(item);
  }
  /// Waits for what start_next() began.
  void settle() {
    if (pending_.valid()) pending_.wait();
  }

  const Item& operator[](int64_t index) const { return items_[static_cast<size_t>(index)]; }
  int64_t size() const { return static_cast<int64_t>(items_.size()); }

 private:
  int64_t fresh_;
  int threads_;
  MakeMany make_;
  std::vector<Item> items_;
  int64_t next_ = 0;
  std::future<std::vector<Item>> pending_;
};

}  // namespace attelier
