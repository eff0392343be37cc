#include "core/media/flow_file.h"

#include <bit>

#include "core/base/error.h"
#include "core/media/byte_reader.h"

namespace attelier {
namespace {

constexpr uint32_t kMagic = 0x48454950;  // "PIEH", which is also the float 202021.25

void append(std::string& bytes, uint32_t value) {
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

}  // namespace

std::string encode_flow(const FlowField& flow) {
  std::string bytes;
  bytes.reserve(12 + 4 * flow.xy.size());
  append(bytes, kMagic), append(bytes, static_cast<uint32_t>(flow.width)), append(bytes, static_cast<uint32_t>(flow.height));
  for (const float value : flow.xy) append(bytes, std::bit_cast<uint32_t>(value));
  return bytes;
}

FlowField decode_flow(std::string_view bytes, const std::string& name) {
  const ByteReader reader(bytes, false);
  const auto magic = reader.u32(0), width = reader.u32(4), height = reader.u32(8);
  if (!magic || *magic != kMagic || !width || !height) fail(ExitCode::kBadInput, "{}: is no optical flow (.flo): it does not begin with PIEH, width and height", name);
  if (*width < 1 || *height < 1 || *width > 65536 || *height > 65536)
    fail(ExitCode::kBadInput, "{}: says it holds a flow of {}x{}; each side may be 1 to 65536", name, *width, *height);
  const uint64_t expected = 12 + 8 * uint64_t{*width} * uint64_t{*height};
  if (bytes.size() != expected) fail(ExitCode::kBadInput, "{}: has {} bytes; a flow of {}x{} takes {}; write or copy it again", name, bytes.size(), *width, *height, expected);
  FlowField flow{*width, *height, std::vector<float>(2 * size_t{*width} * size_t{*height})};
  for (size_t i = 0; i < flow.xy.size(); ++i) flow.xy[i] = std::bit_cast<float>(*reader.u32(12 + 4 * i));
  return flow;
}

}  // namespace attelier
