// Edges of pictures, as ControlNets are told them.
#pragma once

#include "core/media/image.h"

namespace attelier {

/// The edges of an RGB picture as white lines on black (Canny 1986), RGB. The usual thresholds are 100 and 200.
Image canny_edges(const Image& image, double low, double high);

}  // namespace attelier
