#include "app/session/map_subjects.h"

#include <cmath>

#include "core/base/error.h"
#include "kernels/attention.h"
#include "kernels/regions.h"
#include "kernels/warp.h"

namespace attelier {
namespace {

constexpr int64_t kRegions = 7;

/// The side of a square of so many cells, 0 when there is none.
int64_t side_of(int64_t cells) {
  const int64_t side = std::llround(std::sqrt(static_cast<double>(cells)));
  return side * side == cells ? side : 0;
}

/// Maps as the layers have them, [B,side,side,H*D], and the same as [B,H,side,side,D].
struct Maps {
  at::Tensor q, k, v;
  int64_t heads, width;

  explicit Maps(const AttentionBenchSettings& s) : heads(s.heads), width(s.width) {
    const int64_t side = side_of(s.queries);
    for (at::Tensor* map : {&q, &k, &v}) *map = at::randn({s.batch, side, side, s.heads * s.width}).to(s.dtype);
  }
  at::Tensor by_head(const at::Tensor& map) const { return map.unflatten(3, {heads, width}).permute({0, 3, 1, 2, 4}); }
};

/// [B,side,side,C] -> [B*regions,cells,C] with `count` regions on each side.
at::Tensor cut(const at::Tensor& map, int64_t count) {
  const int64_t size = map.size(1) / count;
  return map.view({map.size(0), count, size, count, size, map.size(3)}).permute({0, 1, 3, 2, 4, 5}).reshape({map.size(0) * count * count, size * size, map.size(3)});
}

/// [B*regions,H,cells,D] -> [B,side,side,H*D].
at::Tensor join(const at::Tensor& o, int64_t batches, int64_t count) {
  const int64_t size = side_of(o.size(2)), heads = o.size(1), width = o.size(3);
  return o.view({batches, count, count, heads, size, size, width}).permute({0, 1, 4, 2, 5, 3, 6}).reshape({batches, count * size, count * size, heads * width});
}

/// [N,L,H*D] -> [N,H,L,D]
at::Tensor heads_first(const at::Tensor& x, int64_t heads) { return x.unflatten(2, {heads, -1}).transpose(1, 2); }

at::Tensor eager_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale, const at::Tensor& bias) {
  const at::Tensor z = at::matmul(q * scale, k.transpose(2, 3));
  return at::matmul(at::softmax(bias.defined() ? z + bias : z, 3), v);
}

at::Tensor fused_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale, const at::Tensor& bias) {
  return at::scaled_dot_product_attention(q, k, v, bias.defined() ? std::optional(bias) : std::nullopt, 0, false, scale);
}

/// Sizes that all attention of maps has.
BenchSubject attention_of(const Maps& maps, const AttentionBenchSettings& s) {
  BenchSubject subject;
  const auto cells = static_cast<double>(s.batch * s.heads * s.queries);
  subject.operations = 4 * cells * static_cast<double>(s.keys * s.width);
  subject.bytes = 4 * static_cast<double>(maps.q.nbytes());
  const at::Tensor k = at::randn({s.batch, s.keys, s.heads, s.width}).to(s.dtype).transpose(1, 2), v = at::randn({s.batch, s.keys, s.heads, s.width}).to(s.dtype).transpose(1, 2);
  subject.plain = [maps, k, v] { return kernels::plain_attention(maps.by_head(maps.q).flatten(2, 3), k, v); };
  return subject;
}

/// BiFormer's ops/bra_legacy.py: the chosen regions' keys and values are gathered, then attended.
BenchSubject regions(const AttentionBenchSettings& s) {
  const int64_t side = side_of(s.queries), cells = side / kRegions * (side / kRegions), count = kRegions * kRegions;
  if (side == 0 || side % kRegions != 0 || s.keys % cells != 0 || s.keys / cells > count)
    fail(ExitCode::kUsage, "--shape has {} queries and {} keys; regions need a square map whose side {} divides, and as many keys as whole regions have, such as 1,3,3136,64,32", s.queries, s.keys, kRegions);
  const Maps maps(s);
  BenchSubject subject = attention_of(maps, s);
  kernels::RegionAttention call;
  call.grid = kernels::regions_over(side, side, side / kRegions, side / kRegions);
  call.index = at::rand({s.batch, 1, count, count}).argsort(int64_t{3}, false).slice(3, 0, s.keys / cells).contiguous();
  call.scale = 1 / std::sqrt(static_cast<double>(s.heads * s.width));
  subject.ours = [maps, call] { return kernels::attend_regions(maps.by_head(maps.q), maps.by_head(maps.k), maps.by_head(maps.v), call).permute({0, 2, 3, 1, 4}).flatten(3); };
  const at::Tensor rows = (call.index.squeeze(1) + at::arange(s.batch).view({-1, 1, 1}) * count).reshape(-1);
  const auto official = [maps, call, rows, s](const auto& attend) {
    const auto gathered = [&](const at::Tensor& map) { return heads_first(cut(map, kRegions).index_select(0, rows).view({-1, s.keys, map.size(3)}), s.heads); };
    return join(attend(heads_first(cut(maps.q, kRegions), s.heads), gathered(maps.k), gathered(maps.v), *call.scale, at::Tensor()), s.batch, kRegions);
  };
  subject.eager = [official] { return official(eager_attention); };
  subject.torch = [official] { return official(fused_attention); };
  return subject;
}

/// ViTAE-VSA's vsa.py: keys and values sampled into memory (its maps are channels-first), then attended window by window.
BenchSubject windows(const AttentionBenchSettings& s) {
  const int64_t side = side_of(s.queries), window = side_of(s.keys);
  if (side == 0 || window == 0 || side % window != 0)
    fail(ExitCode::kUsage, "--shape has {} queries and {} keys; windows need a square map and square windows that divide it, such as 1,3,3136,49,32", s.queries, s.keys);
  const Maps maps(s);
  BenchSubject subject = attention_of(maps, s);
  const int64_t across = side / window;
  kernels::RegionAttention call;
  call.grid = kernels::regions_over(side, side, window, window);
  const at::Tensor offsets = at::randn({s.batch, s.heads, across * across, 2}) * 3, scales = 1 + 0.3 * at::randn({s.batch, s.heads, across * across, 2});
  call.points = kernels::window_points(call.grid, offsets, scales);
  call.pair_bias = at::randn({s.heads, s.keys, s.keys});
  const double scale = 1 / std::sqrt(static_cast<double>(s.width));
  subject.ours = [maps, call] { return kernels::attend_regions(maps.by_head(maps.q), maps.by_head(maps.k), maps.by_head(maps.v), call).permute({0, 2, 3, 1, 4}).flatten(3); };
  const auto channels_first = [&](const at::Tensor& map) { return maps.by_head(map).permute({0, 1, 4, 2, 3}).flatten(0, 1).contiguous(); };
  const at::Tensor k = channels_first(maps.k), v = channels_first(maps.v);
  // Sampled in float32, as under autocast; libtorch's sampler of bfloat16 reads beyond its memory.
  const at::Tensor grid = (call.points * 2 / static_cast<double>(side - 1) - 1).flatten(0, 1), bias = call.pair_bias.unsqueeze(0).to(s.dtype);
  const auto official = [maps, k, v, grid, bias, scale, across, s](const auto& attend) {
    const auto sampled = [&](const at::Tensor& planes) {  // [B*H,D,windows,keys] -> [B*windows,H,keys,D]
      return at::grid_sampler(planes.to(at::kFloat), grid, 0, 0, true).to(s.dtype).view({s.batch, s.heads, s.width, across * across, s.keys}).permute({0, 3, 1, 4, 2}).flatten(0, 1);
    };
    return join(attend(heads_first(cut(maps.q, across), s.heads), sampled(k), sampled(v), scale, bias), s.batch, across);
  };
  subject.eager = [official] { return official(eager_attention); };
  subject.torch = [official] { return official(fused_attention); };
  return subject;
}

/// As Rerender-A-Video warps latents: a grid, grid_sample with aligned corners, and the mask.
BenchSubject warp(const AttentionBenchSettings& s) {
  const int64_t side = side_of(s.queries), channels = s.heads * s.width;
  if (side < 2) fail(ExitCode::kUsage, "--shape has {} queries; a warp needs a square map, such as 1,1,4096,1,4", s.queries);
  const at::Tensor x = at::randn({s.batch, channels, side, side}).to(s.dtype);
  kernels::Warp call;
  call.flow = at::randn({s.batch, 2, side, side}) * 3;
  call.base = at::randn({s.batch, channels, side, side}).to(s.dtype);
  call.mask = at::randint(0, 2, {s.batch, 1, side, side}, at::kFloat);
  call.inside_only = false;
  BenchSubject subject;
  subject.operations = 11 * static_cast<double>(x.numel());
  subject.bytes = 3 * static_cast<double>(x.nbytes()) + static_cast<double>(call.flow.nbytes() + call.mask.nbytes());
  subject.ours = [x, call] { return kernels::warp(x, call); };
  subject.eager = subject.torch = [x, call, side] {
    const at::Tensor line = at::arange(side, at::kFloat), cells = at::stack({line.expand({side, side}), line.unsqueeze(1).expand({side, side})});
    const at::Tensor grid = ((call.flow + cells) * 2 / static_cast<double>(side - 1) - 1).permute({0, 2, 3, 1});
    const at::Tensor mask = call.mask.to(x.scalar_type());
    return mask * at::grid_sampler(x.to(at::kFloat), grid, 0, 0, true).to(x.scalar_type()) + (1 - mask) * call.base;
  };
  return subject;
}

}  // namespace

std::vector<std::string> map_subjects() { return {"regions", "windows", "warp"}; }

BenchSubject map_subject(const std::string& name, const AttentionBenchSettings& settings) {
  if (name == "regions") return regions(settings);
  if (name == "windows") return windows(settings);
  return warp(settings);
}

}  // namespace attelier
