// Where a sequence of frames is looked at: steps, a range, a loop, and playing by the clock.
#pragma once

#include <cstdint>
#include <optional>

namespace attelier {

/// Frames are counted from 0; times are seconds of one clock. Playing keeps the speed of the sequence: where frames cannot be drawn that fast, some are
/// passed over.
class Playhead {
 public:
  /// A sequence that may still grow; the place stays where it is as far as it is there.
  void set_length(int64_t count, double frames_per_second);
  /// Back to the first frame, without range; not playing.
  void rewind();

  int64_t count() const { return count_; }
  int64_t index() const { return index_; }
  /// Stops playing.
  void go(int64_t index);
  void step(int64_t frames) { go(index_ + frames); }

  bool is_playing() const { return playing_since_.has_value(); }
  /// From the present frame; from the range's start where that is its last one, or outside.
  void play(double now);
  void pause() { playing_since_.reset(); }
  /// The frame at this moment; at the range's end it begins again, or stops there.
  int64_t advance(double now);
  /// Until the next frame is due; nothing when not playing.
  std::optional<double> seconds_to_next(double now) const;

  /// The first and the last frame that play; the whole sequence unless set. A start beyond the end, or the other way round, takes the other one along.
  int64_t first() const { return first_; }
  int64_t last() const { return last_.value_or(count_ > 0 ? count_ - 1 : 0); }
  bool has_range() const { return first_ > 0 || last_; }
  void begin_at(int64_t index);
  void end_at(int64_t index);
  void clear_range();

  bool loops = true;

 private:
  int64_t clamped(int64_t index) const;

  int64_t count_ = 0, index_ = 0, first_ = 0;
  std::optional<int64_t> last_;
  double frames_per_second_ = 25;
  std::optional<double> playing_since_;  // when frame started_ was due
  int64_t started_ = 0;
};

}  // namespace attelier
