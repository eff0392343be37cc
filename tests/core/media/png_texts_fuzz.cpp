// Any bytes as a PNG with texts. Refusals are Error(kBadInput); texts that are read stay within their bounds, and none is left after stripping.
#include <cstdlib>

#include "core/base/error.h"
#include "core/media/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attelier;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    size_t total = 0;
    for (const auto& [keyword, text] : read_png_texts(bytes, "fuzz")) {
      if (keyword.empty() || keyword.size() > 160 || text.size() > size_t{2} << 20) std::abort();
      total += text.size();
    }
    if (total > size_t{16} << 20) std::abort();
    const std::string stripped = strip_png_texts(bytes, "fuzz");
    if (stripped.size() > size || !read_png_texts(stripped, "fuzz").empty()) std::abort();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadInput) std::abort();
  }
  return 0;
}
