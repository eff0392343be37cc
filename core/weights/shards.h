// Checkpoints in several files: *.safetensors.index.json maps every tensor to its shard.
#pragma once

#include <memory>

#include "core/weights/read_only_file.h"
#include "core/weights/tensor_file.h"

namespace attelier {

/// Opens the index and all its shards, which must lie beside it under plain file names and hold the tensors that the index says they hold.
/// Tensors of a shard that the index does not name are not shown.
std::shared_ptr<TensorSource> open_shards(const ReadOnlyFile& index);

}  // namespace attelier
