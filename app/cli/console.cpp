#include "app/cli/console.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

namespace attelier {
namespace {

std::atomic<int> received_signal{0};

pthread_t signal_thread;

/// In threads that libraries started before main(), where signals are not blocked.
void pass_on(int signal) { pthread_kill(signal_thread, signal); }

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

}  // namespace

Console::Console() : terminal_(isatty(STDERR_FILENO) == 1) {}

Console::~Console() { clear_line(); }

void Console::clear_line() {
  if (!line_shown_) return;
  std::fputs("\r\x1b[K", stderr);
  line_shown_ = false;
}

void Console::report(const Progress& progress) {
  if (quiet_) return;
  const Clock::time_point now = Clock::now();
  if (stage_ != progress.stage) {
    stage_ = progress.stage;
    stage_start_ = last_shown_ = now;
    first_done_ = progress.done;
    last_tenth_ = -1;
  }
  const double elapsed = std::chrono::duration<double>(now - stage_start_).count();
  const double since_shown = std::chrono::duration<double>(now - last_shown_).count();
  const bool finished = progress.total > 0 && progress.done >= progress.total;
  const double done_here = static_cast<double>(progress.done - first_done_);
  std::string text = progress.total > 0 ? fmt::format("{} {}/{}", stage_, progress.done, progress.total) : fmt::format("{} {}", stage_, progress.done);
  if (elapsed > 0.2 && done_here > 0) {
    const double rate = done_here / elapsed;
    text += rate >= 1 ? fmt::format(", {:.1f}/s", rate) : fmt::format(", {:.1f} s each", 1 / rate);
    text += fmt::format(", {} elapsed", duration_text(elapsed));
    if (progress.total > 0) text += fmt::format(", {} left", duration_text(static_cast<double>(progress.total - progress.done) / rate));
  }
  if (terminal_) {
    if (!finished && since_shown < 0.1) return;
    last_shown_ = now;
    if (text.size() >= terminal_width()) text.resize(terminal_width() - 1);
    std::fprintf(stderr, "\r%s\x1b[K", text.c_str());
    line_shown_ = true;
    return;
  }
  // Elsewhere: a line per tenth of the work or per half minute, and none for stages that end within a second.
  const int64_t tenth = progress.total > 0 ? progress.done * 10 / progress.total : 0;
  if (elapsed < 1 || (tenth == last_tenth_ && since_shown < 30)) return;
  if (since_shown < 2 && !finished) return;
  last_tenth_ = tenth;
  last_shown_ = now;
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Console::log(LogLevel level, const std::string& text) {
  if (level == LogLevel::kDebug && !verbose_) return;
  if (level == LogLevel::kInfo && quiet_) return;
  clear_line();
  const char* prefix = level == LogLevel::kWarning ? "warning: " : level == LogLevel::kError ? "error: " : "";
  // A message never floods the terminal, whatever it quotes.
  const size_t shown = std::min<size_t>(text.size(), 2000);
  std::fprintf(stderr, "%s%.*s%s\n", prefix, static_cast<int>(shown), text.c_str(), shown < text.size() ? "..." : "");
}

Invocation::Invocation() {
  // A small thread waits for signals, and all others block them: a handler may not touch a stop source, and where one ran in the middle of oneDNN's float32
  // products, one interruption in four ended with a damaged heap instead.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread waiting([source = stop, signals]() mutable {
    for (int signal = 0; sigwait(&signals, &signal) == 0;) {
      // The first signal asks to stop, the second one ends the process at once.
      if (received_signal.exchange(signal) != 0) _exit(128 + signal);
      source.request_stop();
    }
  });
  signal_thread = waiting.native_handle();
  waiting.detach();
  struct sigaction action {};
  action.sa_handler = pass_on;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int Invocation::signal_received() { return received_signal.load(); }

Context Invocation::context() {
  Context context;
  context.stop = stop.get_token();
  context.progress = [this](const Progress& progress) { console.report(progress); };
  context.log = [this](LogLevel level, const std::string& text) { console.log(level, text); };
  return context;
}

}  // namespace attelier
