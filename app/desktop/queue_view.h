// The bottom of the window: what runs and waits, and what was made.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/desktop/picture_loader.h"
#include "app/desktop/theme.h"
#include "app/session/job_queue.h"
#include "app/session/journal_list.h"

namespace attelier::desktop {

/// What the user wants of an entry.
struct QueueCommands {
  std::function<void(int64_t id)> show;      // its first picture on the canvas
  std::function<void(int64_t id)> use;       // its settings into the form
  std::function<void(int64_t id)> compare;   // beside what the canvas shows
  std::function<void(int64_t id, const Method& method, const InputDescription& input)> use_as;  // its first picture as an input
  std::function<void(int64_t id)> keep;      // its first picture in the style library
  std::function<void(const std::string& problem)> failed;  // a command could not be carried out
};

class QueueView {
 public:
  QueueView(Journal& journal, JobQueue& queue, PictureLoader& loader) : journal_(journal), queue_(queue), loader_(loader), waiting_(journal), made_(journal) {}
  /// Reads the journal again when it changed; every frame, before draw().
  void refresh();
  /// The tabs of queue and history, in a tab bar that is open.
  void draw(const Theme& theme, const QueueCommands& commands);
  /// Progress of the running job in one line, "" if nothing runs.
  std::string progress_line() const;
  /// What was made and fits the search, the newest first.
  const JournalList& made() const { return made_; }
  int64_t selected() const { return selected_; }
  void select(int64_t id) { selected_ = id; }
  /// The selected entry with its job, null if there is none (any more).
  const JournalEntry* selected_entry();

 private:
  void draw_waiting(const Theme& theme, const QueueCommands& commands);
  void draw_made(const Theme& theme, const QueueCommands& commands);
  void draw_picture(const JournalEntry& entry, ImVec2 from, float side, const Theme& theme, const QueueCommands& commands);
  void menu(const JournalEntry& entry, const Theme& theme, const QueueCommands& commands);
  void guarded(const QueueCommands& commands, const std::function<void()>& work);

  Journal& journal_;
  JobQueue& queue_;
  PictureLoader& loader_;
  JournalList waiting_, made_;
  int64_t version_ = -1, selected_ = 0;
  std::optional<JournalEntry> selected_entry_;
  int64_t selected_version_ = -1;  // of the journal when selected_entry_ was read
  JournalSearch search_;
  std::string searched_, shown_words_;
};

/// "1 min 20 s".
std::string duration_text(double seconds);
/// "2026-07-31 14:05", of seconds since 1970.
std::string date_text(int64_t seconds);

}  // namespace attelier::desktop
