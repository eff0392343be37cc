#include "app/session/playhead.h"

#include <algorithm>
#include <cmath>

namespace attelier {

int64_t Playhead::clamped(int64_t index) const { return std::clamp<int64_t>(index, 0, std::max<int64_t>(0, count_ - 1)); }

void Playhead::set_length(int64_t count, double frames_per_second) {
  count_ = std::max<int64_t>(0, count);
  frames_per_second_ = frames_per_second;
  index_ = clamped(index_);
  first_ = clamped(first_);
  if (last_) last_ = clamped(*last_);
}

void Playhead::rewind() {
  pause();
  clear_range();
  index_ = 0;
}

void Playhead::go(int64_t index) {
  pause();
  index_ = clamped(index);
}

void Playhead::play(double now) {
  if (count_ < 2) return;
  if (index_ < first() || index_ >= last()) index_ = first();
  playing_since_ = now;
  started_ = index_;
}

int64_t Playhead::advance(double now) {
  if (!playing_since_) return index_;
  const auto passed = static_cast<int64_t>(std::floor((now - *playing_since_) * frames_per_second_));
  const int64_t length = last() - first() + 1, place = started_ - first() + std::max<int64_t>(0, passed);
  if (place < length || loops) {
    index_ = first() + place % length;
  } else {
    index_ = last();
    pause();
  }
  return index_;
}

std::optional<double> Playhead::seconds_to_next(double now) const {
  if (!playing_since_) return std::nullopt;
  const double frames = (now - *playing_since_) * frames_per_second_;
  return (std::floor(frames) + 1 - frames) / frames_per_second_;
}

void Playhead::begin_at(int64_t index) {
  first_ = clamped(index);
  if (last_ && *last_ < first_) last_.reset();
  if (is_playing()) go(first_);
}

void Playhead::end_at(int64_t index) {
  last_ = clamped(index);
  if (first_ > *last_) first_ = 0;
  if (is_playing()) go(*last_);
}

void Playhead::clear_range() {
  first_ = 0;
  last_.reset();
}

}  // namespace attelier
