#include "core/text/merge_list.h"

#include <zlib.h>

#include <string_view>

#include "core/base/error.h"
#include "core/base/files.h"

namespace attelier {
namespace {

constexpr size_t kMaximumText = size_t{64} << 20;

std::string gunzip(const std::string& bytes, const std::string& name) {
  z_stream stream = {};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzip) != Z_OK) fail(ExitCode::kOutOfMemory, "{}: no memory for decompression", name);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string text, block(size_t{1} << 18, '\0');
  int state = Z_OK;
  while (state == Z_OK && text.size() <= kMaximumText) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    state = inflate(&stream, Z_NO_FLUSH);
    text.append(block, 0, block.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END || text.size() > kMaximumText) fail(ExitCode::kModel, "{}: the gzip data is damaged; fetch the file again", name);
  return text;
}

}  // namespace

std::vector<MergePair> read_merges(const std::filesystem::path& file) {
  std::string text;
  try {
    text = read_file(file, kMaximumText);
  } catch (const Error& error) {
    fail(ExitCode::kModel, "{}; the tokenizer needs its list of merges", error.what());
  }
  if (text.starts_with("\x1f\x8b")) text = gunzip(text, file.string());
  std::vector<MergePair> pairs;
  size_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (++line_number == 1 || line.empty()) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == line.size() || line.find(' ', space + 1) != std::string_view::npos) {
      fail(ExitCode::kModel, "{}:{}: is not a merge of two symbols; fetch the file again", file.string(), line_number);
    }
    pairs.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return pairs;
}

}  // namespace attelier
