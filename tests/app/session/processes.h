// Children of a test that may be killed at any moment.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <exception>
#include <cstdio>
#include <functional>
#include <utility>
#include <vector>

namespace attelier {

class ChildProcess {
 public:
  /// Runs `work` in a child; its result is the exit code, 99 if it throws.
  explicit ChildProcess(const std::function<int()>& work) {
    id_ = fork();
    if (id_ != 0) return;
    int code = 99;
    try {
      code = work();
    } catch (const std::exception& error) {
      fprintf(stderr, "child: %s\n", error.what());
    }
    _exit(code);
  }
  ~ChildProcess() {
    if (id_ > 0) kill();
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void kill() {
    ::kill(id_, SIGKILL);
    wait();
  }
  /// The exit code, -1 after a signal.
  int wait() {
    int status = 0;
    if (id_ <= 0 || waitpid(id_, &status, 0) != std::exchange(id_, 0)) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t id_ = 0;
};

/// Numbers from a child to its parent; what was read has been sent before any later death of the child.
class NumberPipe {
 public:
  NumberPipe() { EXPECT_EQ(pipe(ends_), 0); }
  ~NumberPipe() {
    only_read();
    close(ends_[0]);
  }
  void send(int64_t number) const { EXPECT_EQ(write(ends_[1], &number, sizeof(number)), static_cast<ssize_t>(sizeof(number))); }
  /// All that were sent; the sender must have ended.
  std::vector<int64_t> all() {
    only_read();
    std::vector<int64_t> numbers;
    for (int64_t number = 0; read(ends_[0], &number, sizeof(number)) == static_cast<ssize_t>(sizeof(number));) numbers.push_back(number);
    return numbers;
  }
  /// -1 once the sender has ended.
  int64_t next() {
    only_read();
    int64_t number = -1;
    return read(ends_[0], &number, sizeof(number)) == static_cast<ssize_t>(sizeof(number)) ? number : -1;
  }

 private:
  void only_read() {
    if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  }
  int ends_[2] = {-1, -1};
};

}  // namespace attelier
