// A pool of training pictures (or their latents) that is renewed while training goes on, so that training never waits for the drawing.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

namespace attelier {

/// Slot j holds the newest item whose number is j modulo the size. At step s the items 0 .. size + fresh * s have been made: a pure function of the
/// step, so a resumed run sees the same items. Making must be a pure function of the number too; items of the next step are made on a second thread while
/// the step computes.
template <typename Item>
class RollingPool {
 public:
  /// Makes items first .. first + count - 1, using up to `threads` threads.
  using MakeMany = std::function<std::vector<Item>(int64_t first, int64_t count, int threads)>;

  RollingPool(int64_t size, int64_t fresh_per_step, std::function<Item(int64_t number)> make)
      : RollingPool(size, fresh_per_step, 1, [one = std::move(make)](int64_t first, int64_t count, int) {
          std::vector<Item> made;
          for (int64_t i = 0; i < count; ++i) made.push_back(one(first + i));
          return made;
        }) {}
  /// `threads` beside a step; filling uses all.
  RollingPool(int64_t size, int64_t fresh_per_step, int threads, MakeMany make)
      : fresh_(fresh_per_step), threads_(threads), make_(std::move(make)), items_(static_cast<size_t>(size)) {}
  RollingPool(const RollingPool&) = delete;
  RollingPool& operator=(const RollingPool&) = delete;
  ~RollingPool() { settle(); }

  /// Makes the whole pool as it stands at `step`; `report(done, total)` may throw to cancel.
  void fill(int64_t step, const std::function<void(int64_t, int64_t)>& report) {
    const auto size = static_cast<int64_t>(items_.size()), threads = static_cast<int64_t>(std::max(1u, std::thread::hardware_concurrency()));
    const int64_t last = size + fresh_ * step;
    for (int64_t number = last - size; number < last;) {
      for (Item& item : make_(number, std::min(last - number, 2 * threads), static_cast<int>(threads))) items_[static_cast<size_t>(number++ % size)] = std::move(item);
      report(number - (last - size), size);
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
