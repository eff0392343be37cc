// Pictures of one thing of a known kind, or of one known character, in the 3D world: what classifiers learn from.
#pragma once

#include <cstdint>
#include <vector>

#include "core/scenes/world/kinds.h"

namespace attelier {

/// The kinds that a picture can be composed around: what stands about outdoors and what stands on tables, in the order of their numbers. No characters, no
/// furniture.
const std::vector<world::Kind>& subject_kinds();

/// A scene around one thing of this kind, which takes at least a fiftieth of the picture (in the best of a few tries); plants and rocks of the surroundings may
/// be there too. size x size x 3, row major, [0, 1]. The same bits everywhere.
std::vector<float> draw_single_thing(world::Kind kind, world::Look look, uint64_t seed, int64_t size);

/// The same around the character of this number; nobody else is there.
std::vector<float> draw_single_character(int number, world::Look look, uint64_t seed, int64_t size);

}  // namespace attelier
