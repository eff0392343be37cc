// Checks of what an action throws.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace attelier {

/// Runs `action`, which must throw Error, and gives its code; its text must contain `part`.
template <typename Action>
ExitCode error_of(const Action& action, std::string_view part) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
    return error.code();
  }
  ADD_FAILURE() << "no error; expected one with \"" << part << "\"";
  return ExitCode::kOk;
}

/// The text of the Error(code) that `action` must throw.
template <typename Action>
std::string message_of(ExitCode code, const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

inline ::testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "\"" << part << "\" is not in: " << text;
}

}  // namespace attelier
