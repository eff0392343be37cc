// Text to image, image to image and inpainting, with ControlNet and LoRA.
#pragma once

#include "pipelines/method.h"

namespace attelier {

extern const Method kGenerateMethod;

}  // namespace attelier
