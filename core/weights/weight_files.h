// Finding a component's weights among the names that diffusers and transformers give them.
#pragma once

#include <filesystem>
#include <vector>

namespace attelier {

/// The weights in a component's folder: diffusion_pytorch_model, model or pytorch_model, whole or the index of shards, safetensors before torch's
/// format, the plain file before a variant (fp16 before others); otherwise the only weight file there. Error(kModel) lists what was looked for.
std::filesystem::path find_weight_file(const std::filesystem::path& folder);

/// True for names that weights have: .safetensors, .ckpt, .pth, .pth.tar, .pt, .bin.
bool is_weight_name(const std::filesystem::path& path);

/// `weight_file` and, if it is an index, the shards that it names.
std::vector<std::filesystem::path> with_shards(const std::filesystem::path& weight_file);

}  // namespace attelier
