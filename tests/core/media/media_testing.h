// What the media tests share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/media/image.h"
#include "tests/testing/errors.h"
#include "tests/testing/temporary_folder.h"

namespace attelier {

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

}  // namespace attelier
