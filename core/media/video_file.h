// Video files frame by frame through OpenCV. Sound is not carried.
#pragma once

#include <filesystem>
#include <memory>

#include "core/media/image.h"

namespace attelier {

/// By its name's ending: .mp4, .m4v, .mov, .avi, .mkv, .webm.
bool is_video_name(const std::filesystem::path& path);

class VideoReader {
 public:
  /// Throws Error(kBadInput) for files that OpenCV cannot open, also where this build has no video.
  explicit VideoReader(const std::filesystem::path& path);
  ~VideoReader();
  int64_t width() const;
  int64_t height() const;
  double frames_per_second() const;
  /// What the file says; 0 = unknown.
  int64_t frames() const;
  /// The next frame, RGB. False at the end.
  bool read(Image& frame);
  /// Passes over the next frame, which costs less than reading it. False at the end.
  bool skip();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class VideoWriter {
 public:
  /// MPEG-4 in .mp4, .m4v and .mov, motion JPEG in .avi and .mkv. Throws Error(kBadInput) for other names and sizes that the codec does not take.
  VideoWriter(const std::filesystem::path& path, int64_t width, int64_t height, double frames_per_second);
  ~VideoWriter();
  void write(const Image& frame);
  /// After the last frame.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attelier
