// Optical flow in the Middlebury format (.flo; Baker et al. 2011): what flow benchmarks and tools read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attelier {

/// Where each pixel went, in pixels: right and down positive.
struct FlowField {
  int64_t width = 0, height = 0;
  std::vector<float> xy;  // row-major, height * width * 2
};

/// The bytes of a .flo file. The format has no mask: unknown vectors hold a value above 1e9.
std::string encode_flow(const FlowField& flow);
/// Throws Error(kBadInput) naming `name` unless the bytes are exactly one flow field of at most 65536 x 65536.
FlowField decode_flow(std::string_view bytes, const std::string& name);

}  // namespace attelier
