// What has a course of time, under the canvas: the frames of a video, and the previews of a run from noise to picture. Moved to, they are what the canvas shows.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/desktop/actions.h"
#include "app/desktop/canvas.h"
#include "app/desktop/file_browser.h"
#include "app/desktop/overlays.h"
#include "app/desktop/theme.h"
#include "app/session/playhead.h"
#include "app/session/video_frames.h"

namespace attelier::desktop {

class Timeline {
 public:
  /// `wake` is called from other threads when a frame was read or saved.
  Timeline(std::function<void()> wake, FileBrowser& browser, Toasts& toasts) : wake_(std::move(wake)), browser_(browser), toasts_(toasts) {}

  /// Takes up a video and shows its first frame. Throws Error.
  void open(const std::filesystem::path& video);
  /// A preview of a run after `step`, as small as its latent, to be shown `scale` times as large; those of another run go.
  void add_preview(int64_t job, int64_t step, Image image, int64_t scale);
  void add_actions(Actions& actions);

  /// True while the canvas shows what is looked at here.
  bool is_shown() const { return shown_; }
  /// The canvas shows something else now.
  void leave();
  /// What the canvas shows while is_shown(), at `now` in seconds of the window's clock; the one before while a frame is being read.
  SharedPicture picture(double now);
  /// Until another frame is due; large when nothing plays.
  double seconds_to_next(double now) const;
  /// True once after something was opened: its tab comes to the front.
  bool wants_front() { return std::exchange(wants_front_, false); }
  std::string label() const;
  void draw(const Theme& theme, double now);

 private:
  struct Preview {
    int64_t step = 0;
    Image image;
  };

  bool is_empty() const { return playhead_.count() == 0; }
  void show(int64_t index);
  void open_again();
  std::string place() const;
  void draw_controls(const Theme& theme, double now);
  void draw_strip(const Theme& theme);
  /// The small picture of a place of the strip, null while it is being read.
  std::vector<SharedPicture> thumbnails(const std::vector<int64_t>& indices);
  void save_range();

  std::function<void()> wake_;
  FileBrowser& browser_;
  Toasts& toasts_;
  std::unique_ptr<VideoFrames> video_;
  std::filesystem::path set_aside_;  // the video that previews took the place of
  std::vector<Preview> previews_;  // where there is no video
  int64_t job_ = 0, scale_ = 1;
  Playhead playhead_;
  bool shown_ = false, wants_front_ = false;
  double now_ = 0;
  SharedPicture picture_;
  int64_t picture_index_ = -1;
  std::map<int64_t, SharedPicture> small_;
  struct Saving {
    std::atomic<int64_t> done = 0;
    std::atomic<bool> is_over = false;
    int64_t total = 0;
    std::string told, failed;  // once it is over
    std::jthread thread;
  };
  std::unique_ptr<Saving> saving_;
};

}  // namespace attelier::desktop
