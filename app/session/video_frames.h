// The frames of a video in any order, read on a thread of their own: what a timeline shows.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/media/image.h"

namespace attelier {

class VideoReader;

/// Frames are counted from 0. Files can only be read forwards with certainty (jumps land on the wrong frame in some), so going back reads from the start
/// again; frames around the last one that was asked for stay in memory, and the next ones are read ahead.
class VideoFrames {
 public:
  using Frame = std::shared_ptr<const Image>;  // RGB
  static constexpr int64_t kAhead = 12, kBehind = 24;  // frames that are read beyond and before the one that is asked for
  static constexpr int64_t kThumbnailSide = 128;

  /// Opens the file; throws Error(kBadInput) for one that is no video. `wake` is called from the reading thread when something asked for is there; may be
  /// empty. `budget` bytes of frames are kept.
  explicit VideoFrames(const std::filesystem::path& path, std::function<void()> wake = {}, int64_t budget = int64_t{256} << 20);
  ~VideoFrames();

  const std::filesystem::path& path() const { return path_; }
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }
  double frames_per_second() const { return frames_per_second_; }
  /// What the file says, until the frames were seen: some files say nothing, or more than they hold.
  int64_t count() const;

  /// Null while it is being read; of several that are asked for the last one comes first. Null for ever beyond count().
  Frame frame(int64_t index);
  /// The frames that a strip shows, each null until it was read; its longest side is at most kThumbnailSide.
  std::vector<Frame> thumbnails(const std::vector<int64_t>& indices);
  /// True while something that was asked for is not there.
  bool is_busy();
  /// Why reading stopped before the end, "" if it did not.
  std::string problem() const;

 private:
  /// A place in the file from which reading goes on.
  struct Head {
    std::unique_ptr<VideoReader> reader;
    int64_t position = 0;  // the frame that comes next
  };
  /// Which head is to move towards which frame; none = nothing is asked for. Needs the lock.
  struct Target {
    Head* head = nullptr;
    int64_t index = 0;
  };

  void work(std::stop_token stop);
  Target next();
  bool is_past_end(int64_t index) const { return counted_ && index >= count_; }
  bool is_near(int64_t index) const { return index >= wanted_ - kBehind && index <= wanted_ + kAhead; }
  void keep(int64_t index, Image image);

  const std::filesystem::path path_;
  const std::function<void()> wake_;
  const int64_t budget_;
  int64_t width_ = 0, height_ = 0;
  double frames_per_second_ = 25;

  mutable std::mutex mutex_;
  std::condition_variable_any waiting_;
  Head near_, far_;       // around the frame that is looked at; for thumbnails and the end
  bool counted_ = false;  // the end was seen
  int64_t count_ = 0, wanted_ = 0;
  std::map<int64_t, Frame> frames_, thumbnails_;
  std::vector<int64_t> wanted_thumbnails_;  // ascending
  std::string problem_;
  std::jthread thread_;
};

/// Writes the frames `first` to `last` of a video as another one, of the kind that its name says. Whole or not at all: throws Error(kBadInput), and Interrupted
/// when stopped. `progress` gets the number of frames after each.
void save_video_range(const std::filesystem::path& video, int64_t first, int64_t last, const std::filesystem::path& file, const std::stop_token& stop,
                      const std::function<void(int64_t done)>& progress = {});

}  // namespace attelier
