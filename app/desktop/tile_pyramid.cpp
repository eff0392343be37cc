#include "app/desktop/tile_pyramid.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace attelier::desktop {
namespace {

/// Two rows become one; `below` is `above` where there is no second one.
void halve_row(const uint8_t* above, const uint8_t* below, int64_t width, int64_t channels, uint8_t* out) {
  const int64_t pairs = width / 2;
  if (channels == 1) {
    for (int64_t i = 0; i < pairs; ++i) out[i] = static_cast<uint8_t>((above[2 * i] + above[2 * i + 1] + below[2 * i] + below[2 * i + 1] + 2) / 4);
  } else if (channels == 3) {
    for (int64_t i = 0; i < pairs; ++i)
      for (int64_t c = 0; c < 3; ++c) out[3 * i + c] = static_cast<uint8_t>((above[6 * i + c] + above[6 * i + 3 + c] + below[6 * i + c] + below[6 * i + 3 + c] + 2) / 4);
  } else {
    for (int64_t i = 0; i < pairs; ++i) {
      const uint8_t* const four[] = {above + 8 * i, above + 8 * i + 4, below + 8 * i, below + 8 * i + 4};
      int sums[4] = {};
      for (const uint8_t* pixel : four) {
        for (int c = 0; c < 3; ++c) sums[c] += pixel[c] * pixel[3];
        sums[3] += pixel[3];
      }
      for (int c = 0; c < 3; ++c) out[4 * i + c] = static_cast<uint8_t>(sums[3] == 0 ? 0 : (sums[c] + sums[3] / 2) / sums[3]);
      out[4 * i + 3] = static_cast<uint8_t>((sums[3] + 2) / 4);
    }
  }
  if (width % 2 == 0) return;
  // The last column has no neighbour: the mean of it and of itself.
  std::vector<uint8_t> two[2];
  const uint8_t* const rows[] = {above, below};
  for (int r = 0; r < 2; ++r) {
    const uint8_t* const last = rows[r] + (width - 1) * channels;
    two[r].assign(last, last + channels);
    two[r].insert(two[r].end(), last, last + channels);
  }
  halve_row(two[0].data(), two[1].data(), 2, channels, out + pairs * channels);
}

}  // namespace

Image halved(const Image& image) {
  Image half{(image.width + 1) / 2, (image.height + 1) / 2, image.channels, {}};
  half.pixels.resize(static_cast<size_t>(half.width * half.height * half.channels));
  const int64_t row = image.width * image.channels;
  for (int64_t y = 0; y < half.height; ++y) {
    const uint8_t* const above = image.pixels.data() + 2 * y * row;
    halve_row(above, 2 * y + 1 < image.height ? above + row : above, image.width, image.channels, half.pixels.data() + y * half.width * half.channels);
  }
  return half;
}

std::vector<Image> pyramid_over(const Image& image) {
  std::vector<Image> levels;
  levels.push_back(halved(image));
  while (levels.back().width > kTilePixels || levels.back().height > kTilePixels) levels.push_back(halved(levels.back()));
  return levels;
}

int64_t level_for(double scale, int64_t levels) {
  if (scale >= 1) return 0;
  return std::clamp<int64_t>(static_cast<int64_t>(std::floor(std::log2(1 / scale) + 1e-9)), 0, levels - 1);
}

std::vector<TileIndex> tiles_over(int64_t level, int64_t width, int64_t height, double left, double top, double right, double bottom) {
  std::vector<TileIndex> tiles;
  if (right <= 0 || bottom <= 0 || left >= static_cast<double>(width) || top >= static_cast<double>(height) || right <= left || bottom <= top) return tiles;
  const auto pitch = static_cast<double>(TileIndex{level, 0, 0}.pitch());
  const auto first = [&](double from) { return static_cast<int64_t>(std::max(0.0, from) / pitch); };
  const auto end = [&](double to, int64_t length) { return static_cast<int64_t>(std::ceil(std::min(to, static_cast<double>(length)) / pitch)); };
  for (int64_t y = first(top); y < end(bottom, height); ++y)
    for (int64_t x = first(left); x < end(right, width); ++x) tiles.push_back({level, x, y});
  return tiles;
}

void read_tile(const Image& image, const TileIndex& tile, std::vector<uint8_t>& rgba) {
  rgba.resize(static_cast<size_t>(kTileSide * kTileSide * 4));
  const int64_t left = tile.x * kTilePixels - 1, top = tile.y * kTilePixels - 1, channels = image.channels;
  for (int64_t row = 0; row < kTileSide; ++row) {
    const uint8_t* const in = image.pixels.data() + std::clamp<int64_t>(top + row, 0, image.height - 1) * image.width * channels;
    uint8_t* const out = rgba.data() + row * kTileSide * 4;
    const int64_t first = std::max<int64_t>(0, -left), end = std::clamp<int64_t>(image.width - left, 1, kTileSide);
    const uint8_t* pixel = in + (left + first) * channels;
    if (channels == 4) {
      std::memcpy(out + first * 4, pixel, static_cast<size_t>((end - first) * 4));
    } else {
      const int64_t green = channels == 3 ? 1 : 0, blue = channels == 3 ? 2 : 0;
      for (int64_t i = first; i < end; ++i, pixel += channels) {
        out[4 * i] = pixel[0];
        out[4 * i + 1] = pixel[green];
        out[4 * i + 2] = pixel[blue];
        out[4 * i + 3] = 255;
      }
    }
    for (int64_t i = 0; i < first; ++i) std::memcpy(out + i * 4, out + first * 4, 4);
    for (int64_t i = end; i < kTileSide; ++i) std::memcpy(out + i * 4, out + (end - 1) * 4, 4);
  }
}

}  // namespace attelier::desktop
