// Learning a small vocabulary in CLIP's format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace attelier {

/// Learns up to `merges` byte-pair merges from `texts` (the most frequent adjacent pair first, ties by the pair's text, so the result depends on the
/// texts alone) and writes vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json into `folder`, which is created. Fewer merges
/// are written where the texts have no pair that occurs twice. Ids are dense: 256 byte symbols, 256 with </w>, the merges, start, end; padding is the
/// end token. Tokenizer::from_folder and transformers' CLIPTokenizer load the folder. Throws Error(kBadInput) for a negative count or a folder
/// that cannot be written.
void learn_vocabulary(std::span<const std::string> texts, int64_t merges, const std::filesystem::path& folder);

}  // namespace attelier
