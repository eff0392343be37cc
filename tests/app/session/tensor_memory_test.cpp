// LibtorchMemory: baselines do not run on Attelier's memory, and tensors outlive the change in both directions.
#include "app/session/tensor_memory.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "app/session/attention_bench.h"
#include "app/session/machine.h"
#include "core/base/large_blocks.h"
#include "tests/testing/sanitizers.h"

namespace attelier {
namespace {

/// Libtorch's memory, and a record of what was asked for.
class Recorder : public c10::Allocator {
 public:
  Recorder() : before_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this); }
  ~Recorder() override { c10::SetCPUAllocator(before_); }
  c10::DataPtr allocate(size_t bytes) override {
    sizes_.push_back(bytes);
    return c10::GetDefaultCPUAllocator()->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return c10::GetDefaultCPUAllocator()->raw_deleter(); }
  void copy_data(void* target, const void* source, size_t bytes) const override { default_copy_data(target, source, bytes); }
  bool saw(size_t bytes) const { return std::find(sizes_.begin(), sizes_.end(), bytes) != sizes_.end(); }

 private:
  c10::Allocator* const before_;
  std::vector<size_t> sizes_;
};

TEST(TensorMemory, TensorsOutliveTheChange) {
  constexpr int64_t kFloats = int64_t{5} << 20;
  c10::Allocator* const before = c10::GetCPUAllocator();
  LargeBlocks& blocks = LargeBlocks::instance();
  keep_freed_memory();
  const size_t used = blocks.used();
  at::Tensor ours = at::ones({kFloats}), theirs;
  EXPECT_EQ(blocks.used(), used + 4 * kFloats);
  {
    const LibtorchMemory memory;
    theirs = at::ones({kFloats});
    EXPECT_EQ(blocks.used(), used + 4 * kFloats);
    ours = at::Tensor();
    EXPECT_EQ(blocks.used(), used);
  }
  EXPECT_EQ(theirs.sum().item<float>(), static_cast<float>(kFloats));
  theirs = at::ones({kFloats});
  EXPECT_EQ(blocks.used(), used + 4 * kFloats);
  theirs = at::Tensor();
  blocks.clear();
  c10::SetCPUAllocator(before);
}

TEST(TensorMemory, WhatIsKeptOfFreedMemoryGoesBack) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer keeps freed memory on purpose";
  c10::Allocator* const before = c10::GetCPUAllocator();
  keep_freed_memory();
  constexpr int64_t kMegabytes = 48;
  std::vector<at::Tensor> small, large;
  for (int64_t i = 0; i < kMegabytes; ++i) small.push_back(at::ones({1 << 18}));
  for (int64_t i = 0; i < 4; ++i) large.push_back(at::ones({1 << 22}));
  // A small block above them, so that the heap cannot shrink by itself.
  const at::Tensor last = at::ones({1 << 10});
  small.clear();
  large.clear();
  const int64_t kept = resident_memory();
  EXPECT_GT(LargeBlocks::instance().kept(), 0U);
  give_back_freed_memory();
  EXPECT_EQ(LargeBlocks::instance().kept(), 0U);
  EXPECT_LT(resident_memory(), kept - (kMegabytes << 19)) << "at least half of the small ones, beside the large ones";
  c10::SetCPUAllocator(before);
}

TEST(TensorMemory, TheEagerMatrixIsNotOurs) {
  AttentionBenchSettings settings;
  settings.batch = settings.heads = settings.repeat = 1;
  settings.queries = settings.keys = 700;
  settings.width = 8;
  settings.baseline = "eager";
  const Recorder recorder;
  const std::vector<AttentionBenchResult> results = bench_attention(settings, {});
  EXPECT_TRUE(recorder.saw(4 * 700 * 8));
  EXPECT_FALSE(recorder.saw(4 * 700 * 700));
  EXPECT_EQ(results[0].to_json(settings).at("baseline").at("allocator"), "libtorch");
}

}  // namespace
}  // namespace attelier
