// attelier run JOB...: job files, pictures that carry their job, records, or standard input.
#include "app/cli/execute.h"

namespace attelier {
namespace {

struct State {
  std::vector<std::string> jobs;
  SettingFlags flags;
  ExecuteOptions options;
};

void run_all(const State& state, Invocation& invocation) {
  JobBatch batch(invocation, state.jobs.size());
  for (const std::string& path : state.jobs) batch.run(path, [&] { return execute_job(prepare_job(load_job(path), state.flags), state.options, invocation); });
  batch.finish(state.options);
}

}  // namespace

void add_run_verb(CLI::App& app, Invocation& invocation) {
  auto state = std::make_shared<State>();
  CLI::App* verb = app.add_subcommand("run", "Run jobs: JSON files, or pictures that carry their job");
  verb->add_option("jobs", state->jobs, "Job files, pictures that Attelier made, or - for standard input")->required()->type_name("JOB");
  state->flags.add_common(*verb, {"", "output", "run"});
  state->flags.add_preset(*verb);
  add_execute_flags(*verb, state->options);
  verb->footer("Examples:\n  attelier run night.job.json\n  attelier run picture.png --out again\n  attelier generate \"a cat\" --print-job | attelier run -");
  verb->callback([state, &invocation] { run_all(*state, invocation); });
}

}  // namespace attelier
