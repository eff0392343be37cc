// How a finished scene is repainted: watercolour, oil, pencil, poster, mosaic.
#pragma once

#include <cstdint>

#include "core/scenes/canvas.h"
#include "core/scenes/small_world.h"

namespace attelier {

/// Repaints the canvas in place; kPlain leaves it as it is.
void apply_style(const drawing::Canvas& canvas, Style style, uint64_t seed);

}  // namespace attelier
