#include "app/session/video_frames.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>

#include "core/media/video_file.h"
#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {
namespace {

constexpr int64_t kFrames = 60, kBits = 6;

class VideoFramesTest : public testing::Test {
 protected:
  /// A video whose frames show their number: six columns, white for ones.
  std::filesystem::path video(const std::string& name) const {
    const std::filesystem::path path = folder_ / name;
    VideoWriter writer(path, 192, 96, 12);
    for (int64_t i = 0; i < kFrames; ++i) {
      Image frame{192, 96, 3, {}};
      for (int64_t pixel = 0; pixel < 192 * 96; ++pixel) frame.pixels.insert(frame.pixels.end(), 3, (i >> (pixel % 192 / 32)) & 1 ? 235 : 20);
      writer.write(frame);
    }
    writer.finish();
    return path;
  }
  /// Which frame an image is; -1 for none.
  static int64_t number(const VideoFrames::Frame& frame) {
    if (!frame) return -1;
    int64_t number = 0;
    for (int64_t bit = 0; bit < kBits; ++bit) {
      const int64_t x = (2 * bit + 1) * frame->width / (2 * kBits), y = frame->height / 2;
      if (frame->pixels[static_cast<size_t>((y * frame->width + x) * 3)] > 128) number |= int64_t{1} << bit;
    }
    return number;
  }
  /// The frame once it was read.
  static VideoFrames::Frame read(VideoFrames& frames, int64_t index) {
    VideoFrames::Frame frame;
    wait([&] { return (frame = frames.frame(index)) != nullptr; });
    return frame;
  }
  template <typename Condition>
  static bool wait(const Condition& condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  TemporaryFolder folder_;
};

TEST_F(VideoFramesTest, AnyFrameIsTheRightOneForwardsAndBackwards) {
  for (const char* name : {"a.avi", "a.mp4"}) {
    VideoFrames frames(video(name));
    EXPECT_EQ(frames.width(), 192);
    EXPECT_EQ(frames.height(), 96);
    EXPECT_DOUBLE_EQ(frames.frames_per_second(), 12);
    for (const int64_t index : {0, 1, 40, 59, 58, 3, 30, 29, 28, 0}) EXPECT_EQ(number(read(frames, index)), index) << name;
    EXPECT_EQ(frames.count(), kFrames);
  }
}

TEST_F(VideoFramesTest, TheNextFramesAreReadAheadAndFarOnesForgotten) {
  constexpr int64_t kBytes = 192 * 96 * 3;
  VideoFrames frames(video("a.avi"), {}, 20 * kBytes);
  read(frames, 30);
  ASSERT_TRUE(wait([&] { return !frames.is_busy(); }));
  EXPECT_EQ(number(frames.frame(30 + VideoFrames::kAhead)), 30 + VideoFrames::kAhead);
  read(frames, 0);
  ASSERT_TRUE(wait([&] { return !frames.is_busy(); }));
  EXPECT_EQ(frames.frame(30), nullptr) << "beyond the budget";
}

TEST_F(VideoFramesTest, ThumbnailsOfAnyFramesAreSmallAndComeWhileFramesAreLookedAt) {
  std::atomic<int> woken = 0;
  VideoFrames frames(video("a.mp4"), [&] { ++woken; });
  const std::vector<int64_t> wanted = {0, 20, 40, 59};
  std::vector<VideoFrames::Frame> thumbnails;
  ASSERT_TRUE(wait([&] {
    thumbnails = frames.thumbnails(wanted);
    return std::all_of(thumbnails.begin(), thumbnails.end(), [](const auto& one) { return one != nullptr; });
  }));
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(number(thumbnails[i]), wanted[i]);
    EXPECT_EQ(thumbnails[i]->width, VideoFrames::kThumbnailSide);
    EXPECT_EQ(thumbnails[i]->height, 64);
  }
  EXPECT_GT(woken, 3);
  EXPECT_EQ(number(read(frames, 10)), 10);
}

TEST_F(VideoFramesTest, BeyondTheEndThereIsNothingAndTheThreadRests) {
  VideoFrames frames(video("a.avi"));
  EXPECT_EQ(frames.frame(kFrames + 5), nullptr);
  ASSERT_TRUE(wait([&] { return !frames.is_busy(); }));
  EXPECT_EQ(frames.frame(kFrames + 5), nullptr);
  EXPECT_EQ(frames.count(), kFrames);
  EXPECT_EQ(frames.problem(), "");
}

TEST_F(VideoFramesTest, DamagedVideosEndEarlyAndOthersAreRefused) {
  const std::filesystem::path whole = video("a.avi"), cut = folder_ / "cut.avi";
  std::filesystem::copy_file(whole, cut);
  std::filesystem::resize_file(cut, std::filesystem::file_size(whole) / 2);
  VideoFrames frames(cut);
  EXPECT_EQ(number(read(frames, 5)), 5);
  ASSERT_TRUE(wait([&] { return !frames.is_busy(); }));
  EXPECT_LT(frames.count(), kFrames);
  EXPECT_GT(frames.count(), 5);
  std::ofstream(folder_ / "text.mp4") << "no video";
  EXPECT_EQ(error_of([&] { VideoFrames(folder_ / "text.mp4"); }, "cannot be read as a video"), ExitCode::kBadInput);
}

TEST_F(VideoFramesTest, ARangeIsSavedWholeOrNotAtAll) {
  const std::filesystem::path whole = video("a.avi"), part = folder_ / "part.avi";
  int64_t told = 0;
  save_video_range(whole, 10, 19, part, {}, [&](int64_t done) { told = done; });
  EXPECT_EQ(told, 10);
  VideoFrames frames(part);
  for (const int64_t index : {0, 9}) EXPECT_EQ(number(read(frames, index)), 10 + index);
  ASSERT_TRUE(wait([&] { return !frames.is_busy(); }));
  EXPECT_EQ(frames.count(), 10);
  EXPECT_DOUBLE_EQ(frames.frames_per_second(), 12);

  const std::filesystem::path other = folder_ / "other.avi";
  EXPECT_EQ(error_of([&] { save_video_range(whole, 50, 80, other, {}); }, "ends after 60 frames"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { save_video_range(whole, 5, 4, other, {}); }, "no range"), ExitCode::kBadInput);
  EXPECT_EQ(error_of([&] { save_video_range(whole, 0, 4, folder_ / "a.gif", {}); }, ".avi"), ExitCode::kBadInput);
  std::stop_source stop;
  EXPECT_THROW(save_video_range(whole, 0, 40, other, stop.get_token(), [&](int64_t) { stop.request_stop(); }), Interrupted);
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) EXPECT_TRUE(entry.path() == whole || entry.path() == part) << entry.path();
}

}  // namespace
}  // namespace attelier
