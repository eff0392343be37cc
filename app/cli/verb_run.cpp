// attelier run JOB...: job files, pictures that carry their job, records, or standard input.
#include "app/cli/execute.h"
#include "app/session/json_text.h"

namespace attelier {
namespace {

struct State {
  std::vector<std::string> jobs;
  SettingFlags flags;
  ExecuteOptions options;
};

/// Runs all jobs; one that fails does not stop the others. The exit code is that of a lone job or of jobs that all fail, kSomeFailed otherwise.
void run_all(const State& state, Invocation& invocation) {
  Json records = Json::array();
  ExitCode code = ExitCode::kOk;
  size_t failed = 0;
  for (const std::string& path : state.jobs) {
    try {
      records.push_back(execute_job(prepare_job(load_job(path), state.flags), state.options, invocation));
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      if (state.jobs.size() == 1) throw;
      invocation.console.log(LogLevel::kError, error.what());
      records.push_back({{"job", path}, {"error", error.what()}, {"exit_code", static_cast<int>(error.code())}});
      if (failed++ == 0) code = error.code();
    }
  }
  const bool printed = state.options.print_job || state.options.dry_run;
  if (state.options.json && !printed) fmt::print("{}\n", dump(state.jobs.size() == 1 ? records[0] : Json{{"jobs", records}}, 2));
  if (failed > 0) invocation.exit_code = static_cast<int>(failed == state.jobs.size() ? code : ExitCode::kSomeFailed);
}

}  // namespace

void add_run_verb(CLI::App& app, Invocation& invocation) {
  auto state = std::make_shared<State>();
  CLI::App* verb = app.add_subcommand("run", "Run jobs: JSON files, or pictures that carry their job");
  verb->add_option("jobs", state->jobs, "Job files, pictures that Attelier made, or - for standard input")->required()->type_name("JOB");
  state->flags.add_common(*verb, {"", "output", "run"});
  add_execute_flags(*verb, state->options);
  verb->footer("Examples:\n  attelier run night.job.json\n  attelier run picture.png --out again\n  attelier generate \"a cat\" --print-job | attelier run -");
  verb->callback([state, &invocation] { run_all(*state, invocation); });
}

}  // namespace attelier
