// The names that a pickle may mention: the few with a meaning here, and those that only an attack would call.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <string_view>

namespace attelier {

/// The element type of `torch.FloatStorage` and its like; nothing for storages that are not read.
std::optional<at::ScalarType> storage_dtype(std::string_view name);

/// True for the classes and functions of every torch checkpoint. They never show up in messages about foreign objects.
bool is_known_global(std::string_view name);

/// True for functions that run programs, touch files or evaluate text. Nothing is ever called here; but a file that names them is no checkpoint,
/// and its user should hear about it.
bool is_dangerous_global(std::string_view module, std::string_view name);

}  // namespace attelier
