// What the media tests share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/media/image.h"

namespace attelier {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "attelier-media-XXXXXX").string();
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

inline nlohmann::json media_fixture(const std::string& name) {
  return nlohmann::json::parse(read_file(std::filesystem::path(ATTELIER_SOURCE_DIR) / "tests/parity/fixtures/media" / name));
}

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

inline std::string bytes_of(const Image& image) { return std::string(image.pixels.begin(), image.pixels.end()); }

/// The pseudo-random picture of the fixtures' script.
inline Image pattern(int64_t width, int64_t height, int64_t channels) {
  Image image{width, height, channels, {}};
  auto x = static_cast<uint32_t>(width * 65536 + height * 256 + channels);
  for (int64_t i = 0; i < width * height * channels; ++i) {
    x = 1664525u * x + 1013904223u;
    image.pixels.push_back(static_cast<uint8_t>(x >> 24));
  }
  return image;
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
