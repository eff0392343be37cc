#include "kernels/cuda/plan.h"

#include <algorithm>
#include <limits>
#include <span>
#include <stdexcept>

#include "kernels/cuda/attend.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/cuda/host_arrays.h"
#include "kernels/cuda/warpgroups.h"

namespace attelier::kernels::cuda {
namespace {

/// Blocks per multiprocessor that hide latency well; fewer than this and the keys are split.
constexpr int64_t kWantedBlocks = 2;
/// A part smaller than this many tiles of keys costs more to combine than it saves.
constexpr int64_t kTilesPerPart = 2;

constexpr const char* kBundleNames[kBundles] = {"plain", "score", "mix"};

int64_t element_bytes(cpu::Element element) { return element == cpu::Element::kFloat32 ? 4 : 2; }

bool begins_on_16_bytes(const cpu::Rows& rows, cpu::Element element) {
  const int64_t per_piece = 16 / element_bytes(element);
  return reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && rows.batch % per_piece == 0 && rows.head % per_piece == 0 && rows.row % per_piece == 0;
}

bool is_aligned(const Call& call) {
  bool aligned = begins_on_16_bytes(call.q, call.element);
  for (int s = 0; s < call.source_count; ++s) aligned &= begins_on_16_bytes(call.sources[s].k, call.element) && begins_on_16_bytes(call.sources[s].v, call.element);
  return aligned;
}

bool has_gains(const Call& call) {
  bool gains = call.class_gain != nullptr;
  for (int s = 0; s < call.source_count; ++s) gains |= call.sources[s].gain.data != nullptr;
  return gains;
}

bool is_plain(const Call& call) {
  const cpu::SourceView& own = call.sources[0];
  return call.source_count == 1 && !call.q2.data && call.scale_stride == 0 && call.scales[0] > 0 && !own.batch_map && own.log_weight == 0 && !own.log_weight_rows.data &&
         !own.bias.data && !own.scale.data && !call.pair_bias.data && !call.causal && !call.blend && !call.visual.on && !has_gains(call);
}

/// Blocks of warpgroups.h are large: fewer queries than half of one, or keys that fill one tile of it, are for the small blocks.
constexpr int64_t kFewestWarpgroupRows = 65, kFewestWarpgroupKeys = 129;

/// The width of warpgroups.h for a call that its kernels cover, 0 for others.
int warpgroup_width(const Call& call) {
  if (call.blend || call.visual.on || call.pair_bias.data || call.rows < kFewestWarpgroupRows || call.keys < kFewestWarpgroupKeys || !has_boxes(call)) return 0;
  const int64_t widest = std::max(call.depth, call.value_depth);
  for (const int width : kWarpgroupWidths)
    if (width >= widest) return width;
  return 0;
}

/// Whether keys of one tile may differ in their scales and biases, or one has a scale that turns the order of logits round.
bool lists_keys(const Call& call) {
  bool listed = has_gains(call);
  for (int s = 0; s < call.source_count; ++s) listed |= call.sources[s].bias.data || call.sources[s].scale.data;
  for (int64_t h = 0; h < (call.scale_stride ? call.heads : 1); ++h) listed |= !(call.scales[h] > 0);
  return listed;
}

int64_t parts_of(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

int parts_for(const Call& call, const Plan& plan, const DeviceCaps& caps) {
  const int64_t blocks = parts_of(call.rows, plan.tile.rows) * call.batches * call.heads;
  const int64_t tiles = parts_of(call.keys, plan.tile.keys), wanted = kWantedBlocks * caps.multiprocessors;
  if (blocks >= caps.multiprocessors || tiles < 2 * kTilesPerPart) return 0;
  const int64_t parts = std::min({parts_of(wanted, blocks), tiles / kTilesPerPart, static_cast<int64_t>(kMaximumParts)});
  return parts > 1 ? static_cast<int>(parts) : 0;
}

Workspace workspace_of(const Call& call, const Plan& plan) {
  Workspace w;
  const auto take = [&](int64_t bytes) {
    const int64_t begin = w.bytes;
    w.bytes += parts_of(bytes, 256) * 256;
    return begin;
  };
  const int64_t rows = call.batches * call.heads * call.rows, split = static_cast<int64_t>(plan.segments) * plan.parts;
  w.partial = take(split * rows * call.value_depth * 4);
  w.partial_state = take(split * rows * kPartState * 4);
  w.statistics = take(plan.statistics ? rows * kStatistics * 4 : 0);
  w.order = take(plan.ordered ? call.batches * call.keys * 4 : 0);
  w.class_count = take(plan.ordered ? call.batches * kClasses * 4 : 0);
  Call copy = call;
  w.arrays = take(bytes_of(host_arrays(copy, true)));
  return w;
}

}  // namespace

int width_for(const Call& call) {
  const std::span<const int> widths = call.element == cpu::Element::kFloat32 ? std::span<const int>(kFloatWidths) : std::span<const int>(kWidths);
  const auto found = std::find_if(widths.begin(), widths.end(), [&](int width) { return width >= call.depth && width >= call.value_depth; });
  return found == widths.end() ? 0 : *found;
}

TileSize tile_size(cpu::Element element, int width, Bundle bundle) {
  return with_variant(element, width, bundle, []<typename V>(V) {
    using Shape = Tile<typename V::Element, V::kWidth, V::kKind>;
    return TileSize{Shape::kRows, Shape::kKeys, Shape::kValues, Shape::kThreads, attend_shared_bytes<typename V::Element, V::kWidth, V::kKind>()};
  });
}

Plan make_plan(const Call& call, const DeviceCaps& caps) {
  Plan plan;
  plan.width = width_for(call);
  if (plan.width == 0)
    throw std::invalid_argument("/q: heads of " + std::to_string(std::max(call.depth, call.value_depth)) + " elements; the CUDA kernels take at most " + std::to_string(kMaximumWidth));
  if (call.keys > std::numeric_limits<int32_t>::max() / 2) throw std::invalid_argument("/k: " + std::to_string(call.keys) + " keys; the CUDA kernels take at most 2^30");
  plan.statistics = call.probe_count > 0;
  plan.ordered = call.visual.on;
  plan.aligned = is_aligned(call);
  plan.gains = has_gains(call);
  const bool mixes = call.blend || call.visual.on;
  const Bundle single = is_plain(call) ? Bundle::kPlain : Bundle::kScore;
  // Parts have one segment each, so that one accumulator does; the coefficients of segments come with their combination.
  plan.tile = tile_size(call.element, plan.width, single);
  plan.segments = segment_count(call);
  plan.parts = parts_for(call, plan, caps);
  plan.bundle = mixes && plan.parts == 0 ? Bundle::kMix : single;
  plan.family = plan.parts > 0 ? Family::kSplit : Family::kDense;
  plan.tile = tile_size(call.element, plan.width, plan.bundle);
  if (const int width = caps.warpgroups && plan.family == Family::kDense ? warpgroup_width(call) : 0; width > 0) {
    plan.family = Family::kWarpgroup;
    plan.width = width;
    plan.listed = lists_keys(call);
    plan.tile = warpgroup_tile_size(width, plan.listed);
  }
  if (plan.tile.shared_bytes > caps.shared_bytes)
    throw std::invalid_argument("/q: this call needs " + std::to_string(plan.tile.shared_bytes) + " bytes of shared memory, the device has " + std::to_string(caps.shared_bytes));
  plan.value_chunks = static_cast<int>(parts_of(call.value_depth, plan.tile.values));
  plan.passes = 1 + (call.probe_count > 0 ? 1 : 0);
  plan.workspace = workspace_of(call, plan);
  return plan;
}

TileSize warpgroup_tile_size(int width, bool listed) {
  return with_warpgroup_width(width, [listed]<int W>(std::integral_constant<int, W>) {
    using Any = WarpgroupTile<W, false>;
    using Listed = WarpgroupTile<W, true>;
    return listed ? TileSize{Listed::kRows, Listed::kKeys, W, Listed::kThreads, warpgroup_shared_bytes<W, true>()}
                  : TileSize{Any::kRows, Any::kKeys, W, Any::kThreads, warpgroup_shared_bytes<W, false>()};
  });
}

std::string describe(const Plan& plan) {
  const auto number = [](const char* name, int64_t value) { return std::string(" ") + name + " " + std::to_string(value); };
  std::string text = plan.family == Family::kSplit ? "split " : plan.family == Family::kWarpgroup ? plan.listed ? "warpgroup listed " : "warpgroup " : "dense ";
  text += kBundleNames[static_cast<int>(plan.bundle)];
  text += " w" + std::to_string(plan.width) + " tile " + std::to_string(plan.tile.rows) + "x" + std::to_string(plan.tile.keys);
  text += number("threads", plan.tile.threads) + number("shared", plan.tile.shared_bytes) + number("workspace", plan.workspace.bytes) + number("passes", plan.passes);
  if (plan.parts > 0) text += number("parts", static_cast<int64_t>(plan.segments) * plan.parts);
  return text;
}

}  // namespace attelier::kernels::cuda
