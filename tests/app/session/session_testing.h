// What the session's tests share.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "app/session/job.h"
#include "core/base/error.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {

/// Runs `action`, which must throw Error; its text must contain every one of `parts`.
template <typename Action>
ExitCode error_of(const Action& action, std::initializer_list<std::string_view> parts) {
  try {
    action();
  } catch (const Error& error) {
    for (const std::string_view part : parts) EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << "no \"" << part << "\" in:\n" << error.what();
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ExitCode::kOk;
}

/// Sets a variable of the environment for one test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

inline Json json_of(const char* text) { return Json::parse(text); }

}  // namespace attelier
