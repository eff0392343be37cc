// Checkpoints of torch.save (.ckpt, .pth, .pt, .bin): a zip archive with a pickle and raw storages.
#pragma once

#include <memory>

#include "core/weights/read_only_file.h"
#include "core/weights/tensor_file.h"

namespace attelier {

/// Opens the archive and runs its pickle. The tensors are those of the root dictionary, or, as long as there is one, of its `state_dict_ema` or else
/// `state_dict`; below, nested dictionaries join their keys with dots. Numbers and texts beside a `state_dict` become metadata (`global_step`).
std::shared_ptr<TensorSource> open_pickle_checkpoint(std::shared_ptr<const ReadOnlyFile> file);

}  // namespace attelier
