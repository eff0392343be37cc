// Errors that a user can act on, each with the exit code of the process that meets it.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace attelier {

/// Exit codes of every verb. CLI11's own values are mapped to kUsage.
enum class ExitCode : int {
  kOk = 0,
  kUnexpected = 1,
  kUsage = 2,         // wrong flags
  kBadInput = 3,      // job, image, mask or tensor
  kModel = 4,         // missing, unreadable, wrong hash or wrong tensors
  kOutOfMemory = 5,   // host or device
  kNumerical = 6,     // NaN or Inf
  kSomeFailed = 7,    // some items failed, others are done
  kTemporary = 75,    // a retry may help
  kInterrupted = 130,
  kTerminated = 143,
};

/// A failure with its exit code. The text says what failed, with which value, what is allowed and what to do next.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Thrown from long work when the stop token of its context was triggered.
class Interrupted : public Error {
 public:
  Interrupted() : Error(ExitCode::kInterrupted, "interrupted") {}
};

/// throw Error(code, fmt::format(...)).
template <typename... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace attelier
