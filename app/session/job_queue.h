// Runs the journal's queue on a thread of its own, one job after the other, and tells how it goes. No window and no terminal: every face uses it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/session/job.h"
#include "app/session/journal.h"
#include "core/media/image.h"

namespace attelier {

enum class StopVerb { kNow /* discard */, kAfterPicture /* finish this picture, then stop */ };

/// The latest word of the running job; plain data.
struct JobReport {
  int64_t id = 0;  // 0 = nothing runs
  std::string stage;
  int64_t done = 0, total = 0;
  double elapsed_seconds = 0;
  std::optional<double> remaining_seconds;  // of the whole job, once two steps are known
  int64_t memory_bytes = 0;                 // of the process
  int64_t pictures = 0;                     // finished by this job
};

struct JobQueueOptions {
  bool paused = false;  // begins paused
  int niceness = 0;     // of the worker's threads, so that a window on the same cores comes first
  std::function<void(int64_t id, LogLevel level, const std::string& text)> log = {};  // what jobs say, from the worker
};

/// One job runs at a time, and only in the process that owns the journal's queue; when another owner goes, this queue takes over. The model of the last
/// job stays open. A job that fails, whatever of, leaves the queue with its error; the next one runs.
class JobQueue {
 public:
  /// `wake` is called from this object's threads after every change that a view shows, at most 20 times a second for progress. May be empty.
  explicit JobQueue(Journal& journal, std::function<void()> wake = {}, JobQueueOptions options = {});
  /// Stops the running job (it becomes kInterrupted and is offered again) and joins the worker.
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  /// Checks the job as run_job will see it (throws Error) and appends it, or puts it before all others that wait. `watch` sees its attention if this
  /// process runs it.
  int64_t add(const Job& job, bool first = false, std::shared_ptr<AttentionWatch> watch = nullptr);
  /// Adds the same job again; with `seed` with that seed.
  int64_t duplicate(int64_t id, std::optional<int64_t> seed = std::nullopt);
  /// The running one is stopped within a second (also where another process runs it), a waiting one leaves the queue as cancelled.
  void cancel(int64_t id, StopVerb verb = StopVerb::kNow);
  /// After the running job no other begins until resumed.
  void pause(bool paused);
  bool is_paused() const;
  bool is_idle() const;
  /// Why the queue paused itself: the journal could not be written (a full disk). "" after the next pause(false).
  std::string trouble() const;
  /// Closes the model that is kept for the next job.
  void free_model();

  JobReport report() const;
  /// The newest preview that was not taken yet: of job `id`, after step `step`, 8-bit, about the latent's size. At most four a second, none of the last
  /// step.
  struct Preview {
    int64_t id = 0, step = 0;
    Image image;
  };
  std::optional<Preview> take_preview();
  /// Waits until nothing runs and nothing waits that could run: while paused, or while another process owns the queue, until nothing runs here.
  void wait();

 private:
  struct Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace attelier
