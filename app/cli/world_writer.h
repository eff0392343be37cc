// Renders scenes of the world to files: pictures with their truth, videos, views, panoramas, stories, low-resolution pairs and removals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/context.h"
#include "core/scenes/world/compose.h"
#include "core/scenes/world/render.h"

namespace attelier {

enum class WorldOutput { kPictures, kVideo, kViews, kPanorama, kStory, kPairs, kRemoval };

struct WorldOptions {
  WorldOutput output = WorldOutput::kPictures;
  std::string folder = ".";
  int64_t count = 16;                     // scenes
  int64_t frames = 8;                     // of a video, a set of views, a story
  int64_t size = 256;                     // side; height of a panorama
  uint64_t seed = 0;
  world::Wish wish;
  std::optional<world::Look> look;        // nullopt: another for each scene
  bool truth = true;                      // depth, normals, masks, cameras, flow
  int samples = 1;                        // rays per pixel
  world::Lighting lighting = world::Lighting::kFull;
  double frames_per_second = 8;
  int factor = 4;                         // of low-resolution pairs
  int threads = 1;
};

/// Bytes that the files will take at most, about.
int64_t estimated_bytes(const WorldOptions& options);

/// Writes everything, captions.jsonl and contact_sheet.png included; whole or not at all. Throws Error.
void write_world(const WorldOptions& options, const Context& context);

}  // namespace attelier
