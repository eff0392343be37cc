// What the weight tests share: a folder per test, and checks of error messages.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"
