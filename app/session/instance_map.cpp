#include "app/session/instance_map.h"

#include <algorithm>
#include <set>

#include "core/media/wide_picture.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr const char* kEnding = "_instance";
constexpr uint16_t kMostThings = 255;  // more would be shades: a mask of 16 bits uses its whole range

}  // namespace

std::optional<InstanceMap> load_instance_map(const fs::path& file) {
  WidePicture picture = load_wide_picture(file);
  if (picture.channels != 1 || picture.samples.empty()) return std::nullopt;
  const bool named = file.stem().string().ends_with(kEnding);
  if (!named && (picture.bits != 16 || *std::max_element(picture.samples.begin(), picture.samples.end()) > kMostThings)) return std::nullopt;
  std::set<uint16_t> different(picture.samples.begin(), picture.samples.end());
  different.erase(0);
  return InstanceMap{picture.width, picture.height, std::move(picture.samples), std::ssize(different)};
}

fs::path instance_map_beside(const fs::path& picture) {
  const fs::path map = picture.parent_path() / (picture.stem().string() + kEnding + ".png");
  std::error_code error;
  return fs::is_regular_file(map, error) ? map : fs::path();
}

}  // namespace attelier
