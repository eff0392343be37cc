// What the text tests share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {

/// Where the bootstrap puts OpenAI's list of merges.
inline std::filesystem::path clip_merges() { return cache_folder() / "deps" / "clip" / "bpe_simple_vocab_16e6.txt.gz"; }

inline std::filesystem::path text_fixture(const std::string& name) {
  return std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/text" / name;
}

}  // namespace attelier
