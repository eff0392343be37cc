// Cameras in motion: videos, views around a scene, panoramas and their crops; and stories of one character.
#pragma once

#include <string>
#include <vector>

#include "core/scenes/world/compose.h"
#include "core/scenes/world/render.h"

namespace attelier::world {

/// The camera of the scene's own viewpoint.
Camera still_camera(const Scene& scene, int width, int height);

/// The camera of a video at `time` seconds: a slow orbit, dolly, truck or crane, chosen by the scene's seed; at time 0 the still camera. Never under ground.
Camera moving_camera(const Scene& scene, float time, int width, int height);

/// `count` cameras around the scene's subjects, `sweep` radians in all, all looking at their middle; indoors they stay inside the room.
std::vector<Camera> surrounding_cameras(const Scene& scene, int count, float sweep, int width, int height);

/// The 360-degree camera from the middle of the room, or from before the subjects.
Camera panorama_camera(const Scene& scene, int height);

/// What a perspective camera at the panorama's own place sees of it, by bilinear sampling: colours (x 3) and depth (z; nearest sample, 0 for the sky).
struct PanoramaCrop {
  std::vector<float> rgb, depth;
};
PanoramaCrop crop_panorama(const Camera& panorama, const Frame& frame, const Camera& view);

/// The object that a removal pair takes away: the largest visible one that nothing stands on; -1 if there is none.
int removable_object(const Scene& scene, const Frame& frame);

/// One picture of a story.
struct Episode {
  Scene scene;
  std::string sentence;  // "Mia waits in the street at night."
};
/// `count` (at least 1) scenes with the same character, in different places as the day passes.
std::vector<Episode> tell_story(uint64_t seed, int count);

}  // namespace attelier::world
