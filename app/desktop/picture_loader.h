// Pictures read from files on a thread of its own, so that no frame waits for a disk: whole ones for the canvas, small ones for lists.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "app/desktop/canvas.h"

namespace attelier::desktop {

class PictureLoader {
 public:
  /// `wake` is called when something was loaded.
  explicit PictureLoader(std::function<void()> wake);
  ~PictureLoader();

  /// The picture of a file, null while it is being read and for files that are none. Read again when the file changed.
  SharedPicture picture(const std::filesystem::path& file) { return find(file, false); }
  /// The same, its longest side at most kThumbnailSide.
  SharedPicture thumbnail(const std::filesystem::path& file) { return find(file, true); }
  /// A small PNG from memory under a name of its own.
  SharedPicture from_bytes(const std::string& name, const std::function<std::string()>& png);
  /// Why a file could not be read, "" if nothing is known against it.
  std::string problem(const std::filesystem::path& file) const;
  /// True while something waits or is being read.
  bool is_busy() const;

  static constexpr int64_t kThumbnailSide = 160;

 private:
  struct Entry {
    SharedPicture picture;
    std::string problem;
    std::filesystem::file_time_type changed{};
    bool requested = false;
    uint64_t used = 0;
  };
  using Key = std::pair<std::string, bool>;  // file, is thumbnail

  SharedPicture find(const std::filesystem::path& file, bool small);
  void work(std::stop_token stop);
  void forget_old();

  std::function<void()> wake_;
  mutable std::mutex mutex_;
  std::condition_variable_any waiting_;
  std::deque<Key> requests_;
  bool reading_ = false;
  std::map<Key, Entry> entries_;
  uint64_t clock_ = 0;
  std::jthread thread_;
};

}  // namespace attelier::desktop
