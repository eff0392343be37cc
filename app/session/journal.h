// What was asked for and what became of it: queue and history in one SQLite file, which survives the death of the program at any moment.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/parameters.h"

namespace attelier {

enum class JobState { kQueued, kRunning, kDone, kFailed, kCancelled, kInterrupted /* it ran when the program died */ };
std::string_view name(JobState state);

/// One job and its outcome.
struct JournalEntry {
  int64_t id = 0;
  JobState state = JobState::kQueued;
  double position = 0;  // order in the queue
  Json job;             // as Job::to_json()
  std::string title;    // for lists: the prompt, or the method and its inputs
  std::string method, model;
  int64_t created = 0, started = 0, finished = 0;  // seconds since 1970, 0 = not yet
  int error_code = 0;
  std::string error;                         // why it failed, for people
  Json record;                               // JobResult::record
  std::vector<std::filesystem::path> files;  // what it wrote
  int64_t rating = 0;                        // 0 to 5
};

/// What a search of the history wants. Empty = everything, newest first.
struct JournalSearch {
  std::string words;  // each must occur in title, method, model or file names; case does not matter
  std::string method;
  int64_t minimum_rating = 0;
  int64_t limit = 1000, offset = 0;
  bool brief = false;  // without `job` and `record`, which makes lists of thousands quick
};

/// Safe to use from several threads. One process at a time owns the file's queue (a lock beside it); a second one sees and adds, but does not run.
/// A damaged file is moved aside and a new one begun; a file that cannot be written (read-only, full disk, another program's, a newer version's) is
/// left alone, and this session's entries are kept in memory, beside those that could be read: warning() says so. Later errors are Error(kBadInput)
/// that name the file, and change nothing; Error(kUsage) is for an unknown id or a state that does not allow the change.
class Journal {
 public:
  /// Jobs that ran when the last owner died become kInterrupted.
  explicit Journal(const std::filesystem::path& file);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  /// $XDG_STATE_HOME/attelier/journal.sqlite
  static std::filesystem::path default_file();

  const std::filesystem::path& file() const;
  /// False where the entries are kept in memory alone.
  bool is_kept() const;
  bool owns_queue() const;
  /// Becomes the owner if there is none any more.
  bool take_queue();
  /// Who owns the queue if it is not this journal: "process 4711 on atelier".
  std::string owner() const;
  const std::string& warning() const;  // what opening had to say: moved aside, read-only; "" if nothing

  int64_t add(const Json& job, const std::string& title);
  JournalEntry entry(int64_t id) const;
  /// Queued, running and interrupted ones, in the order in which they run.
  std::vector<JournalEntry> queue() const;
  std::vector<int64_t> queue_ids() const;
  /// Finished ones.
  std::vector<JournalEntry> history(const JournalSearch& search = {}) const;
  std::vector<int64_t> history_ids(const JournalSearch& search = {}) const;
  /// These entries without their `job` and `record`, in this order; those that are not there (any more) are left out.
  std::vector<JournalEntry> brief_entries(const std::vector<int64_t>& ids) const;

  /// The first queued entry, which becomes the running one.
  std::optional<JournalEntry> start_next();
  void set_running(int64_t id);
  /// A picture that the running job finished: known from now on, whatever becomes of job and program.
  void add_file(int64_t id, const std::filesystem::path& file);
  void set_done(int64_t id, const Json& record, const std::vector<std::filesystem::path>& files);
  /// kFailed, kCancelled or kInterrupted; `files` are the pictures that were finished nevertheless, none = those of add_file().
  void set_failed(int64_t id, JobState state, int error_code, const std::string& error, const std::vector<std::filesystem::path>& files = {});
  /// Back into the queue: failed, cancelled and interrupted ones. The pictures that they finished stay theirs.
  void requeue(int64_t id);
  /// Before another waiting entry of the queue; 0 = to its end.
  void move(int64_t id, int64_t before);
  void rate(int64_t id, int64_t rating);
  /// Forgets entries; the pictures stay.
  void remove(int64_t id);

  /// A small PNG of an entry's first picture.
  void set_thumbnail(int64_t id, const std::string& png);
  std::string thumbnail(int64_t id) const;

  /// Rises with every change: views read again when it moved.
  int64_t version() const;
  /// Called after every change through this object, from the thread that made it. Empty = nobody listens.
  void on_change(std::function<void()> listener);

 private:
  struct Database;
  std::unique_ptr<Database> database_;
};

}  // namespace attelier
