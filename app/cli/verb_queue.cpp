// attelier queue list|add|run|cancel|retry|clear and attelier history [WORDS]: the journal that the window shows.
#include <poll.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "app/cli/execute.h"
#include "app/session/job_queue.h"
#include "app/session/journal.h"
#include "core/base/json_text.h"

namespace attelier {
namespace {

struct State {
  std::vector<std::string> jobs;
  std::vector<int64_t> ids;
  std::string method;
  int64_t limit = 20;
  bool json = false, first = false;
  SettingFlags flags;
};

std::unique_ptr<Journal> journal_of(Invocation& invocation) {
  auto journal = std::make_unique<Journal>(Journal::default_file());
  if (!journal->warning().empty()) invocation.console.log(LogLevel::kWarning, journal->warning());
  return journal;
}

Json json_of(const JournalEntry& entry) {
  Json files = Json::array();
  for (const auto& file : entry.files) files.push_back(file.string());
  return {{"id", entry.id},           {"state", name(entry.state)},   {"title", entry.title},   {"job", entry.job},           {"created", entry.created}, {"started", entry.started},
          {"finished", entry.finished}, {"error_code", entry.error_code}, {"error", entry.error}, {"record", entry.record}, {"files", files},           {"rating", entry.rating}};
}

std::string time_text(int64_t time) {
  if (time == 0) return "-";
  const auto value = static_cast<std::time_t>(time);
  std::tm local{};
  localtime_r(&value, &local);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &local);
  return text;
}

/// At most `length` characters of one line.
std::string shortened(const std::string& text, size_t length) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.size() <= length) return line;
  while (length > 0 && (static_cast<unsigned char>(line[length]) & 0xc0) == 0x80) --length;
  return line.substr(0, length) + "...";
}

void print_entries(const std::vector<JournalEntry>& entries, const State& state) {
  if (state.json) {
    Json list = Json::array();
    for (const JournalEntry& entry : entries) list.push_back(json_of(entry));
    fmt::print("{}\n", dump(list, 2));
    return;
  }
  if (!entries.empty()) fmt::print("{:>6}  {:<11}  {:<16}  {:<10}  {}\n", "ID", "STATE", "TIME", "METHOD", "WHAT");
  for (const JournalEntry& entry : entries) {
    const int64_t time = entry.finished != 0 ? entry.finished : entry.started != 0 ? entry.started : entry.created;
    fmt::print("{:>6}  {:<11}  {:<16}  {:<10}  {}\n", entry.id, name(entry.state), time_text(time), shortened(entry.method, 10), shortened(entry.title, 70));
    if (!entry.error.empty() && entry.state == JobState::kFailed) fmt::print("{:>6}  {}\n", "", shortened(entry.error, 110));
    for (const auto& file : entry.files) fmt::print("{:>6}  {}\n", "", file.string());
  }
}

/// Tells what became of the jobs that were seen waiting.
class QueueOutcome {
 public:
  QueueOutcome(const Journal& journal, Console& console) : journal_(journal), console_(console) { look(); }

  /// Reports those that have ended since the last look.
  void look() {
    const int64_t version = journal_.version();
    if (std::exchange(version_, version) == version) return;
    const std::vector<int64_t> waiting = journal_.queue_ids();
    const std::set<int64_t> now(waiting.begin(), waiting.end());
    std::vector<int64_t> gone;
    std::set_difference(waiting_.begin(), waiting_.end(), now.begin(), now.end(), std::back_inserter(gone));
    waiting_ = now;
    for (const JournalEntry& entry : journal_.brief_entries(gone)) tell(entry);
  }

  /// As of JobBatch; jobs that somebody cancelled do not count.
  ExitCode code() const { return failed_ == 0 ? ExitCode::kOk : done_ == 0 ? code_ : ExitCode::kSomeFailed; }

 private:
  void tell(const JournalEntry& entry) {
    console_.clear_line();
    fmt::print("job {}: {}\n", entry.id, name(entry.state));
    if (entry.state == JobState::kDone) ++done_;
    if (entry.state != JobState::kFailed) return;
    console_.log(LogLevel::kError, fmt::format("job {}: {}", entry.id, entry.error));
    if (failed_++ == 0) code_ = static_cast<ExitCode>(entry.error_code);
  }

  const Journal& journal_;
  Console& console_;
  int64_t version_ = -1;
  std::set<int64_t> waiting_;
  size_t done_ = 0, failed_ = 0;
  ExitCode code_ = ExitCode::kOk;
};

/// Runs what waits until nothing is left, or until a signal. Only in the process that owns the queue.
void run_queue(Invocation& invocation) {
  const auto journal = journal_of(invocation);
  if (!journal->owns_queue()) fail(ExitCode::kTemporary, "{}: {} runs the queue already", journal->file().string(), journal->owner());
  QueueOutcome outcome(*journal, invocation.console);
  JobQueue queue(*journal, {}, {.log = [&](int64_t, LogLevel level, const std::string& text) { invocation.console.log(level, text); }});
  int64_t shown = 0;
  while (!queue.is_idle()) {
    if (invocation.stop.stop_requested()) throw Interrupted();
    const JobReport report = queue.report();
    if (report.id != 0 && report.id != std::exchange(shown, report.id)) invocation.console.log(LogLevel::kInfo, fmt::format("job {}: {}", report.id, journal->entry(report.id).title));
    if (report.id != 0 && !report.stage.empty()) invocation.console.report({report.stage, report.done, report.total});
    outcome.look();
    poll(nullptr, 0, 50);
  }
  outcome.look();
  invocation.console.clear_line();
  if (const std::string trouble = queue.trouble(); !trouble.empty()) fail(ExitCode::kBadInput, "{}", trouble);
  invocation.exit_code = static_cast<int>(outcome.code());
}

}  // namespace

void add_queue_verb(CLI::App& app, Invocation& invocation) {
  auto state = std::make_shared<State>();
  CLI::App* verb = app.add_subcommand("queue", "Jobs that wait: list, add, run, cancel, retry, clear");
  verb->require_subcommand(1);

  CLI::App* list = verb->add_subcommand("list", "What waits and runs, in order");
  list->add_flag("--json", state->json, "As JSON");
  list->callback([state, &invocation] { print_entries(journal_of(invocation)->queue(), *state); });

  CLI::App* add = verb->add_subcommand("add", "Append jobs: JSON files, or pictures that carry their job");
  add->add_option("jobs", state->jobs, "Job files, pictures that Attelier made, or - for standard input")->required()->type_name("JOB");
  add->add_flag("--first", state->first, "Before all others that wait");
  state->flags.add_common(*add, {"", "output", "run"});
  state->flags.add_preset(*add);
  add->callback([state, &invocation] {
    const auto journal = journal_of(invocation);
    JobQueue queue(*journal, {}, {.paused = true});
    for (const std::string& path : state->jobs) fmt::print("{}\n", queue.add(prepare_job(load_job(path), state->flags).job, state->first));
  });

  CLI::App* run = verb->add_subcommand("run", "Run what waits, until nothing is left");
  run->callback([&invocation] { run_queue(invocation); });

  CLI::App* cancel = verb->add_subcommand("cancel", "Take jobs out of the queue; a running one stops");
  cancel->add_option("ids", state->ids, "Numbers from `attelier queue list`")->required()->type_name("ID");
  cancel->callback([state, &invocation] {
    const auto journal = journal_of(invocation);
    JobQueue queue(*journal, {}, {.paused = true});
    for (const int64_t id : state->ids) queue.cancel(id);
  });

  CLI::App* retry = verb->add_subcommand("retry", "Put failed, cancelled and interrupted jobs back into the queue");
  retry->add_option("ids", state->ids, "Numbers from `attelier history`")->required()->type_name("ID");
  retry->callback([state, &invocation] {
    const auto journal = journal_of(invocation);
    for (const int64_t id : state->ids) journal->requeue(id);
  });

  CLI::App* clear = verb->add_subcommand("clear", "Forget everything that waits; the running job goes on");
  clear->callback([&invocation] {
    const auto journal = journal_of(invocation);
    for (const JournalEntry& entry : journal->queue())
      if (entry.state != JobState::kRunning) journal->remove(entry.id);
  });
  verb->footer("Examples:\n  attelier generate \"a cat\" --print-job | attelier queue add -\n  attelier queue run");
}

void add_history_verb(CLI::App& app, Invocation& invocation) {
  auto state = std::make_shared<State>();
  CLI::App* verb = app.add_subcommand("history", "Jobs that have run, newest first");
  verb->add_option("words", state->jobs, "Only those in whose prompt, method, model or file names all of these occur")->type_name("WORDS");
  verb->add_option("--method", state->method, "Only of this method");
  verb->add_option("--limit", state->limit, "At most so many")->capture_default_str()->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  verb->add_flag("--json", state->json, "As JSON, with jobs and records");
  verb->callback([state, &invocation] {
    JournalSearch search;
    for (const std::string& word : state->jobs) search.words += word + " ";
    search.method = state->method;
    search.limit = state->limit;
    search.brief = !state->json;
    print_entries(journal_of(invocation)->history(search), *state);
  });
}

}  // namespace attelier
