// The colour of the sky in a direction.
#pragma once

#include "core/scenes/world/scene.h"

namespace attelier::world {

/// Linear light. Clouds, stars, sun and moon are at infinity. `detailed` false leaves all but the gradient out: for reflections and fog.
Colour sky_colour(const Scene& scene, const Vec3& direction, bool detailed = true);

/// The fog's colour towards `direction`: warmer near the sun.
Colour fog_colour(const Scene& scene, const Vec3& direction);

}  // namespace attelier::world
