// Which calls the kernels of compute capability 9.0 get, the boxes that their keys come in, and the check that they have to pass: host code.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "kernels/cuda/warpgroup_check.h"
#include "kernels/cuda/warpgroups.h"
#include "tests/kernels/cuda/emulated_device.h"

namespace attelier::kernels::cuda {
namespace {

/// One multiprocessor: keys are not split.
constexpr DeviceCaps kHopper = {.multiprocessors = 1, .shared_bytes = 227 << 10, .warpgroups = true};
constexpr DeviceCaps kH200 = {.multiprocessors = 132, .shared_bytes = 227 << 10, .warpgroups = true};

const float kScale = 0.125f;
const void* const kSomewhere = reinterpret_cast<const void*>(uintptr_t{1} << 20);

/// Contiguous [B,L,H,D] tensors at a made-up address.
Call call_of(int64_t batches, int64_t heads, int64_t rows, int64_t keys, int64_t depth) {
  Call call = {};
  call.element = cpu::Element::kBFloat16;
  call.batches = batches;
  call.heads = heads;
  call.rows = rows;
  call.keys = keys;
  call.depth = call.value_depth = depth;
  call.q = {kSomewhere, rows * heads * depth, depth, heads * depth};
  call.scales = &kScale;
  call.source_count = 1;
  call.sources[0].k = call.sources[0].v = {kSomewhere, keys * heads * depth, depth, heads * depth};
  call.sources[0].length = keys;
  call.sources[0].group = 1;
  return call;
}

Plan plan_after(const std::function<void(Call&)>& change, const DeviceCaps& caps = kHopper) {
  Call call = call_of(2, 8, 4096, 4096, 40);
  change(call);
  return make_plan(call, caps);
}

TEST(CudaWarpgroupPlan, OnCompute90AloneAndWhereTheyCoverTheCall) {
  const auto nothing = [](Call&) {};
  EXPECT_EQ(plan_after(nothing).family, Family::kWarpgroup);
  EXPECT_EQ(plan_after(nothing, kH200).family, Family::kWarpgroup);
  DeviceCaps other = kHopper;
  other.warpgroups = false;
  EXPECT_EQ(plan_after(nothing, other).family, Family::kDense);
  EXPECT_EQ(plan_after([](Call& c) { c.rows = 64; }).family, Family::kDense) << "half a block";
  EXPECT_EQ(plan_after([](Call& c) { c.keys = c.sources[0].length = 128; }).family, Family::kDense) << "one tile";
  EXPECT_EQ(plan_after([](Call& c) { c.element = cpu::Element::kFloat32; }).family, Family::kDense);
  EXPECT_EQ(plan_after([](Call& c) { c.blend = true; }).family, Family::kDense);
  EXPECT_EQ(plan_after([](Call& c) { c.visual.on = true; }).family, Family::kDense);
  EXPECT_EQ(plan_after([](Call& c) { c.pair_bias.data = &kScale; }).family, Family::kDense);
  EXPECT_EQ(plan_after([](Call& c) { c.depth = 168; }).family, Family::kDense) << "wider than every kernel";
  EXPECT_EQ(make_plan(call_of(1, 1, 100, 8192, 64), kH200).family, Family::kSplit) << "too few blocks";
  for (const auto& change : std::vector<std::function<void(Call&)>>{[](Call& c) { c.causal = true; }, [](Call& c) { c.q2 = c.q; }, [](Call& c) { c.sources[0].log_weight = 1; },
                                                                    [](Call& c) { c.q.row += 1; }}) {
    const Plan plan = plan_after(change);
    EXPECT_EQ(plan.family, Family::kWarpgroup);
    EXPECT_FALSE(plan.listed);
  }
}

TEST(CudaWarpgroupPlan, KeysAreListedWhereTheyDiffer) {
  const float negative[8] = {1, 1, 1, 1, 1, -1, 1, 1};
  for (const auto& change : std::vector<std::function<void(Call&)>>{[](Call& c) { c.sources[0].bias.data = &kScale; }, [](Call& c) { c.sources[0].scale.data = &kScale; },
                                                                    [](Call& c) { c.sources[0].gain.data = &kScale; }, [](Call& c) { c.class_gain = &kScale; },
                                                                    [&](Call& c) { c.scales = negative; c.scale_stride = 1; }}) {
    const Plan plan = plan_after(change);
    EXPECT_EQ(plan.family, Family::kWarpgroup);
    EXPECT_TRUE(plan.listed);
  }
  EXPECT_FALSE(plan_after([&](Call& c) { c.scales = negative; }).listed) << "the first is for all heads";
}

TEST(CudaWarpgroupPlan, SmallestWidthAndItsTile) {
  for (const auto& [depth, value_depth, width] : {std::array{40, 40, 40}, {8, 32, 40}, {48, 40, 64}, {64, 64, 64}, {64, 72, 80}, {80, 80, 80}, {88, 16, 128}, {160, 160, 160}}) {
    const Plan plan = plan_after([&, d = depth, v = value_depth](Call& c) { c.depth = d; c.value_depth = v; });
    EXPECT_EQ(plan.width, width) << depth << ", " << value_depth;
  }
  for (const int width : kWarpgroupWidths)
    for (const bool listed : {false, true}) {
      const TileSize tile = warpgroup_tile_size(width, listed);
      EXPECT_LE(tile.shared_bytes, kHopper.shared_bytes) << width;
      EXPECT_EQ(tile.rows, 128);
      EXPECT_EQ(tile.keys % 16, 0);
      EXPECT_LE(tile.keys, kWarpgroup) << "each thread of the producer describes one key";
      EXPECT_EQ(tile.threads, 384);
    }
  EXPECT_EQ(describe(plan_after([](Call&) {})).substr(0, 44), "warpgroup plain w40 tile 128x128 threads 384");
}

TEST(CudaWarpgroupPlan, BoxesOfKeys) {
  Call call = call_of(3, 8, 100, 200, 64);
  call.sources[0].group = 4;
  call.sources[0].k = {kSomewhere, 200 * 128, 64, 128};
  KeyBoxes boxes = key_boxes(call, 96);
  EXPECT_EQ(boxes.sources, 1);
  EXPECT_EQ(boxes.k[0].columns, 64);
  EXPECT_EQ(boxes.k[0].rows, 200);
  EXPECT_EQ(boxes.k[0].heads, 2);
  EXPECT_EQ(boxes.k[0].batches, 3);
  EXPECT_EQ(boxes.k[0].row_stride, 256);
  EXPECT_EQ(boxes.k[0].head_stride, 128);
  EXPECT_EQ(boxes.k[0].batch_stride, 200 * 256);
  EXPECT_EQ(boxes.k[0].box_rows, 96);
  const int64_t map[3] = {4, -1, 2};
  call.sources[0].batch_map = map;
  EXPECT_EQ(key_boxes(call, 96).k[0].batches, 5);
  call.sources[0].k.batch = call.sources[0].k.head = 0;
  boxes = key_boxes(call, 96);
  EXPECT_EQ(boxes.k[0].batches, 1) << "broadcast";
  EXPECT_EQ(boxes.k[0].heads, 1);
  EXPECT_GT(boxes.k[0].batch_stride, 0);
}

TEST(CudaWarpgroupPlan, RowsThatNoBoxCanBeTakenFromGoToTheOthers) {
  const auto refused = [](const std::function<void(Call&)>& change) { return plan_after(change).family == Family::kDense; };
  EXPECT_TRUE(refused([](Call& c) { c.sources[0].k.row += 1; }));
  EXPECT_TRUE(refused([](Call& c) { c.sources[0].v.head += 4; }));
  EXPECT_TRUE(refused([](Call& c) { c.sources[0].v.batch += 7; }));
  EXPECT_TRUE(refused([](Call& c) { c.sources[0].k.data = static_cast<const char*>(kSomewhere) + 8; }));
  EXPECT_TRUE(refused([](Call& c) { c.sources[0].v.row = 0; })) << "one row repeated";
  EXPECT_TRUE(refused([](Call& c) { c.source_count = 2; c.sources[1].group = 1; })) << "a source without keys";
  EXPECT_TRUE(refused([](Call& c) { c.sources[0].v.row = int64_t{1} << 40; }));
  EXPECT_FALSE(refused([](Call& c) { c.batches = 1; c.sources[0].v.batch = 7; })) << "a stride that is never taken";
}

/// Host memory as a device's.
class EmulatedCheck : public CheckedDevice {
 public:
  explicit EmulatedCheck(Device& device) : device_(device) {}
  char* allocate(int64_t bytes) override {
    memory_.emplace_back(new char[static_cast<size_t>(bytes) + 256]);
    char* const start = memory_.back().get();
    return start + (256 - reinterpret_cast<uintptr_t>(start) % 256) % 256;
  }
  void upload(char* to, const void* from, int64_t bytes) override { std::memcpy(to, from, static_cast<size_t>(bytes)); }
  void download(void* to, const char* from, int64_t bytes) override { std::memcpy(to, from, static_cast<size_t>(bytes)); }
  Device& kernels() override { return device_; }
  int64_t shared_bytes() const override { return 227 << 10; }

 private:
  Device& device_;
  std::vector<std::unique_ptr<char[]>> memory_;
};

TEST(CudaWarpgroupCheck, EveryKernelPasses) {
  for (const cpu::Element element : {cpu::Element::kBFloat16, cpu::Element::kFloat16})
    for (const int width : kWarpgroupWidths)
      for (const bool listed : {false, true}) {
        EmulatedDevice device;
        EmulatedCheck check(device);
        EXPECT_EQ(compare_kernels({element, width, listed}, check), "") << width << ", " << listed;
      }
}

/// Kernels that do something wrong.
class FaultyDevice : public EmulatedDevice {
 public:
  explicit FaultyDevice(std::function<void(const Arguments&)> fault) : fault_(std::move(fault)) {}
  void attend(const Plan& plan, const Blocks& blocks, const Arguments& a) override {
    if (plan.family != Family::kWarpgroup) return EmulatedDevice::attend(plan, blocks, a);
    if (runs) EmulatedDevice::attend(plan, blocks, a);
    fault_(a);
  }
  bool takes_warpgroups(const Plan& plan, cpu::Element element, const KeyBoxes& boxes) override { return has_maps && EmulatedDevice::takes_warpgroups(plan, element, boxes); }

  bool runs = true, has_maps = true;

 private:
  std::function<void(const Arguments&)> fault_;
};

std::string finding(FaultyDevice& device) {
  EmulatedCheck check(device);
  return compare_kernels({cpu::Element::kFloat16, 40, false}, check);
}

TEST(CudaWarpgroupCheck, NoticesOneWrongElement) {
  FaultyDevice right([](const Arguments&) {});
  EXPECT_EQ(finding(right), "");
  FaultyDevice wrong([](const Arguments& a) {
    Float16& last = static_cast<Float16*>(a.call.o)[a.call.batches * a.call.heads * a.call.rows * a.call.value_depth - 1];
    round_to(last, to_float(last) + 0.01f);
  });
  EXPECT_NE(finding(wrong).find("outputs differ by 0.0"), std::string::npos);
  FaultyDevice other_sum([](const Arguments& a) { a.call.lse[7] += 0.01f; });
  EXPECT_NE(finding(other_sum), "");
  FaultyDevice idle([](const Arguments&) {});
  idle.runs = false;
  EXPECT_NE(finding(idle).find("inf"), std::string::npos) << "an output that nothing was written to";
  FaultyDevice without_maps([](const Arguments&) {});
  without_maps.has_maps = false;
  EXPECT_EQ(finding(without_maps), "tensor maps cannot be made");
}

constexpr WarpgroupKernel kOne = {cpu::Element::kFloat16, 64, false}, kAnother = {cpu::Element::kFloat16, 64, true};

TEST(CudaWarpgroupGuard, ChecksAKernelOnceOnADevice) {
  std::vector<std::string> warnings;
  WarpgroupGuard guard(true, [&](const std::string& text) { warnings.push_back(text); });
  int checks = 0;
  const auto agrees = [&]() -> std::optional<std::string> { ++checks; return ""; };
  for (int time = 0; time < 3; ++time) EXPECT_TRUE(guard.allows(0, kOne, agrees));
  EXPECT_EQ(checks, 1);
  EXPECT_TRUE(guard.allows(1, kOne, agrees));
  EXPECT_TRUE(guard.allows(0, kAnother, agrees));
  EXPECT_EQ(checks, 3);
  EXPECT_TRUE(warnings.empty());
}

TEST(CudaWarpgroupGuard, TurnsADeviceOffWithOneWarning) {
  std::vector<std::string> warnings;
  WarpgroupGuard guard(true, [&](const std::string& text) { warnings.push_back(text); });
  const auto agrees = []() -> std::optional<std::string> { return ""; };
  const auto differs = []() -> std::optional<std::string> { return "outputs differ"; };
  const auto fails = []() -> std::optional<std::string> { throw std::runtime_error("an illegal instruction was encountered"); };
  EXPECT_TRUE(guard.allows(0, kOne, agrees));
  EXPECT_FALSE(guard.allows(0, kAnother, differs));
  EXPECT_FALSE(guard.allows(0, kOne, agrees)) << "what is wrong with one kernel is not trusted in another";
  EXPECT_FALSE(guard.allows(0, kAnother, agrees));
  ASSERT_EQ(warnings.size(), 1u);
  for (const char* part : {"GPU 0", "64", "outputs differ", "ATTELIER_CUDA_WGMMA=0"}) EXPECT_NE(warnings[0].find(part), std::string::npos) << warnings[0];
  EXPECT_FALSE(guard.allows(1, kOne, fails));
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_NE(warnings[1].find("an illegal instruction was encountered"), std::string::npos);
  EXPECT_TRUE(guard.allows(2, kOne, agrees));
}

TEST(CudaWarpgroupGuard, AsksAgainWhereNothingCanBeChecked) {
  WarpgroupGuard guard(true, [](const std::string&) { FAIL(); });
  EXPECT_FALSE(guard.allows(0, kOne, []() -> std::optional<std::string> { return std::nullopt; }));
  EXPECT_TRUE(guard.allows(0, kOne, []() -> std::optional<std::string> { return ""; }));
}

TEST(CudaWarpgroupGuard, CanBeTurnedOffByHand) {
  WarpgroupGuard guard(false, [](const std::string&) { FAIL(); });
  EXPECT_FALSE(guard.allows(0, kOne, []() -> std::optional<std::string> { ADD_FAILURE(); return ""; }));
  ASSERT_EQ(unsetenv("ATTELIER_CUDA_WGMMA"), 0);
  EXPECT_TRUE(warpgroups_wanted());
  ASSERT_EQ(setenv("ATTELIER_CUDA_WGMMA", "0", 1), 0);
  EXPECT_FALSE(warpgroups_wanted());
  ASSERT_EQ(setenv("ATTELIER_CUDA_WGMMA", "1", 1), 0);
  EXPECT_TRUE(warpgroups_wanted());
  ASSERT_EQ(unsetenv("ATTELIER_CUDA_WGMMA"), 0);
}

/// What plan_for() does with a device that does not take them, for whatever reason.
TEST(CudaWarpgroupGuard, RefusedPlansGoToTheOtherKernels) {
  const Call call = call_of(2, 8, 4096, 4096, 40);
  FaultyDevice device([](const Arguments&) {});
  EXPECT_EQ(plan_for(call, kHopper, device).family, Family::kWarpgroup);
  device.has_maps = false;
  const Plan plan = plan_for(call, kHopper, device);
  EXPECT_EQ(plan.family, Family::kDense);
  EXPECT_EQ(plan.width, 48);
  EXPECT_EQ(plan.tile.threads, 128);
}

}  // namespace
}  // namespace attelier::kernels::cuda
