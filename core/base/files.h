// Files: whole reads, whole-or-nothing writes, and the XDG folders.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace attelier {

/// The bytes of a file. Throws Error(code given) with the path and the system's reason. `limit` bounds the size.
std::string read_file(const std::filesystem::path& path, uint64_t limit = uint64_t{1} << 32);

/// Writes to `path`.tmp-PID, flushes to the disk, then renames: a reader sees the old file or the whole new one.
/// On any failure (missing folder, full disk, no permission) the temporary is removed, the old file stays, and Error(kBadInput) says why.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// The same for writers that need a path (libraries that open the file themselves): `write(temporary)` must create the file whole.
void write_atomically(const std::filesystem::path& path, const std::function<void(const std::filesystem::path& temporary)>& write);

/// `path`.tmp-PID: what a writer of this process works on until it is whole.
std::filesystem::path temporary_beside(const std::filesystem::path& path);

/// The name of a hidden folder of files that belong together is this with the ending of temporary_beside().
inline constexpr std::string_view kHiddenFolder = ".attelier";

/// Removes what killed writers left in a folder, once a process: temporary files, and hidden folders, that nobody wrote to for an hour and whose process is
/// gone. The hour is for processes that cannot be seen from here, on another machine or in another container. write_atomically() calls it.
void remove_abandoned_files(const std::filesystem::path& folder);

/// Lower-case hexadecimal SHA-256.
std::string sha256(std::string_view bytes);
/// `progress` gets the number of bytes after every block; what it throws ends the reading.
std::string sha256_file(const std::filesystem::path& path, const std::function<void(uint64_t bytes)>& progress = {});

/// $XDG_CACHE_HOME/attelier, $XDG_DATA_HOME/attelier, $XDG_CONFIG_HOME/attelier, $XDG_STATE_HOME/attelier (empty variables count as unset).
std::filesystem::path cache_folder();
std::filesystem::path data_folder();
std::filesystem::path config_folder();
std::filesystem::path state_folder();

/// The folder of the shipped assets: $ATTELIER_ASSETS, else assets/ beside the sources that built this program.
std::filesystem::path assets_folder();

}  // namespace attelier
