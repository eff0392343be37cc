// What the last run of the app left unfinished, offered once at the start: jobs that were interrupted, and the work in the form.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/desktop/picture_loader.h"
#include "app/desktop/theme.h"
#include "app/session/job_queue.h"

namespace attelier::desktop {

struct RecoveryCommands {
  std::function<void()> start_over;                        // the restored form is not wanted
  std::function<void(const std::string& problem)> failed;  // a command could not be carried out
};

class RecoveryDialog {
 public:
  RecoveryDialog(Journal& journal, JobQueue& queue, PictureLoader& loader) : journal_(journal), queue_(queue), loader_(loader) {}
  /// Opens if there is something. `form_saved`: when the form was saved that a crash left (seconds since 1970).
  void offer(std::optional<int64_t> form_saved);
  bool is_open() const { return open_; }
  void draw(const Theme& theme, const RecoveryCommands& commands);

 private:
  void draw_job(const JournalEntry& entry, const Theme& theme, const RecoveryCommands& commands);
  void again(const JournalEntry& entry, const RecoveryCommands& commands);
  void discard(const JournalEntry& entry, const RecoveryCommands& commands);

  Journal& journal_;
  JobQueue& queue_;
  PictureLoader& loader_;
  std::vector<JournalEntry> jobs_;
  std::optional<int64_t> form_saved_;
  bool open_ = false;
};

}  // namespace attelier::desktop
