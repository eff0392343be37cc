// Which thing each pixel of a picture shows, as scenes know it of the worlds they draw and as annotation tools write it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace attelier {

struct InstanceMap {
  int64_t width = 0, height = 0;
  std::vector<uint16_t> things;  // row-major; 0 = none of them
  int64_t count = 0;             // of different things
};

/// A gray picture whose values are numbers of things, not shades: 16 bits of which the upper ones are not used, or a file NAME_instance.*. Nothing for
/// every other picture. Throws Error(kBadInput) for a file that cannot be read.
std::optional<InstanceMap> load_instance_map(const std::filesystem::path& file);

/// The map that `attelier scenes` wrote beside a picture, NAME_instance.png; empty where there is none.
std::filesystem::path instance_map_beside(const std::filesystem::path& picture);

}  // namespace attelier
