// A pool of drawn pictures (or their latents) that is renewed while training goes on, so that training never waits for the drawing.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

namespace attelier {

/// Slot j holds the newest item whose number is j modulo the size. At step s the items 0 .. size + fresh * s have been made: a pure function of the
/// step, so a resumed run sees the same items. `make(number)` must be a pure function too; it runs on a second thread while the step computes.
template <typename Item>
class RollingPool {
 public:
  RollingPool(int64_t size, int64_t fresh_per_step, std::function<Item(int64_t number)> make)
      : fresh_(fresh_per_step), make_(std::move(make)), items_(static_cast<size_t>(size)) {}

  /// Makes the whole pool as it stands at `step`; `report(done, total)` may throw to cancel.
  void fill(int64_t step, const std::function<void(int64_t, int64_t)>& report) {
    const int64_t size = static_cast<int64_t>(items_.size());
    const int64_t last = size + fresh_ * step;
    for (int64_t number = last - size; number < last; ++number) {
      items_[static_cast<size_t>(number % size)] = make_(number);
      report(number - (last - size) + 1, size);
    }
    next_ = last;
  }

  /// Begins to make the items of the next step; call once a step, then swap_in() when the step is over.
  void start_next() {
    pending_ = std::async(std::launch::async, [this, first = next_] {
      std::vector<Item> made;
      for (int64_t i = 0; i < fresh_; ++i) made.push_back(make_(first + i));
      return made;
    });
  }
  void swap_in() {
    for (Item& item : pending_.get()) items_[static_cast<size_t>(next_++ % static_cast<int64_t>(items_.size()))] = std::move(item);
  }

  const Item& operator[](int64_t index) const { return items_[static_cast<size_t>(index)]; }
  int64_t size() const { return static_cast<int64_t>(items_.size()); }

 private:
  int64_t fresh_;
  std::function<Item(int64_t)> make_;
  std::vector<Item> items_;
  int64_t next_ = 0;
  std::future<std::vector<Item>> pending_;
};

}  // namespace attelier
