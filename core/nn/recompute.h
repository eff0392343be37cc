// Gradient checkpointing (Chen et al. 2016): a block keeps its inputs alone and computes again in the backward pass.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <vector>

namespace attelier::nn {

using Block = std::function<at::Tensor(const std::vector<at::Tensor>& inputs)>;

/// block(inputs), without keeping what is inside it. In the backward pass the block runs again, under the same autocast, and its parameters get their
/// gradients then. `block` must compute the same again, must not change its inputs, and must live as long as the graph; parameters that it reaches
/// must be leaves.
at::Tensor recomputed(Block block, const std::vector<at::Tensor>& inputs);

}  // namespace attelier::nn
