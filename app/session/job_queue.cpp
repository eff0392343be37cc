#include "app/session/job_queue.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "app/session/failure.h"
#include "app/session/machine.h"
#include "app/session/model_cache.h"
#include "app/session/progress_estimate.h"
#include "app/session/queued_job.h"
#include "app/session/run.h"
#include "app/session/tensor_memory.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPreviewPause{250}, kWakePause{50}, kLookPause{500};
constexpr int64_t kThumbnailSide = 160;

double seconds(Clock::time_point time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

/// Empty where it cannot be made: a job does not fail for its thumbnail.
std::string thumbnail_png(const Image& picture) try {
  if (picture.pixels.empty()) return {};
  const int64_t longest = std::max(picture.width, picture.height);
  if (longest <= kThumbnailSide) return encode_png(picture);
  const auto side = [&](int64_t length) { return std::max<int64_t>(1, (length * kThumbnailSide + longest / 2) / longest); };
  return encode_png(resize_lanczos(picture, side(picture.width), side(picture.height)));
} catch (const std::exception&) {
  return {};
}

std::string thumbnail_png(const fs::path& file) try {
  return thumbnail_png(load_image(file, {65536, int64_t{1} << 25}));
} catch (const std::exception&) {
  return {};
}

/// Seconds of each stage per batch in the newest finished job of this method and model.
std::map<std::string, double> past_stages(const Journal& journal, const Job& job) {
  JournalSearch search;
  search.method = job.method->name;
  search.limit = 20;
  for (const JournalEntry& entry : journal.history(search)) {
    if (entry.state != JobState::kDone || entry.model != job.model || !entry.record.is_object() || !entry.record.contains("stages")) continue;
    const Json& stages = entry.record["stages"];
    const Json params = entry.job.is_object() ? entry.job.value("params", Json::object()) : Json::object();
    std::map<std::string, double> past;
    for (const auto& [name, value] : stages.items())
      if (value.is_number()) past[name] = value.get<double>() / static_cast<double>(batches_of(params));
    return past;
  }
  return {};
}

}  // namespace

struct JobQueue::Worker {
  Worker(Journal& the_journal, std::function<void()> the_wake, JobQueueOptions the_options)
      : journal(the_journal), wake(std::move(the_wake)), options(std::move(the_options)), paused(options.paused) {
    journal.on_change([this] {
      const std::lock_guard guard(mutex);
      pending = true;
      changed.notify_all();
    });
    worker = std::thread([this] { work(); });
    watcher = std::thread([this] { watch(); });
  }

  ~Worker() {
    journal.on_change({});
    {
      const std::lock_guard guard(mutex);
      quitting = true;
      stop.request_stop();
      changed.notify_all();
    }
    worker.join();
    watcher.join();
  }

  void work() {
    if (options.niceness != 0) setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), options.niceness);
    bool has_worked = false;
    while (true) {
      {
        std::unique_lock lock(mutex);
        busy = false;
        changed.notify_all();
        changed.wait(lock, [this] { return quitting || (pending && !paused && journal.owns_queue()); });
        if (quitting) return;
        pending = false;
        busy = true;
      }
      try {
        if (const std::optional<JournalEntry> entry = journal.start_next()) {
          run(*entry);
          has_worked = true;
        } else if (std::exchange(has_worked, false)) {
          give_back_freed_memory();
        }
      } catch (const std::exception& error) {
        stumble(error.what());
      }
    }
  }

  /// What other processes change: the end of their ownership, new jobs, jobs that they cancel.
  void watch() {
    int64_t seen = journal.version();
    std::unique_lock lock(mutex);
    while (!quitting) {
      changed.wait_for(lock, kLookPause, [this] { return quitting; });
      if (quitting) return;
      const int64_t id = running;
      const bool late = std::exchange(wake_owed, false);
      lock.unlock();
      bool news = late;
      try {
        if (!journal.owns_queue() && journal.take_queue()) news = true;
        if (const int64_t version = journal.version(); version != seen) {
          seen = version;
          news = true;
          const bool cancelled_elsewhere = id != 0 && journal.entry(id).state == JobState::kCancelled;
          const std::lock_guard guard(mutex);
          pending = true;
          if (cancelled_elsewhere && running == id) {
            cancelled = true;
            stop.request_stop();
          }
          changed.notify_all();
        }
      } catch (const Error&) {
        // The worker meets the same error when it needs the journal, and tells it.
      }
      if (news) call_wake();
      lock.lock();
    }
  }

  void stumble(const std::string& text) {
    {
      const std::lock_guard guard(mutex);
      paused = true;
      trouble = text;
    }
    call_wake();
  }

  void call_wake() {
    if (wake) wake();
  }

  /// What became of one job.
  struct Outcome {
    JobState state = JobState::kDone;
    int code = 0;
    std::string error;
    Json record;
    std::vector<fs::path> files;
    std::string thumbnail;
  };

  void run(const JournalEntry& entry) {
    {
      const std::lock_guard guard(mutex);
      running = entry.id;
      report = {};
      report.id = entry.id;
      started = Clock::now();
      stop = std::stop_source();
      cancelled = after_picture = false;
      preview.reset();
      estimate.reset();
      if (quitting) stop.request_stop();
    }
    call_wake();
    const Outcome outcome = attempt(entry);
    std::string problem;
    try {
      if (outcome.state == JobState::kDone)
        journal.set_done(entry.id, outcome.record, outcome.files);
      else
        journal.set_failed(entry.id, outcome.state, outcome.code, outcome.error, outcome.files);
      if (!outcome.thumbnail.empty()) journal.set_thumbnail(entry.id, outcome.thumbnail);
    } catch (const std::exception& error) {
      problem = error.what();
    }
    {
      const std::lock_guard guard(mutex);
      running = 0;
      report = {};
      preview.reset();
      pending = true;
    }
    if (!problem.empty()) return stumble(problem);
    call_wake();
  }

  Outcome attempt(const JournalEntry& entry) {
    Outcome outcome;
    try {
      const Job job = parse_job(entry.job, {fmt::format("job {}", entry.id), "", {}});
      const int64_t pictures = pictures_of(job.params);
      {
        const std::lock_guard guard(mutex);
        // What an earlier run left over is made picture by picture.
        const int64_t left = std::max<int64_t>(1, pictures - std::ssize(entry.files));
        estimate.emplace(entry.files.empty() ? batches_of(job.params) : left, past_stages(journal, job), seconds(started));
      }
      RunHooks hooks;
      hooks.models = &models;
      hooks.finished = entry.files;
      const std::shared_ptr<AttentionWatch> watch = take_watch(entry.id);
      hooks.watch = watch.get();
      hooks.picture = [&](const fs::path& file, const Image& picture) {
        if (outcome.files.empty()) outcome.thumbnail = thumbnail_png(picture);
        outcome.files.push_back(file);
        remember(entry.id, file, outcome.files.size() == 1 ? outcome.thumbnail : std::string());
        const std::lock_guard guard(mutex);
        ++report.pictures;
        if (after_picture && report.pictures < pictures) {
          cancelled = true;
          stop.request_stop();
        }
      };
      Context context = make_context(entry.id);
      JobResult result = run_job(job, context, nullptr, hooks);
      outcome.record = std::move(result.record);
      if (outcome.thumbnail.empty() && !outcome.files.empty()) outcome.thumbnail = thumbnail_png(outcome.files.front());
    } catch (...) {
      const Error error = as_error(std::current_exception());
      outcome.code = static_cast<int>(error.code());
      outcome.error = error.what();
      outcome.state = JobState::kFailed;
      if (error.code() == ExitCode::kInterrupted) {
        const std::lock_guard guard(mutex);
        outcome.state = cancelled ? JobState::kCancelled : JobState::kInterrupted;
        outcome.error = cancelled ? fmt::format("cancelled after {} finished pictures", outcome.files.size()) : "the program was closed while it ran";
      }
    }
    return outcome;
  }

  /// So that a finished picture is known even if the program dies before the job ends.
  void remember(int64_t id, const fs::path& file, const std::string& thumbnail) try {
    journal.add_file(id, file);
    if (!thumbnail.empty()) journal.set_thumbnail(id, thumbnail);
  } catch (const Error&) {
    // The job goes on. What ails the journal is told when the job ends; another process may also have cancelled it.
  }

  /// The worker cannot look for the watch before it is there.
  int64_t add_watched(const Job& job, std::shared_ptr<AttentionWatch> watch) {
    const std::lock_guard guard(watches_mutex);
    const int64_t id = journal.add(job.to_json(), title_of(job));
    if (watch) watches[id] = std::move(watch);
    return id;
  }

  std::shared_ptr<AttentionWatch> take_watch(int64_t id) {
    const std::lock_guard guard(watches_mutex);
    const auto found = watches.find(id);
    if (found == watches.end()) return nullptr;
    const std::shared_ptr<AttentionWatch> watch = found->second;
    watches.erase(found);
    return watch;
  }

  Context make_context(int64_t id) {
    Context context;
    {
      const std::lock_guard guard(mutex);
      context.stop = stop.get_token();
    }
    context.log = [this, id](LogLevel level, const std::string& text) {
      if (options.log) options.log(id, level, text);
    };
    // A preview is shown once its step is known not to be the last one.
    auto made = std::make_shared<std::pair<int64_t, at::Tensor>>();
    context.preview = [made](int64_t step, const at::Tensor& picture) { *made = {step, picture}; };
    context.progress = [this, id, made](const Progress& progress) {
      const Clock::time_point now = Clock::now();
      std::optional<Preview> fresh;
      if (const at::Tensor picture = std::exchange(made->second, {}); picture.defined() && progress.done < progress.total && now - last_preview >= kPreviewPause) {
        last_preview = now;
        fresh = Preview{id, made->first, to_image(picture.slice(0, 0, 1))};
      }
      bool due = false;
      {
        const std::lock_guard guard(mutex);
        report.stage = progress.stage;
        report.done = progress.done;
        report.total = progress.total;
        estimate->report(report.stage, progress.done, progress.total, seconds(now));
        if (fresh) preview = std::move(fresh);
        due = now - last_wake >= kWakePause;
        if (due) last_wake = now;
        wake_owed = !due;
      }
      if (due) call_wake();
    };
    return context;
  }

  Journal& journal;
  const std::function<void()> wake;
  const JobQueueOptions options;
  ModelCache models;
  Clock::time_point last_preview{}, last_wake{};  // of the worker alone

  mutable std::mutex mutex;  // of everything below
  std::condition_variable changed;
  bool paused, quitting = false, busy = false, cancelled = false, after_picture = false, wake_owed = false;
  bool pending = true;  // the journal may hold something to run
  int64_t running = 0;
  JobReport report;
  std::optional<ProgressEstimate> estimate;
  std::optional<Preview> preview;
  std::string trouble;
  std::stop_source stop;
  Clock::time_point started;
  std::mutex watches_mutex;
  std::map<int64_t, std::shared_ptr<AttentionWatch>> watches;  // by job; taken when it begins
  std::thread worker, watcher;
};

JobQueue::JobQueue(Journal& journal, std::function<void()> wake, JobQueueOptions options)
    : worker_(std::make_unique<Worker>(journal, std::move(wake), std::move(options))) {}
JobQueue::~JobQueue() = default;

int64_t JobQueue::add(const Job& job, bool first, std::shared_ptr<AttentionWatch> watch) {
  if (job.output.folder == "-") fail(ExitCode::kUsage, "a job of the queue writes its pictures into a folder, not to standard output; choose one");
  const Job whole = with_absolute_paths(job);
  plan_job(whole);
  Journal& journal = worker_->journal;
  const int64_t id = worker_->add_watched(whole, std::move(watch));
  if (!first) return id;
  for (const JournalEntry& entry : journal.queue()) {
    if (entry.state != JobState::kQueued || entry.id == id) continue;
    try {
      journal.move(id, entry.id);
    } catch (const Error&) {
      // It has begun meanwhile, or the other one has: nothing to pass any more.
    }
    break;
  }
  return id;
}

int64_t JobQueue::duplicate(int64_t id, std::optional<int64_t> seed) {
  Job job = parse_job(worker_->journal.entry(id).job, {fmt::format("job {}", id), "", {}});
  if (seed) {
    if (!job.params.contains("seed")) fail(ExitCode::kUsage, "{} draws nothing: it has no seed to change", job.method->name);
    job.params["seed"] = *seed;
  }
  return add(job);
}

void JobQueue::cancel(int64_t id, StopVerb verb) {
  Worker& w = *worker_;
  {
    const std::lock_guard guard(w.mutex);
    if (w.running == id) {
      if (verb == StopVerb::kAfterPicture) {
        w.after_picture = true;
      } else {
        w.cancelled = true;
        w.stop.request_stop();
      }
      return;
    }
  }
  const JobState state = w.journal.entry(id).state;
  if (state == JobState::kQueued || state == JobState::kInterrupted || state == JobState::kRunning)
    w.journal.set_failed(id, JobState::kCancelled, static_cast<int>(ExitCode::kInterrupted), state == JobState::kRunning ? "cancelled" : "cancelled before it ran");
}

void JobQueue::pause(bool paused) {
  const std::lock_guard guard(worker_->mutex);
  worker_->paused = paused;
  if (!paused) {
    worker_->trouble.clear();
    worker_->pending = true;
  }
  worker_->changed.notify_all();
}

bool JobQueue::is_paused() const {
  const std::lock_guard guard(worker_->mutex);
  return worker_->paused;
}

bool JobQueue::is_idle() const {
  const Worker& w = *worker_;
  const std::lock_guard guard(w.mutex);
  return !w.busy && (!w.pending || w.paused || !w.journal.owns_queue());
}

std::string JobQueue::trouble() const {
  const std::lock_guard guard(worker_->mutex);
  return worker_->trouble;
}

void JobQueue::free_model() { worker_->models.clear(); }

JobReport JobQueue::report() const {
  const Worker& w = *worker_;
  const Clock::time_point now = Clock::now();
  JobReport report;
  {
    const std::lock_guard guard(w.mutex);
    report = w.report;
    if (report.id != 0) {
      report.elapsed_seconds = seconds(now) - seconds(w.started);
      if (w.estimate) report.remaining_seconds = w.estimate->remaining(seconds(now));
    }
  }
  report.memory_bytes = resident_memory();
  return report;
}

std::optional<JobQueue::Preview> JobQueue::take_preview() {
  const std::lock_guard guard(worker_->mutex);
  return std::exchange(worker_->preview, std::nullopt);
}

void JobQueue::wait() {
  Worker& w = *worker_;
  std::unique_lock lock(w.mutex);
  w.changed.wait(lock, [&w] { return !w.busy && (!w.pending || w.paused || !w.journal.owns_queue()); });
}

}  // namespace attelier
