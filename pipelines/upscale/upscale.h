// `upscale`: pictures and videos made larger by an upscaler (core/models/upscalers).
#pragma once

#include "pipelines/method.h"

namespace attelier {

extern const Method kUpscaleMethod;

}  // namespace attelier
