// Files of byte-pair merges.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace attelier {

using MergePair = std::pair<std::string, std::string>;

/// The merges of merges.txt or bpe_simple_vocab_16e6.txt, in order of their rank; a file whose first bytes are gzip's is inflated (at most 64 MiB).
/// The first line is the header; empty lines are passed over. Throws Error(kModel) naming file and line.
std::vector<MergePair> read_merges(const std::filesystem::path& file);

}  // namespace attelier
