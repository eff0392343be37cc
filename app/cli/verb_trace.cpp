// attelier trace JOB.json --outputs trace.safetensors
#include "app/cli/execute.h"
#include "app/session/output_names.h"
#include "app/session/run.h"
#include "core/weights/tensor_file.h"

namespace attelier {

void add_trace_verb(CLI::App& app, Invocation& invocation) {
  struct State {
    std::string job, outputs;
    SettingFlags flags;
  };
  auto state = std::make_shared<State>();
  CLI::App* verb = app.add_subcommand("trace", "Run a job and keep its timesteps, latents and predictions as tensors");
  verb->add_option("job", state->job, "A job file, a picture that Attelier made, or - for standard input")->required()->type_name("JOB");
  verb->add_option("--outputs", state->outputs, "The safetensors file to write; no picture is written")->required()->type_name("FILE");
  state->flags.add_common(*verb, {"", "run"});
  verb->footer("Example:\n  attelier trace style.job.json --outputs trace.safetensors");
  verb->callback([state, &invocation] {
    const PreparedJob prepared = prepare_job(load_job(state->job), state->flags);
    const std::filesystem::path outputs = state->outputs;
    check_folder(outputs.has_parent_path() ? outputs.parent_path() : ".", 1 << 20);
    Context context = invocation.context();
    Trace trace;
    run_job(prepared.job, context, &trace);
    write_safetensors(outputs, trace.tensors());
    invocation.console.clear_line();
    fmt::print("{}\n", outputs.string());
  });
}

}  // namespace attelier
