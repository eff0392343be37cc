// attelier generate, attelier style, ...: a verb per method, its flags made from the method's own description.
#include "app/cli/execute.h"
#include "app/session/json_text.h"

namespace attelier {
namespace {

std::string examples(const Method& method) {
  std::string text = "Examples:";
  for (const std::string& example : method.examples) text += fmt::format("\n  attelier {} {}", method.name, example);
  return text;
}

void add_method_verb(CLI::App& app, const Method& method, Invocation& invocation) {
  struct State {
    SettingFlags flags;
    ExecuteOptions options;
  };
  auto state = std::make_shared<State>();
  CLI::App* verb = app.add_subcommand(method.name, method.summary);
  for (const InputDescription& input : method.inputs) state->flags.add_input(*verb, input);
  for (const ParameterDescription& parameter : method.parameters) state->flags.add_parameter(*verb, parameter);
  state->flags.add_common(*verb, {"", "output", "run"});
  add_execute_flags(*verb, state->options);
  verb->footer(examples(method));
  verb->callback([state, &method, &invocation] {
    const PreparedJob prepared = prepare_job({{{"method", method.name}}, "", ""}, state->flags);
    if (state->flags.random_seed()) invocation.console.log(LogLevel::kInfo, "seed " + dump(prepared.job.params["seed"]));
    const Json record = execute_job(prepared, state->options, invocation);
    if (state->options.json && !record.is_null() && prepared.job.output.folder != "-") fmt::print("{}\n", dump(record, 2));
  });
}

}  // namespace

void add_method_verbs(CLI::App& app, Invocation& invocation) {
  for (const Method* method : methods()) add_method_verb(app, *method, invocation);
}

}  // namespace attelier
