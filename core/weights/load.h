// From a checkpoint to a module: names mapped by a table, every tensor checked, all complaints reported together.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/nn/module.h"
#include "core/weights/tensor_file.h"

namespace attelier {

/// Assigns every parameter of `module` from `source` (names equal to the module's, after `prefix`), converted to `dtype` on `device` one tensor at
/// a time; a tensor that already has the dtype is used in place, as a read-only view of the file: clone a parameter before changing it in place
/// (training, merging). Throws Error(kModel) listing missing, unexpected and misshapen tensors together, or every tensor with NaN or Inf (in the
/// file or after the conversion), before anything is assigned. 1x1 convolutions and linear weights of the same sizes are accepted for each other;
/// position_ids and num_batches_tracked, buffers of old checkpoints, are ignored, and so are names that end in one of `computed_buffers`, which the
/// module makes itself. `prefix` may end in a dot or not.
void load_weights(nn::Module& module, const TensorSource& source, at::Device device, at::ScalarType dtype, const std::string& prefix = "",
                  const std::vector<std::string>& computed_buffers = {});

/// The parameters of a module as named tensors, for writing; in `dtype`, but for running statistics, whose range half floats do not have.
NamedTensors named_tensors(nn::Module& module, std::optional<at::ScalarType> dtype = std::nullopt);

}  // namespace attelier
