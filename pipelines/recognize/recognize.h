// What a picture shows, and where the model looked: `attelier recognize`.
#pragma once

#include "pipelines/method.h"

namespace attelier {

extern const Method kRecognizeMethod;

}  // namespace attelier
