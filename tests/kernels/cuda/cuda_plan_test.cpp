// Plans of calls, and the arrays that travel with them: pure host code.
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "kernels/cuda/host_arrays.h"
#include "kernels/cuda/plan.h"

namespace attelier::kernels::cuda {
namespace {

constexpr DeviceCaps kA100 = {.multiprocessors = 108, .shared_bytes = 163 << 10};
constexpr DeviceCaps kH200 = {.multiprocessors = 132, .shared_bytes = 227 << 10};
constexpr DeviceCaps kAda = {.multiprocessors = 128, .shared_bytes = 99 << 10};

const float kScale = 0.125f;

/// Contiguous [B,L,H,D] tensors at a made-up address.
Call call_of(int64_t batches, int64_t heads, int64_t rows, int64_t keys, int64_t depth, cpu::Element element = cpu::Element::kBFloat16) {
  Call call = {};
  call.element = element;
  call.batches = batches;
  call.heads = heads;
  call.rows = rows;
  call.keys = keys;
  call.depth = call.value_depth = depth;
  const void* const somewhere = reinterpret_cast<const void*>(uintptr_t{1} << 20);
  call.q = {somewhere, rows * heads * depth, depth, heads * depth};
  call.scales = &kScale;
  call.source_count = 1;
  call.sources[0].k = call.sources[0].v = {somewhere, keys * heads * depth, depth, heads * depth};
  call.sources[0].length = keys;
  call.sources[0].group = 1;
  return call;
}

TEST(CudaPlan, SmallestWidthThatHoldsBothDepths) {
  for (const auto& [depth, value_depth, width] : {std::array{40, 40, 48}, {15, 30, 32}, {64, 64, 64}, {64, 65, 80}, {80, 80, 80}, {129, 16, 160}, {161, 16, 256}, {256, 256, 256}, {257, 8, 0}}) {
    Call call = call_of(1, 8, 64, 64, depth);
    call.value_depth = value_depth;
    EXPECT_EQ(width_for(call), width) << depth << ", " << value_depth;
  }
  EXPECT_EQ(width_for(call_of(1, 1, 1, 1, 40, cpu::Element::kFloat32)), 64);
  EXPECT_THROW(make_plan(call_of(1, 8, 64, 64, 264), kA100), std::invalid_argument);
}

TEST(CudaPlan, SmallestBundleThatCoversTheControl) {
  Call call = call_of(2, 8, 4096, 4096, 40);
  EXPECT_EQ(make_plan(call, kA100).bundle, Bundle::kPlain);
  const auto bundle_after = [&](const auto& change) {
    Call changed = call;
    change(changed);
    return make_plan(changed, kA100).bundle;
  };
  const float number = 1;
  const int64_t map[2] = {1, 0};
  EXPECT_EQ(bundle_after([](Call& c) { c.causal = true; }), Bundle::kScore);
  EXPECT_EQ(bundle_after([&](Call& c) { c.sources[0].bias.data = &number; }), Bundle::kScore);
  EXPECT_EQ(bundle_after([&](Call& c) { c.sources[0].gain.data = &number; }), Bundle::kScore);
  EXPECT_EQ(bundle_after([&](Call& c) { c.sources[0].batch_map = map; }), Bundle::kScore);
  EXPECT_EQ(bundle_after([](Call& c) { c.scale_stride = 1; }), Bundle::kScore);
  EXPECT_EQ(bundle_after([](Call& c) { c.q2 = c.q; }), Bundle::kScore);
  EXPECT_EQ(bundle_after([](Call& c) { c.blend = true; }), Bundle::kMix);
  EXPECT_EQ(bundle_after([](Call& c) { c.visual.on = true; }), Bundle::kMix);
  const float negative = -1;
  EXPECT_EQ(bundle_after([&](Call& c) { c.scales = &negative; }), Bundle::kScore) << "the plain kernel looks for the largest s, not the largest z";
}

TEST(CudaPlan, KeysAreSplitOnlyWhereQueriesAreFew) {
  EXPECT_EQ(make_plan(call_of(2, 8, 4096, 4096, 40), kH200).parts, 0);
  const Plan decode = make_plan(call_of(1, 32, 1, 4096, 128), kH200);
  EXPECT_EQ(decode.family, Family::kSplit);
  EXPECT_GE(decode.parts * 32, 2 * 132) << "two blocks a multiprocessor";
  EXPECT_LE(decode.parts, kMaximumParts);
  EXPECT_EQ(make_plan(call_of(1, 32, 1, 77, 128), kH200).parts, 0) << "too few keys to share";
  Call visual = call_of(1, 32, 1, 4096, 128);
  visual.visual.on = true;
  const Plan split = make_plan(visual, kH200);
  EXPECT_EQ(split.segments, kClasses);
  EXPECT_EQ(split.bundle, Bundle::kScore) << "the combination applies the coefficients of classes";
  EXPECT_TRUE(split.ordered);
}

TEST(CudaPlan, EveryTileFitsTheSharedMemoryOfEveryDevice) {
  for (const cpu::Element element : {cpu::Element::kBFloat16, cpu::Element::kFloat16, cpu::Element::kFloat32})
    for (const int width : kWidths) {
      if (element == cpu::Element::kFloat32 && width != 64 && width != 256) continue;
      for (const Bundle bundle : {Bundle::kPlain, Bundle::kScore, Bundle::kMix}) {
        const TileSize tile = tile_size(element, width, bundle);
        EXPECT_LE(tile.shared_bytes, kAda.shared_bytes) << width;
        EXPECT_EQ(tile.rows % 16, 0);
        EXPECT_EQ(tile.keys % 16, 0);
        EXPECT_LE(tile.keys, tile.threads) << "each thread describes one key";
        if (element != cpu::Element::kFloat32 && width <= 160) { EXPECT_LE(2 * (tile.shared_bytes + 1024), 164 << 10) << "two blocks on compute capability 8.0"; }
      }
    }
}

TEST(CudaPlan, PiecesOfTheWorkspaceDoNotOverlap) {
  Call call = call_of(2, 4, 3, 2000, 64);
  call.visual.on = true;
  call.probe_count = 1;
  call.probes[0].reading = cpu::Reading::kTopk;
  const Plan plan = make_plan(call, kA100);
  const int64_t rows = 2 * 4 * 3;
  const Workspace& w = plan.workspace;
  EXPECT_GE(w.partial_state - w.partial, int64_t{4} * plan.parts * rows * 64 * 4);
  EXPECT_GE(w.statistics - w.partial_state, int64_t{4} * plan.parts * rows * kPartState * 4);
  EXPECT_GE(w.order - w.statistics, rows * kStatistics * 4);
  EXPECT_GE(w.class_count - w.order, 2 * 2000 * 4);
  EXPECT_GE(w.arrays - w.class_count, 2 * kClasses * 4);
  for (const int64_t at : {w.partial_state, w.statistics, w.order, w.class_count, w.arrays, w.bytes}) EXPECT_EQ(at % 256, 0);
  EXPECT_EQ(plan.passes, 2);
  EXPECT_EQ(make_plan(call_of(2, 8, 4096, 4096, 40), kA100).workspace.bytes, 0) << "plain attention needs no memory";
}

TEST(CudaPlan, RowsOn16BytesAreCopiedAsynchronously) {
  Call call = call_of(1, 8, 64, 64, 40);
  EXPECT_TRUE(make_plan(call, kA100).aligned);
  call.sources[0].v.row = 321;
  EXPECT_FALSE(make_plan(call, kA100).aligned);
  EXPECT_FALSE(make_plan(call_of(1, 3, 64, 64, 15), kA100).aligned);
}

TEST(CudaPlan, ArraysOfTheHost) {
  Call call = call_of(2, 3, 5, 64, 40);
  const std::vector<float> scales = {1, 2, 3}, weight = {0.5f}, head_weight = {1, 1, 1};
  const std::vector<int64_t> map = {1, -1};
  const std::vector<int32_t> heads = {0, 1, 2}, rows = {-1, 0, -1, 1, -1};
  call.scales = scales.data();
  call.sources[0].batch_map = map.data();
  EXPECT_EQ(host_arrays(call, true).size(), 1u) << "a scale that all heads share is passed by value";
  call.scale_stride = 1;
  call.blend = true;
  call.sources[0].blend_weight.data = weight.data();
  call.probe_count = 1;
  cpu::ProbeView& probe = call.probes[0];
  probe.reading = cpu::Reading::kRows;
  probe.head_slot = heads.data();
  probe.head_weight = head_weight.data();
  probe.row_slot = rows.data();
  drop_identities(call);
  EXPECT_EQ(call.probes[0].head_slot, nullptr);
  EXPECT_EQ(call.probes[0].row_slot, rows.data());
  const std::vector<HostArray> arrays = host_arrays(call, true);
  ASSERT_EQ(arrays.size(), 5u);
  EXPECT_EQ(arrays[0].bytes, 12);
  EXPECT_EQ(*arrays[1].pointer, map.data());
  EXPECT_EQ(bytes_of(arrays), 16 + 16 + 16 + 16 + 32);
  EXPECT_EQ(host_arrays(call, false).size(), 4u) << "weights that are tensors lie on the device already";
}

}  // namespace
}  // namespace attelier::kernels::cuda
