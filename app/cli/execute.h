// What the verbs that run jobs share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/cli/console.h"
#include "app/cli/flags.h"
#include "app/session/job.h"

namespace attelier {

struct ExecuteOptions {
  bool print_job = false, dry_run = false, json = false;
};
void add_execute_flags(CLI::App& verb, ExecuteOptions& options);

/// A checked job and where each of its values came from.
struct PreparedJob {
  Job job;
  std::map<std::string, std::string> origins;
};

/// The values that all layers of settings give to a document, which is an object; not checked yet.
MergedSettings merge_settings(const JobDocument& document, const SettingFlags& flags);
/// The job of a document (or of a bare method), under all layers of settings.
PreparedJob prepare_job(const JobDocument& document, const SettingFlags& flags);

/// Prints the job, its plan, or runs it; the files' names (or, with --json, the record) go to standard output. Returns the record, null if nothing ran.
Json execute_job(const PreparedJob& prepared, const ExecuteOptions& options, Invocation& invocation);

/// Several jobs after each other: one that fails, for whatever reason, does not stop the others. The exit code is that of a lone job or of jobs that all fail, kSomeFailed
/// otherwise.
class JobBatch {
 public:
  JobBatch(Invocation& invocation, size_t count) : invocation_(invocation), count_(count), records_(Json::array()) {}
  /// `job` gives the record to be printed, or null. A lone job's errors, and interruptions, pass through.
  void run(const std::string& name, const std::function<Json()>& job);
  void finish(const ExecuteOptions& options);

 private:
  Invocation& invocation_;
  size_t count_, failed_ = 0;
  ExitCode code_ = ExitCode::kOk;
  Json records_;
};

}  // namespace attelier
