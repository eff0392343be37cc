// What this program is and what it runs on.
#pragma once

#include <string>

namespace attelier {

/// "0.1.0 (1a2b3c4)".
std::string version();
/// Several lines: version, commit, libtorch, CPU features and threads, CUDA or why not.
std::string machine_report();
/// Peak resident memory of this process in bytes.
int64_t peak_memory();
/// Resident memory of this process in bytes, now.
int64_t resident_memory();
/// Loads libtorch's CUDA half when a driver is there. Returns "" when a GPU can be used, otherwise why not.
std::string load_cuda();

}  // namespace attelier
