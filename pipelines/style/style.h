// StyleID: style transfer by injecting the style's keys and values (Chung, Hyun, Heo, CVPR 2024).
#pragma once

#include "pipelines/method.h"

namespace attelier {

extern const Method kStyleMethod;
constexpr size_t kMostStyles = 3;  // that are mixed

}  // namespace attelier
