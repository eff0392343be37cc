// Any bytes as a prompt for the shipped vocabulary; and any bytes as the two files of a vocabulary, cut at the first zero byte.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "core/text/tokenizer.h"

namespace attelier {
namespace {

void check_prompt(const Tokenizer& tokenizer, std::string_view text) {
  const int64_t vocabulary = tokenizer.vocabulary_size();
  const std::vector<int64_t> ids = tokenizer.encode(text);
  for (const int64_t id : ids)
    if (id < 0 || id >= vocabulary) std::abort();
  tokenizer.decode(ids);
  const auto length = static_cast<size_t>(tokenizer.options().length);
  if (tokenizer.tokenize(text).ids.size() != length) std::abort();
  if (tokenizer.tokenize_long(text).empty()) std::abort();
  const WeightedTokens weighted = tokenize_weighted(tokenizer, text);
  if (weighted.ids.size() != weighted.weights.size()) std::abort();
  for (size_t i = 0; i < weighted.ids.size(); ++i)
    if (weighted.ids[i].size() != length || weighted.weights[i].size() != length) std::abort();
}

void check_vocabulary(std::string_view bytes) {
  static const std::filesystem::path folder = [] {
    std::string name = (std::filesystem::temp_directory_path() / "tokenizer_fuzz.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    return std::filesystem::path(name);
  }();
  const size_t cut = std::min(bytes.find('\0'), bytes.size());
  std::ofstream(folder / "vocab.json", std::ios::binary) << bytes.substr(0, cut);
  std::ofstream(folder / "merges.txt", std::ios::binary) << bytes.substr(std::min(cut + 1, bytes.size()));
  try {
    check_prompt(*Tokenizer::from_folder(folder), bytes.substr(0, 200));
  } catch (const Error& error) {
    if (error.code() != ExitCode::kModel) std::abort();
  }
}

}  // namespace
}  // namespace attelier

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attelier;
  static const auto shipped = Tokenizer::from_folder(std::filesystem::path(ATTELIER_SOURCE_DIR) / "assets/mini/tokenizer");
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) != 0)
    check_prompt(*shipped, bytes);
  else
    check_vocabulary(bytes);
  return 0;
}
