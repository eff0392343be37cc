// Pictures read from files on threads of their own, so that no frame waits for a disk: whole ones for the canvas, small ones for lists.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/desktop/picture.h"

namespace attelier::desktop {

/// Asked from the window's thread alone, on which the pictures (and their textures) also die.
class PictureLoader {
 public:
  /// `wake` is called when something was loaded.
  explicit PictureLoader(std::function<void()> wake);
  ~PictureLoader();

  /// The picture of a file, null while it is being read and for files that are none. Read again when the file changed.
  SharedPicture picture(const std::filesystem::path& file) { return find(file, kWhole); }
  /// The same, its longest side at most kThumbnailSide.
  SharedPicture thumbnail(const std::filesystem::path& file) { return find(file, kSmall); }
  /// A small PNG under a name of its own; null while it is read, and where `png` (called once, on another thread) gives none.
  SharedPicture from_bytes(const std::string& name, std::function<std::string()> png);
  /// Why a file could not be read, "" if nothing is known against it.
  std::string problem(const std::filesystem::path& file) const;
  /// True while something waits or is being read.
  bool is_busy() const;

  static constexpr int64_t kThumbnailSide = 160;
  /// Bytes of pictures and of thumbnails, with their textures, that are kept although nobody shows them.
  static constexpr std::array<int64_t, 2> kMostBytes = {int64_t{256} << 20, int64_t{64} << 20};

 private:
  /// A whole picture may take seconds; thumbnails do not wait for it.
  enum Lane { kWhole, kSmall };
  using Key = std::pair<std::string, Lane>;  // file or name
  using Source = std::function<SharedPicture()>;
  struct Entry {
    SharedPicture picture;
    std::string problem;
    std::filesystem::file_time_type changed{};
    bool requested = false;
    uint64_t used = 0;
  };
  struct Requests {
    std::deque<std::pair<Key, Source>> waiting;
    bool reading = false;
    std::condition_variable_any changed;
  };

  SharedPicture find(const std::filesystem::path& file, Lane lane);
  void request(Entry& entry, const Key& key, Source source);
  void work(Lane lane, const std::stop_token& stop);
  void forget_old(Lane lane);

  std::function<void()> wake_;
  mutable std::mutex mutex_;  // of everything below
  std::array<Requests, 2> requests_;
  std::map<Key, Entry> entries_;
  std::vector<SharedPicture> replaced_;  // by newer ones; they die on the window's thread
  std::array<bool, 2> grown_{};
  uint64_t clock_ = 0;
  std::array<std::jthread, 2> threads_;
};

}  // namespace attelier::desktop
