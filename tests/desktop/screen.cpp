#include "tests/desktop/screen.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>

namespace attelier {
namespace {

/// Starts a program with its standard output (or `descriptor`) in a pipe.
pid_t start(std::vector<std::string> words, const std::string& display, int descriptor, int* output) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  const pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], descriptor);
    if (descriptor != STDOUT_FILENO) dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    close(ends[0]);
    if (!display.empty()) setenv("DISPLAY", display.c_str(), 1);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(ends[1]);
  *output = ends[0];
  return process;
}

std::string read_all(int descriptor, bool one_line) {
  std::string text;
  char c = 0;
  while (read(descriptor, &c, 1) == 1 && !(one_line && c == '\n')) text += c;
  return text;
}

}  // namespace

Screen::Screen(int width, int height, const std::vector<std::string>& options) {
  int output = -1;
  std::vector<std::string> words = {"Xvfb", "-displayfd", "7", "-screen", "0", std::to_string(width) + "x" + std::to_string(height) + "x24", "-noreset", "-nolisten", "tcp"};
  words.insert(words.end(), options.begin(), options.end());
  process_ = start(std::move(words), "", 7, &output);
  number_ = read_all(output, true);
  close(output);
  if (!number_.empty()) return;
  waitpid(process_, nullptr, 0);
  process_ = -1;
}

Screen::~Screen() {
  if (process_ <= 0) return;
  kill(process_, SIGTERM);
  waitpid(process_, nullptr, 0);
}

bool Screen::try_hand(const std::vector<std::string>& words, std::string* text) const {
  std::vector<std::string> all = {"xdotool"};
  all.insert(all.end(), words.begin(), words.end());
  int output = -1, status = 0;
  const pid_t process = start(all, display(), STDOUT_FILENO, &output);
  *text = read_all(output, false);
  close(output);
  waitpid(process, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string Screen::hand(const std::vector<std::string>& words) const {
  std::string text;
  EXPECT_TRUE(try_hand(words, &text)) << "xdotool " << words.front();
  return text;
}

bool Screen::focus(const std::string& title, double seconds) const {
  // A window that is found may not be on the screen yet, or not any more: then it takes no focus.
  return wait_until(seconds, [&] {
    std::string windows, nothing;
    if (!try_hand({"search", "--onlyvisible", "--name", "^" + title + "$"}, &windows) || windows.empty()) return false;
    return try_hand({"windowfocus", "--sync", windows.substr(0, windows.find('\n'))}, &nothing);
  });
}

void Screen::click(int x, int y, int button) const { hand({"mousemove", std::to_string(x), std::to_string(y), "click", std::to_string(button)}); }

void Screen::drag(int x, int y, int to_x, int to_y) const {
  hand({"mousemove", std::to_string(x), std::to_string(y), "mousedown", "1"});
  for (int i = 1; i <= 10; ++i) hand({"mousemove", std::to_string(x + (to_x - x) * i / 10), std::to_string(y + (to_y - y) * i / 10)});
  hand({"mouseup", "1"});
}

}  // namespace attelier
