// What every verb shares: the console (progress, log), signals, and the table of verbs.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/context.h"

namespace attelier {

/// Progress on one line of a terminal (at most ten times a second), or one line per tenth or half minute elsewhere; everything goes to stderr.
class Console {
 public:
  Console();
  ~Console();
  void report(const Progress& progress);
  void log(LogLevel level, const std::string& text);
  /// Takes the progress line away before something else is printed.
  void clear_line();
  void set_quiet(bool quiet) { quiet_ = quiet; }
  void set_verbose(bool verbose) { verbose_ = verbose; }

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_, quiet_ = false, verbose_ = false, line_shown_ = false;
  std::string stage_;
  Clock::time_point stage_start_, last_shown_;
  int64_t first_done_ = 0, last_tenth_ = -1;
};

/// State of one invocation. The stop token is triggered by SIGINT and SIGTERM; a second signal ends the process at once.
struct Invocation {
  Console console;
  std::stop_source stop;
  int exit_code = 0;
  /// What an interruption leaves, for its last line.
  std::string_view what_stays = "finished files are kept";

  Invocation();
  Context context();
  /// The signal that asked to stop, 0 if none.
  static int signal_received();
};

/// Each verb adds its own subcommand. One file per verb; the methods' verbs are made from their descriptions.
void add_method_verbs(CLI::App& app, Invocation& invocation);
void add_run_verb(CLI::App& app, Invocation& invocation);
void add_queue_verb(CLI::App& app, Invocation& invocation);
void add_history_verb(CLI::App& app, Invocation& invocation);
void add_trace_verb(CLI::App& app, Invocation& invocation);
void add_inspect_verb(CLI::App& app, Invocation& invocation);
void add_forward_verb(CLI::App& app, Invocation& invocation);
void add_attend_verb(CLI::App& app, Invocation& invocation);
void add_bench_verb(CLI::App& app, Invocation& invocation);
void add_models_verb(CLI::App& app, Invocation& invocation);
void add_styles_verb(CLI::App& app, Invocation& invocation);
void add_meta_verb(CLI::App& app, Invocation& invocation);
void add_config_verb(CLI::App& app, Invocation& invocation);
void add_evaluate_verb(CLI::App& app, Invocation& invocation);
void add_scenes_verb(CLI::App& app, Invocation& invocation);
void add_train_verb(CLI::App& app, Invocation& invocation);
void add_gui_verb(CLI::App& app, Invocation& invocation);

/// A subcommand of `verb` that prints one JSON document where `json` was asked for.
CLI::App* add_json_subcommand(CLI::App& verb, const std::string& name, const std::string& help, bool& json);

/// Opens the desktop app where there is a display; false without one, or in a build without the app.
bool open_desktop();

/// Parses and runs; returns the process's exit code.
int run_command_line(int argc, char** argv);

}  // namespace attelier
