// The table of verbs, the exit codes, and the first screen of help.
#include <ATen/ATen.h>

#include <csignal>
#include <cstdio>
#include <new>

#include "app/cli/console.h"
#include "app/session/failure.h"
#include "app/session/machine.h"
#include "core/base/error.h"
#include "core/base/parameters.h"
#include "core/weights/weights_error.h"

namespace attelier {
namespace {

int failed(ExitCode code, const std::string& message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return static_cast<int>(code);
}

/// Runs `work` and turns what it throws into an exit code.
int guarded(const std::function<void()>& work, Invocation& invocation, const bool& verbose) {
  int code = 0;
  std::string message;
  const auto note = [&](ExitCode exit_code, const std::string& text) {
    invocation.console.clear_line();
    code = failed(exit_code, text);
  };
  try {
    work();
    code = invocation.exit_code;
  } catch (const Interrupted&) {
    note(Invocation::signal_received() == SIGTERM ? ExitCode::kTerminated : ExitCode::kInterrupted, fmt::format("interrupted; {}", invocation.what_stays));
  } catch (const WeightsError& error) {
    note(error.code(), verbose ? error.full() : error.is_shortened() ? fmt::format("{}\n  -v names all of them", error.what()) : error.what());
  } catch (...) {
    const Error error = as_error(std::current_exception());
    note(error.code(), error.what());
  }
  if (std::fflush(stdout) != 0 && code == 0) code = failed(ExitCode::kBadInput, "standard output cannot be written");
  return code;
}

/// At most 25 lines: what there is, and three things to try.
std::string first_screen(const CLI::App& app) {
  std::string text = app.get_description() + "\n\nUsage: attelier VERB [ARGUMENTS]\n\n";
  // Verbs that few need share a line.
  const std::map<std::string, std::pair<std::string, std::string>> shared = {
      {"trace", {"", ""}},
      {"forward", {"", ""}},
      {"attend", {"", ""}},
      {"bench", {"forward, attend, trace, bench", "Hold any part against other software; measure it"}},
      {"queue", {"queue, history", "Jobs that wait, and what was made"}},
      {"history", {"", ""}},
      {"models", {"models, styles", "The models and the styles that you keep"}},
      {"styles", {"", ""}},
      {"meta", {"meta, config", "Jobs in pictures; settings and where they come from"}},
      {"config", {"", ""}}};
  for (const CLI::App* verb : app.get_subcommands({})) {
    const auto found = shared.find(verb->get_name());
    if (found == shared.end()) text += fmt::format("  {:<9} {}\n", verb->get_name(), verb->get_description());
    else if (!found->second.first.empty()) text += fmt::format("  {}: {}\n", found->second.first, found->second.second);
  }
  return text +
         "\nExamples:\n"
         "  attelier generate \"a red house by the sea\"\n"
         "  attelier style --content assets/examples/chelsea.png --style assets/examples/coffee.png\n"
         "  attelier run picture.png           repeats the picture from the job that it carries\n"
         "\nattelier VERB --help explains a verb, --help-all all of them; --version names what this runs on.\n";
}

const CLI::App* innermost(const CLI::App& app) {
  const CLI::App* verb = &app;
  while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().back();
  return verb;
}

/// "attelier meta show".
std::string full_name(const CLI::App& verb) { return verb.get_parent() == nullptr ? verb.get_name() : full_name(*verb.get_parent()) + " " + verb.get_name(); }

/// What to say about an argument that nothing expected, with the nearest flag or verb.
std::string unexpected_argument(const CLI::App& verb, const std::string& argument) {
  std::vector<std::string> names;
  const bool is_flag = argument.starts_with("-");
  if (is_flag) {
    for (const CLI::Option* option : verb.get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  } else {
    for (const CLI::App* one : verb.get_subcommands({})) names.push_back(one->get_name());
  }
  const std::string text = argument.substr(0, std::min<size_t>(argument.find('='), 100));
  const std::string near = nearest_name(text, names);
  const std::string what = fmt::format("{} does not know {}", full_name(verb), Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!near.empty()) return fmt::format("{}; did you mean {}?", what, near);
  if (!is_flag && !names.empty()) return fmt::format("{}; there are {}", what, fmt::join(names, ", "));
  return fmt::format("{}; see {} --help", what, full_name(verb));
}

bool has_verb(const CLI::App& app, const std::string& name) {
  return !app.get_subcommands([&](const CLI::App* verb) { return verb->get_name() == name; }).empty();
}

/// Every verb takes -q and -v.
void add_console_flags(CLI::App& app, Console& console, bool& verbose) {
  for (CLI::App* verb : app.get_subcommands({})) {
    verb->add_flag_callback("-q,--quiet", [&console] { console.set_quiet(true); }, "No progress, only warnings and errors");
    verb->add_flag_callback("-v,--verbose", [&console, &verbose] { console.set_verbose(verbose = true); }, "More messages, and all of what is listed");
    add_console_flags(*verb, console, verbose);
  }
}

void parse_and_run(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForAllHelp&) {
    fmt::print("{}", app.help("", CLI::AppFormatMode::All));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.get_subcommands().empty() ? first_screen(app) : app.help());
  } catch (const CLI::ParseError& error) {
    const CLI::App& verb = *innermost(app);
    const std::vector<std::string> rest = verb.remaining();
    if (!rest.empty()) fail(ExitCode::kUsage, "{}", unexpected_argument(verb, rest.front()));
    fail(ExitCode::kUsage, "{}; see {} --help", error.what(), full_name(verb));
  }
}

}  // namespace

CLI::App* add_json_subcommand(CLI::App& verb, const std::string& name, const std::string& help, bool& json) {
  CLI::App* sub = verb.add_subcommand(name, help);
  sub->add_flag("--json", json, "One JSON document on standard output");
  return sub;
}

int run_command_line(int argc, char** argv) {
  Invocation invocation;
  CLI::App app("Attelier: programmable attention in diffusion and vision models.", "attelier");
  app.require_subcommand(0, 1);
  app.set_help_all_flag("--help-all", "Help of all verbs");
  bool show_version = false, verbose = false;
  app.add_flag("--version", show_version, "Version, commit, libtorch, CPU features, CUDA or why not");

  add_method_verbs(app, invocation);
  add_run_verb(app, invocation);
  add_queue_verb(app, invocation);
  add_history_verb(app, invocation);
  add_trace_verb(app, invocation);
  add_inspect_verb(app, invocation);
  add_forward_verb(app, invocation);
  add_attend_verb(app, invocation);
  add_bench_verb(app, invocation);
  add_evaluate_verb(app, invocation);
  add_models_verb(app, invocation);
  add_styles_verb(app, invocation);
  add_meta_verb(app, invocation);
  add_config_verb(app, invocation);
  add_scenes_verb(app, invocation);
  add_train_verb(app, invocation);
  add_gui_verb(app, invocation);
  add_console_flags(app, invocation.console, verbose);
  return guarded(
      [&] {
        if (argc > 1 && argv[1][0] != '-' && !has_verb(app, argv[1])) fail(ExitCode::kUsage, "{}", unexpected_argument(app, argv[1]));
        parse_and_run(app, argc, argv);
        if (show_version)
          fmt::print("{}", machine_report());
        else if (argc == 1 && !open_desktop())
          fmt::print("{}", first_screen(app));
      },
      invocation, verbose);
}

}  // namespace attelier
