// The worlds' pictures and truths as files: PNG, 16-bit depth and normals, masks, and cameras as COLMAP reads them.
#pragma once

#include <string>
#include <vector>

#include "core/media/flow_file.h"
#include "core/media/image.h"
#include "core/scenes/world/flow.h"
#include "core/scenes/world/render.h"

namespace attelier {

/// One metre is this many steps of a 16-bit depth picture, so that 65535 is 255.996 metres, or anything beyond. 0: nothing but sky.
inline constexpr int kDepthStepsPerMetre = 256;

/// Colours (x 3, [0, 1]) as 8 bits, rounded.
Image picture_image(const std::vector<float>& rgb, int width, int height);

/// PNG bytes. Depth: 16-bit gray. Normals: 16-bit RGB, (n + 1) / 2 of the world axes (x right, y up, z towards the first viewer), the sky 32768.
/// Instances: 16-bit gray, 0 the surroundings, else 1 + the object's number. Classes: 8-bit gray, the number of world::Kind.
std::string depth_png(const std::vector<float>& metres, int width, int height);
std::string normal_png(const world::Frame& frame);
std::string instance_png(const std::vector<uint16_t>& instances, int width, int height);
std::string class_png(const world::Frame& frame);
/// 8-bit gray of a mask of 0 and 1: 0 and 255.
std::string mask_png(const std::vector<uint8_t>& mask, int width, int height);

FlowField flow_field(const world::Flow& flow);

/// A picture's name and its perspective camera.
struct NamedCamera {
  std::string file;
  world::Camera camera;
};
/// cameras.txt and images.txt of COLMAP's text format, model PINHOLE; metres, camera axes x right, y down, z forward. points3D.txt may be empty.
std::string colmap_cameras(const std::vector<NamedCamera>& cameras);
std::string colmap_images(const std::vector<NamedCamera>& cameras);

}  // namespace attelier
