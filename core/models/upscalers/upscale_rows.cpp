#include "core/models/upscalers/upscale_rows.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace attelier {
namespace {

/// Floats of a band of the result that is being put together.
constexpr int64_t kBandFloats = 100'000'000;

/// One tile along one axis, in pixels of the picture.
struct Segment {
  int64_t begin, end;              // what the model sees
  int64_t faded_begin, faded_end;  // what goes into the result
  bool first, last;
};

std::vector<Segment> segments_of(int64_t size, int64_t side, const UpscaleTiles& tiles) {
  if (size <= side + 2 * tiles.overlap) return {{0, size, 0, size, true, true}};
  const int64_t wanted = (size + side - 1) / side, even = (size + wanted - 1) / wanted, step = (even + tiles.alignment - 1) / tiles.alignment * tiles.alignment;
  std::vector<Segment> segments;
  for (int64_t at = 0; at < size; at += step) {
    const bool first = at == 0, last = at + step >= size - tiles.fade;  // a last one that only fades in is none
    const int64_t stop = last ? size : at + step;
    segments.push_back({std::max<int64_t>(0, at - tiles.overlap), std::min(size, stop + tiles.overlap), first ? 0 : at - tiles.fade, last ? size : stop + tiles.fade, first, last});
    if (last) break;
  }
  return segments;
}

/// Shares of a segment in the rows or columns that it goes into: 1, with ramps over 2 * fade pixels at inner edges, so that those of neighbours add up to 1.
at::Tensor shares(const Segment& segment, int64_t fade, int64_t scale) {
  at::Tensor share = at::ones({scale * (segment.faded_end - segment.faded_begin)}, at::kFloat);
  const int64_t length = 2 * fade * scale;
  const at::Tensor rise = (at::arange(length, at::kFloat) + 0.5) / static_cast<double>(std::max<int64_t>(1, length));
  if (!segment.first) share.slice(0, 0, length).mul_(rise);
  if (!segment.last) share.slice(0, share.size(0) - length).mul_(1 - rise);
  return share;
}

/// Where mirrored coordinates -before .. size + after - 1 lie; edges are repeated, again and again where a picture is smaller than its margin.
at::Tensor mirrored(int64_t size, int64_t wanted) {
  const int64_t before = (wanted - size) / 2;
  const at::Tensor place = (at::arange(wanted, at::kLong) - before).remainder(2 * size);
  return at::minimum(place, 2 * size - 1 - place);
}

/// Pictures smaller than the model takes.
at::Tensor upscale_small(const at::Tensor& picture, int64_t scale, int64_t least, const UpscaleTile& model) {
  const int64_t height = picture.size(2), width = picture.size(3), tall = std::max(height, least), wide = std::max(width, least);
  const at::Tensor y = model(picture.index_select(2, mirrored(height, tall)).index_select(3, mirrored(width, wide)));
  return y.narrow(2, scale * ((tall - height) / 2), scale * height).narrow(3, scale * ((wide - width) / 2), scale * width);
}

}  // namespace

void upscale_rows(const UpscaleSource& source, int64_t scale, const UpscaleTiles& tiles, int64_t least, const UpscaleTile& model,
                  const std::function<void(const at::Tensor& rows)>& sink, const Context& context) {
  const int64_t height = source.height, width = source.width;
  if (tiles.side < tiles.alignment || tiles.side % tiles.alignment != 0 || tiles.overlap % tiles.alignment != 0 || tiles.overlap < tiles.fade || 2 * tiles.fade > tiles.side)
    fail(ExitCode::kUnexpected, "tiles of {} with an overlap of {} and a fade of {} do not fit an alignment of {}", tiles.side, tiles.overlap, tiles.fade, tiles.alignment);
  const int64_t most = kBandFloats / (3 * scale * scale * width) - 2 * tiles.fade;
  const int64_t tall = std::min(tiles.side, std::max(tiles.alignment, most / tiles.alignment * tiles.alignment));
  const std::vector<Segment> down = segments_of(height, tall, tiles), across = segments_of(width, tiles.side, tiles);
  const auto total = static_cast<int64_t>(down.size() * across.size());
  int64_t done = 0;
  at::Tensor carried;  // [3, rows, s W]: of the band above, in the rows that it shares with the next
  context.report("upscaling", 0, total);
  for (const Segment& band : down) {
    at::Tensor sum = at::zeros({3, scale * (band.faded_end - band.faded_begin), scale * width}, at::kFloat);
    if (carried.defined()) sum.slice(1, 0, carried.size(1)).add_(carried);
    const at::Tensor rows = source.rows(band.begin, band.end).unsqueeze(0), vertical = shares(band, tiles.fade, scale).view({1, -1, 1});
    for (const Segment& tile : across) {
      context.check_stop();
      const at::Tensor seen = rows.slice(3, tile.begin, tile.end);
      const bool small = std::min(seen.size(2), seen.size(3)) < least;
      const at::Tensor y = (small ? upscale_small(seen, scale, least, model) : model(seen)).to(at::kCPU, at::kFloat)[0];
      const at::Tensor part = y.slice(1, scale * (band.faded_begin - band.begin), scale * (band.faded_end - band.begin))
                                  .slice(2, scale * (tile.faded_begin - tile.begin), scale * (tile.faded_end - tile.begin));
      if (!at::isfinite(part).all().item<bool>()) fail(ExitCode::kNumerical, "the upscaled picture holds NaN or Inf; try --dtype float32, or check the model");
      sum.slice(2, scale * tile.faded_begin, scale * tile.faded_end).add_(part * vertical * shares(tile, tiles.fade, scale));
      context.report("upscaling", ++done, total);
    }
    const int64_t shared = band.last ? 0 : scale * 2 * tiles.fade;
    sink(sum.slice(1, 0, sum.size(1) - shared));
    carried = sum.slice(1, sum.size(1) - shared).clone();
  }
}

UpscaleTile self_ensemble(UpscaleTile model) {
  return [model = std::move(model)](const at::Tensor& tile) {
    at::Tensor sum;
    for (const bool turned : {false, true})
      for (const std::vector<int64_t>& mirrored : {std::vector<int64_t>{}, {2}, {3}, {2, 3}}) {
        at::Tensor y = model((turned ? tile.transpose(2, 3) : tile).flip(mirrored).contiguous()).flip(mirrored);
        if (turned) y = y.transpose(2, 3);
        sum = sum.defined() ? sum + y : y;
      }
    return sum / 8;
  };
}

}  // namespace attelier
