// Boxes of tensors in the form that the copy engine reads, made by the driver. No header of CUDA or libtorch.
#pragma once

#include "kernels/cuda/boxes.h"

namespace attelier::kernels::cuda {

/// False when the driver does not know tensor maps (it is older than CUDA 12) or refuses one of these; then `maps` holds nothing of use.
bool make_maps(const KeyBoxes& boxes, KeyMaps& maps);

}  // namespace attelier::kernels::cuda
