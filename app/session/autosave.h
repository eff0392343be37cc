// What a person works on, saved behind their back, so that a crash costs two seconds of work.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "app/session/document.h"
#include "core/base/file_lock.h"

namespace attelier {

/// Saves two seconds after the last change and every minute while changes go on, into a folder of its own below `base`: the document as JSON, its masks
/// as PNG beside it, each whole or not at all, the five newest. Every instance of the program locks its own folder. Files are written on another
/// thread; what goes wrong there is told by trouble(), and tried again after a rest.
class Autosave {
 public:
  static constexpr double kPause = 2, kPeriod = 60;  // seconds
  static constexpr size_t kKept = 5;
  /// Throws Error(kBadInput) if no folder can be made or locked. `clock` gives seconds; empty = the steady clock.
  explicit Autosave(std::filesystem::path base = default_folder(), std::function<double()> clock = {});
  ~Autosave();
  Autosave(const Autosave&) = delete;
  Autosave& operator=(const Autosave&) = delete;
  /// $XDG_STATE_HOME/attelier/autosave
  static std::filesystem::path default_folder();
  const std::filesystem::path& folder() const { return folder_; }

  /// To be called after each change; cheap.
  void changed(const Document& document);
  /// To be called in every frame: saves when it is time. Seconds until it wants to be called again, nothing if there is nothing to save.
  std::optional<double> tick();
  /// Saves what is not saved yet and waits. Throws Error.
  void flush();
  std::string trouble() const { return trouble_; }

  struct Saved {
    Document document;
    int64_t time = 0;  // seconds since 1970
    std::filesystem::path file;
  };
  /// The newest whole one that an instance left which does not run any more (or this one); damaged ones are passed over. What crashed instances left
  /// is found whichever folder it lies in.
  std::optional<Saved> newest() const;
  /// Forgets what newest() looks at: after a restore, or when a person does not want it.
  void discard();

 private:
  void start_save();
  void collect();

  std::filesystem::path base_, folder_;
  std::function<double()> clock_;
  std::optional<FileLock> lock_;
  std::optional<Document> waiting_;
  Document saving_document_;  // comes back into waiting_ if it could not be written
  double last_change_ = 0, first_change_ = 0;
  int64_t number_ = 0;  // of the last file
  std::string trouble_;
  std::future<void> saving_;
};

}  // namespace attelier
