// What the verbs that run jobs share.
#pragma once

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

/// The job of a document (or of a bare method), under all layers of settings.
PreparedJob prepare_job(const JobDocument& document, const SettingFlags& flags);

/// Prints the job, its plan, or runs it; the files' names (or, with --json, the record) go to standard output. Returns the record, null if nothing ran.
Json execute_job(const PreparedJob& prepared, const ExecuteOptions& options, Invocation& invocation);

}  // namespace attelier
