// The bottom of the window: what runs and waits, and what was made.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/desktop/picture_loader.h"
#include "app/desktop/theme.h"
#include "app/session/job_queue.h"

namespace attelier::desktop {

/// What the user wants of an entry.
struct QueueCommands {
  std::function<void(int64_t id)> show;      // its first picture on the canvas
  std::function<void(int64_t id)> use;       // its settings into the form
  std::function<void(int64_t id)> compare;   // beside what the canvas shows
  std::function<void(const std::string& problem)> failed;  // a command could not be carried out
};

class QueueView {
 public:
  QueueView(Journal& journal, JobQueue& queue, PictureLoader& loader) : journal_(journal), queue_(queue), loader_(loader) {}
  /// Reads the journal again when it changed; every frame, before draw().
  void refresh();
  void draw(const Theme& theme, const QueueCommands& commands);
  /// Progress of the running job in one line, "" if nothing runs.
  std::string progress_line() const;
  const std::vector<JournalEntry>& waiting() const { return waiting_; }
  const std::vector<JournalEntry>& made() const { return made_; }
  int64_t selected() const { return selected_; }
  void select(int64_t id) { selected_ = id; }

 private:
  void draw_waiting(const Theme& theme, const QueueCommands& commands);
  void draw_made(const Theme& theme, const QueueCommands& commands);
  void menu(const JournalEntry& entry, const Theme& theme, const QueueCommands& commands);
  void guarded(const QueueCommands& commands, const std::function<void()>& work);

  Journal& journal_;
  JobQueue& queue_;
  PictureLoader& loader_;
  std::vector<JournalEntry> waiting_, made_;
  int64_t version_ = -1, selected_ = 0;
  JournalSearch search_;
  std::string searched_;
};

/// "1 min 20 s".
std::string duration_text(double seconds);
/// "2026-07-31 14:05", of seconds since 1970.
std::string date_text(int64_t seconds);

}  // namespace attelier::desktop
