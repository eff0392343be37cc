// What the text tests share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"

namespace attelier {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "attelier-text-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// Where the bootstrap puts OpenAI's list of merges.
inline std::filesystem::path clip_merges() { return cache_folder() / "deps" / "clip" / "bpe_simple_vocab_16e6.txt.gz"; }

inline std::filesystem::path text_fixture(const std::string& name) {
  return std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/text" / name;
}

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

}  // namespace attelier
