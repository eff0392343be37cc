// What a picture shows, counted from its masks.
#pragma once

#include <array>
#include <vector>

#include "core/scenes/world/render.h"

namespace attelier::world {

/// One object as far as it can be seen.
struct VisibleObject {
  int object = 0;             // index into Scene::objects
  int64_t pixels = 0;
  float x = 0, y = 0;         // centre of its pixels, in widths and heights of the picture
  float depth = 0;            // mean, metres
  int left = 0, top = 0, right = 0, bottom = 0;  // bounds, the last inclusive
};

struct Contents {
  std::vector<VisibleObject> objects;             // the largest first, of all with at least one pixel
  std::array<int64_t, kKindCount> pixels_of{};    // per class; sums to the picture's pixels
};
Contents contents_of(const Scene& scene, const Frame& frame);

/// Large enough to be named: a thousandth of the picture.
inline bool is_noticeable(const VisibleObject& object, const Frame& frame) { return object.pixels * 1000 >= static_cast<int64_t>(frame.pixels()); }

}  // namespace attelier::world
