// 3x3 convolutions by Winograd's F(2x2, 3x3) for one instruction set: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
// A 2x2 tile of outputs takes 16 multiplications per pair of channels instead of 36; the transforms add and halve only, so nothing of float32's
// accuracy is lost. In 1-D: inputs d0-d2, d1+d2, d2-d1, d1-d3; weights g0, (g0+g1+g2)/2, (g0-g1+g2)/2, g2; outputs m0+m1+m2, m1-m2-m3.
#pragma once

#include "kernels/cpu/activations.h"
#include "kernels/cpu/convolution_call.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

/// Sums of a product that fit the registers, and the widest row of them.
inline constexpr int kSums = kLanes == 16 ? 24 : 12;
inline constexpr int kWidest = kLanes == 16 ? 4 : 2;

/// Where a tile lies: its picture, and its upper left output.
struct Tile {
  int64_t batch, row, column;
};

inline Tile tile_at(const ConvolutionCall& c, int64_t index) {
  const int64_t inside = index % c.tiles_of_a_picture();
  return {index / c.tiles_of_a_picture(), inside / c.tile_columns() * 2, inside % c.tile_columns() * 2};
}

ATTELIER_INLINE void transform_inputs(Vector a, Vector b, Vector c, Vector d, Vector* out, int stride) {
  out[0] = a - c;
  out[stride] = b + c;
  out[2 * stride] = c - b;
  out[3 * stride] = b - d;
}

/// Channels of a tile's 16 pixels -> of its 16 points, which lie `stride` apart.
ATTELIER_INLINE void transform_channels(const float* const* pixel, const int64_t* step, int64_t channel, float* out, int64_t stride, Lanes<Float32> lanes) {
  Vector columns[16], points[16];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    Vector d[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) d[i] = lanes.load_at(pixel[4 * i + j] + step[4 * i + j] * channel);
    transform_inputs(d[0], d[1], d[2], d[3], columns + j, 4);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) transform_inputs(columns[4 * i], columns[4 * i + 1], columns[4 * i + 2], columns[4 * i + 3], points + 4 * i, 1);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) lanes.store_at(out + i * stride + channel, points[i]);
}

inline void transform_tile(const ConvolutionCall& c, int64_t index) {
  static const float kZeros[kLanes] = {};
  const Tile tile = tile_at(c, c.first_tile + index);
  const float* pixel[16];
  int64_t step[16];  // 0 where the padding is read
  for (int i = 0; i < 16; ++i) {
    const int64_t row = tile.row - 1 + i / 4, column = tile.column - 1 + i % 4;
    const bool inside = row >= 0 && row < c.height && column >= 0 && column < c.width;
    pixel[i] = inside ? c.x + ((tile.batch * c.height + row) * c.width + column) * c.channels : kZeros;
    step[i] = inside ? 1 : 0;
  }
  float* const out = c.transformed + index * c.channels;
  const int64_t stride = c.rows() * c.channels, whole = c.channels / kLanes * kLanes;
  for (int64_t channel = 0; channel < whole; channel += kLanes) transform_channels(pixel, step, channel, out, stride, {kLanes});
  if (whole < c.channels) transform_channels(pixel, step, whole, out, stride, {c.channels - whole});
}

inline void convolution_inputs(const ConvolutionCall& c, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; ++index) transform_tile(c, index);
}

ATTELIER_INLINE void transform_weights(Vector a, Vector b, Vector c, Vector* out, int stride) {
  const Vector outer = (a + c) * 0.5f, inner = b * 0.5f;
  out[0] = a;
  out[stride] = outer + inner;
  out[2 * stride] = outer - inner;
  out[3 * stride] = c;
}

/// [channels][kTaps][width] -> [kPoints][channels][width]
inline void transform_panel(const float* weight, int64_t channels, int64_t width, float* out) {
  for (int64_t channel = 0; channel < channels; ++channel)
    for (int64_t k = 0; k < width; k += kLanes) {
      const float* taps = weight + channel * kTaps * width + k;
      Vector columns[12], points[16];
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j)
        transform_weights(Float32::load_lanes(taps + j * width), Float32::load_lanes(taps + (3 + j) * width), Float32::load_lanes(taps + (6 + j) * width), columns + j, 3);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) transform_weights(columns[3 * i], columns[3 * i + 1], columns[3 * i + 2], points + 4 * i, 1);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) Float32::store_lanes(out + (i * channels + channel) * width + k, points[i]);
    }
}

/// m [rows][kPanel] = v [rows][channels] u [channels][width], for kRows rows and kVectors vectors of columns.
template <int kRows, int kVectors>
ATTELIER_ALONE void multiply_tile(const float* v, const float* u, int64_t channels, int64_t width, float* m) {
  Vector sums[kRows][kVectors] = {};
  for (int64_t channel = 0; channel < channels; ++channel, u += width) {
    Vector factor[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) factor[j] = Float32::load_lanes(u + j * kLanes);
#pragma GCC unroll 24
    for (int i = 0; i < kRows; ++i) {
      const Vector value = splat_word(reinterpret_cast<const Word*>(v + i * channels + channel));
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] += value * factor[j];
    }
  }
#pragma GCC unroll 24
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) Float32::store_lanes(m + i * kPanel + j * kLanes, sums[i][j]);
}

/// The same for `count` rows; up to kSpareRows more are read and written.
template <int kVectors>
void multiply_rows(const float* v, const float* u, int64_t count, int64_t channels, int64_t width, float* m) {
  constexpr int kRows = kSums / kVectors;
  for (int64_t row = 0; row < count; row += kRows) multiply_tile<kRows, kVectors>(v + row * channels, u, channels, width, m + row * kPanel);
}

inline void multiply_block(const float* v, const float* u, int64_t count, int64_t channels, int64_t width, float* m) {
  for (int64_t k = 0; k < width; k += kWidest * kLanes) {
    const int64_t vectors = smaller(kWidest, (width - k) / kLanes);
    if (vectors == 4) multiply_rows<kWidest>(v, u + k, count, channels, width, m + k);
    else if (vectors == 3) multiply_rows<kWidest == 4 ? 3 : 1>(v, u + k, count, channels, width, m + k);
    else if (vectors == 2) multiply_rows<2>(v, u + k, count, channels, width, m + k);
    else multiply_rows<1>(v, u + k, count, channels, width, m + k);
  }
}

/// Where the four outputs of a tile lie in y, and which of them lie inside the picture.
struct TileOutputs {
  int64_t offset[4];
  bool inside[4];
};

/// The output channels from `output` on of one tile.
ATTELIER_INLINE void write_outputs(const ConvolutionCall& c, const TileOutputs& place, const float* products, int64_t output, Lanes<Float32> lanes) {
  constexpr int64_t kStride = (kBlock + kSpareRows) * kPanel;
  Vector rows[8];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    Vector m[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) m[i] = Float32::load_lanes(products + (4 * i + j) * kStride);
    rows[j] = m[0] + m[1] + m[2];
    rows[4 + j] = m[1] - m[2] - m[3];
  }
  const Vector bias = c.bias != nullptr ? lanes.load_at(c.bias + output) : Vector{};
  const Vector values[4] = {rows[0] + rows[1] + rows[2] + bias, rows[1] - rows[2] - rows[3] + bias, rows[4] + rows[5] + rows[6] + bias, rows[5] - rows[6] - rows[7] + bias};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    if (place.inside[i]) lanes.store_at(c.y + place.offset[i] + output, c.addend != nullptr ? values[i] + lanes.load_at(c.addend + place.offset[i] + output) : values[i]);
}

/// Products [kPoints][kBlock + kSpareRows][kPanel] of one tile -> `width` of its outputs, as far as they lie inside the picture.
inline void write_tile(const ConvolutionCall& c, int64_t index, const float* products, int64_t output, int64_t width) {
  const Tile tile = tile_at(c, index);
  const bool last_row = tile.row + 1 == c.height, last_column = tile.column + 1 == c.width;
  const int64_t corner = ((tile.batch * c.height + tile.row) * c.width + tile.column) * c.outputs;
  const TileOutputs place{{corner, corner + c.outputs, corner + c.width * c.outputs, corner + (c.width + 1) * c.outputs},
                          {true, !last_column, !last_row, !last_row && !last_column}};
  const int64_t whole = width / kLanes * kLanes;
  for (int64_t k = 0; k < whole; k += kLanes) write_outputs(c, place, products + k, output + k, {kLanes});
  if (whole < width) write_outputs(c, place, products + whole, output + whole, {width - whole});
}

inline void convolution_outputs(const ConvolutionCall& c, int64_t begin, int64_t end, float* workspace) {
  float* const products = workspace + kPoints * kPanel * c.channels;
  int64_t transformed_panel = -1;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t panel = task / c.groups(), output = panel * kPanel, width = smaller(kPanel, c.outputs - output), columns = rounded(width);
    if (panel != transformed_panel) transform_panel(c.weight + output * c.channels * kTaps, c.channels, columns, workspace);
    transformed_panel = panel;
    const int64_t first = task % c.groups() * c.group, last = smaller(first + c.group, c.tiles);
    for (int64_t block = first; block < last; block += kBlock) {
      const int64_t count = smaller(kBlock, last - block);
      for (int64_t point = 0; point < kPoints; ++point)
        multiply_block(c.transformed + (point * c.rows() + block) * c.channels, workspace + point * c.channels * columns, count, c.channels, columns,
                       products + point * (kBlock + kSpareRows) * kPanel);
      for (int64_t i = 0; i < count; ++i) write_tile(c, c.first_tile + block + i, products + i * kPanel, output, width);
    }
  }
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
