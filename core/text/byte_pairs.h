// The parts of CLIP's byte-pair encoding that the tokenizer and the learning of vocabularies share.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attelier::text {

inline constexpr std::string_view kStartToken = "<|startoftext|>";
inline constexpr std::string_view kEndToken = "<|endoftext|>";
inline constexpr std::string_view kEndOfWord = "</w>";

/// The printable stand-in of each byte, as UTF-8: bytes 33-126, 161-172 and 174-255 map to the same code point, the other 68 in increasing order
/// to U+0100, U+0101, ...
const std::array<std::string, 256>& byte_symbols();
/// The bytes in the order of their ids: first the 188 printable ones, then the 68 others.
const std::array<uint8_t, 256>& bytes_by_id();

/// The text with invalid UTF-8 replaced by U+FFFD. Throws Error(kBadInput) above 256 MiB.
std::string valid_utf8(std::string_view text);

/// The text as the tokenizer sees it: invalid UTF-8 replaced by U+FFFD, NFC, runs of white space one space, trimmed, lower-case; with `cjk_split`
/// spaces around ideographs.
std::string normalised(std::string_view text, bool cjk_split = false);

/// The pieces of a normalised text that are encoded on their own: contractions ('s 't 're 've 'm 'll 'd), runs of letters, single number
/// characters, runs of anything else but white space. Views into `text`.
std::vector<std::string_view> pieces(std::string_view text);

}  // namespace attelier::text
