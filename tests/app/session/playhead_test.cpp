#include "app/session/playhead.h"

#include <gtest/gtest.h>

namespace attelier {
namespace {

Playhead of(int64_t count, double rate = 10) {
  Playhead head;
  head.set_length(count, rate);
  return head;
}

TEST(PlayheadTest, StepsStayWithinTheSequence) {
  Playhead head = of(5);
  head.step(-1);
  EXPECT_EQ(head.index(), 0);
  head.step(3);
  EXPECT_EQ(head.index(), 3);
  head.go(99);
  EXPECT_EQ(head.index(), 4);
  head.set_length(3, 10);
  EXPECT_EQ(head.index(), 2) << "the sequence became shorter";
}

TEST(PlayheadTest, PlaysBySpeedAndPassesOverFramesThatComeTooLate) {
  Playhead head = of(100);
  head.play(50.0);
  EXPECT_EQ(head.advance(50.05), 0);
  EXPECT_EQ(head.advance(50.11), 1);
  EXPECT_EQ(head.advance(50.95), 9) << "eight were not drawn";
  EXPECT_NEAR(*head.seconds_to_next(50.95), 0.05, 1e-9);
  EXPECT_EQ(head.advance(49.0), 0) << "a clock that goes back";
  head.pause();
  EXPECT_FALSE(head.seconds_to_next(51));
  EXPECT_EQ(head.advance(60), 0);
}

TEST(PlayheadTest, LoopsOrStopsAtTheEndOfItsRange) {
  Playhead head = of(20);
  head.begin_at(4);
  head.end_at(7);
  EXPECT_TRUE(head.has_range());
  head.go(15);
  head.play(0);
  EXPECT_EQ(head.index(), 4) << "outside the range it begins at its start";
  EXPECT_EQ(head.advance(0.35), 7);
  EXPECT_EQ(head.advance(0.45), 4);
  EXPECT_EQ(head.advance(4.05), 4);
  head.loops = false;
  head.go(5);
  head.play(10);
  EXPECT_EQ(head.advance(10.25), 7);
  EXPECT_TRUE(head.is_playing());
  EXPECT_EQ(head.advance(10.35), 7);
  EXPECT_FALSE(head.is_playing());
  head.play(20);
  EXPECT_EQ(head.advance(20.05), 4) << "again from the start";
}

TEST(PlayheadTest, ARangeTurnedRoundTakesTheOtherEndAlong) {
  Playhead head = of(10);
  head.end_at(3);
  head.begin_at(6);
  EXPECT_EQ(head.first(), 6);
  EXPECT_EQ(head.last(), 9);
  head.end_at(2);
  EXPECT_EQ(head.first(), 0);
  EXPECT_EQ(head.last(), 2);
  head.clear_range();
  EXPECT_FALSE(head.has_range());
  EXPECT_EQ(head.last(), 9);
}

TEST(PlayheadTest, NothingAndOneFrameDoNotPlay) {
  for (const int64_t count : {0, 1}) {
    Playhead head = of(count);
    head.play(0);
    EXPECT_FALSE(head.is_playing());
    EXPECT_EQ(head.advance(5), 0);
    EXPECT_EQ(head.last(), 0);
  }
}

TEST(PlayheadTest, ASequenceThatGrowsWhilePlayingGoesOn) {
  Playhead head = of(3);
  head.loops = false;
  head.play(0);
  head.set_length(10, 10);
  EXPECT_EQ(head.advance(0.65), 6);
  EXPECT_TRUE(head.is_playing());
}

}  // namespace
}  // namespace attelier
