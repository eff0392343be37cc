// SHA-256 of large files that rarely change: computed once, then remembered.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace attelier {

/// The hash of a file's bytes, from $XDG_CACHE_HOME/attelier/hashes.json if size, inode, modification and change time are still those it was computed
/// for. Files touched within the last two seconds are not remembered: a later write might leave their times as they are. A cache that cannot be
/// read or written costs time, nothing else. `progress` as in sha256_file; not called for remembered files.
std::string remembered_sha256(const std::filesystem::path& path, const std::function<void(uint64_t bytes)>& progress = {});

}  // namespace attelier
