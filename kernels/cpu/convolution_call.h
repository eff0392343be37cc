// A 3x3 convolution in raw pointers. Plain data, see call.h.
#pragma once

#include <cstdint>

namespace attelier::kernels::cpu {

/// Output channels are worked on in panels of kPanel, the last one possibly narrower. Panels are as wide as the outputs rounded up to a multiple of
/// kChannelUnit; what is added has weights of zero and is not written.
inline constexpr int64_t kPanel = 64, kChannelUnit = 16;
constexpr int64_t rounded(int64_t outputs) { return (outputs + kChannelUnit - 1) / kChannelUnit * kChannelUnit; }
/// The numbers of a transformed 4x4 tile, the taps of the filter.
inline constexpr int64_t kPoints = 16, kTaps = 9;
/// Rows of `transformed` beyond its tiles that the products may read.
inline constexpr int64_t kSpareRows = 24;
/// Tiles whose products are held at once, before they turn into outputs.
inline constexpr int64_t kBlock = 96;

/// y = x * weight + bias + addend with stride 1 and zero padding 1, by 2x2 output tiles. The tiles of all batches are counted through, row by row, and
/// worked on in chunks: first inputs(), whose unit is a tile, then outputs(), whose unit is a panel of output channels for one group of tiles.
struct ConvolutionCall {
  const float* x;       // [batches][height][width][channels]
  const float* weight;  // per panel [channels][kTaps][width of the panel]
  const float* bias;    // [outputs], or null
  const float* addend;  // like y, or null
  float* y;             // [batches][height][width][outputs]
  int64_t height, width, channels, outputs;
  int64_t first_tile, tiles;  // the chunk
  int64_t group;              // tiles of one group
  float* transformed;         // [kPoints][tiles + kSpareRows][channels]

  int64_t tile_columns() const { return (width + 1) / 2; }
  int64_t tiles_of_a_picture() const { return (height + 1) / 2 * tile_columns(); }
  int64_t panels() const { return (outputs + kPanel - 1) / kPanel; }
  int64_t groups() const { return (tiles + group - 1) / group; }
  int64_t rows() const { return tiles + kSpareRows; }
  /// Floats that one outputs() call needs: transformed weights of a panel, and the products of a block.
  int64_t workspace() const { return kPoints * kPanel * (channels + kBlock + kSpareRows); }
};

struct ConvolutionKernels {
  void (*inputs)(const ConvolutionCall& call, int64_t begin, int64_t end);
  void (*outputs)(const ConvolutionCall& call, int64_t begin, int64_t end, float* workspace);
};

}  // namespace attelier::kernels::cpu
