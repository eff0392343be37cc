#include "core/base/large_blocks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

namespace attelier {
namespace {

constexpr size_t kMebi = size_t{1} << 20;

class LargeBlocksTest : public ::testing::Test {
 protected:
  LargeBlocksTest() { blocks_.clear(); }
  LargeBlocks& blocks_ = LargeBlocks::instance();
};

TEST_F(LargeBlocksTest, WhatWasFreedServesTheNextTensor) {
  c10::DataPtr first = blocks_.allocate(20 * kMebi);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first.get()) % (2 * kMebi), 0u);
  std::memset(first.get(), 1, 20 * kMebi);
  const void* const place = first.get();
  EXPECT_EQ(blocks_.used(), 20 * kMebi);
  first.clear();
  EXPECT_EQ(blocks_.used(), 0u);
  EXPECT_EQ(blocks_.kept(), 20 * kMebi);
  const c10::DataPtr second = blocks_.allocate(17 * kMebi);
  EXPECT_EQ(second.get(), place);
  EXPECT_EQ(blocks_.kept(), 0u);
}

TEST_F(LargeBlocksTest, SmallTensorsAreLibtorchs) {
  const c10::DataPtr small = blocks_.allocate(LargeBlocks::kLeast - 1), none = blocks_.allocate(0);
  EXPECT_NE(small.get(), nullptr);
  EXPECT_EQ(blocks_.used(), 0u);
  // Without the owner's handle, as oneDNN's scratch memory comes and goes.
  for (const size_t bytes : {size_t{1000}, 9 * kMebi}) blocks_.raw_deallocate(blocks_.raw_allocate(bytes));
  EXPECT_EQ(blocks_.used(), 0u);
  EXPECT_EQ(blocks_.kept(), 9 * kMebi);
}

TEST_F(LargeBlocksTest, KeepsNoMoreThanWasInUse) {
  c10::DataPtr a = blocks_.allocate(100 * kMebi);
  a.clear();
  // 100 MiB are kept; 40 do not fit well there, so the old ones must go before new ones come.
  c10::DataPtr b = blocks_.allocate(40 * kMebi);
  EXPECT_EQ(blocks_.kept(), 0u);
  b.clear();
  // These leave room for both.
  c10::DataPtr c = blocks_.allocate(60 * kMebi);
  EXPECT_EQ(blocks_.used() + blocks_.kept(), 100 * kMebi);
  blocks_.clear();
  EXPECT_EQ(blocks_.kept(), 0u);
  // A limit stands however much was in use.
  std::vector<c10::DataPtr> many;
  for (int i = 0; i < 8; ++i) many.push_back(blocks_.allocate(64 * kMebi));
  many.clear();
  EXPECT_EQ(blocks_.kept(), LargeBlocks::kMost);
}

TEST_F(LargeBlocksTest, ImpossibleSizesFail) {
  blocks_.allocate(16 * kMebi).clear();
  EXPECT_THROW(blocks_.allocate(SIZE_MAX / 2), c10::Error);
  EXPECT_EQ(blocks_.used(), 0u);
}

TEST_F(LargeBlocksTest, ThreadsShareThem) {
  const auto work = [this] {
    for (int i = 0; i < 200; ++i) {
      c10::DataPtr one = blocks_.allocate((8 + static_cast<size_t>(i) % 5) * kMebi);
      static_cast<char*>(one.get())[5] = static_cast<char>(i);
      EXPECT_EQ(static_cast<char*>(one.get())[5], static_cast<char>(i));
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(blocks_.used(), 0u);
}

TEST_F(LargeBlocksTest, MoreThanTheMachineHasIsRefusedBeforeItIsTouched) {
  size_t total = 0;
  std::ifstream file("/proc/meminfo");
  for (std::string name, rest; file >> name && std::getline(file, rest);)
    if (name == "MemTotal:" || name == "SwapTotal:") total += std::stoull(rest) * 1024;
  ASSERT_GT(total, 0u);
  try {
    blocks_.allocate(total + 1024 * kMebi);  // Linux would promise it
    FAIL() << "it was given";
  } catch (const c10::OutOfMemoryError& error) {
    EXPECT_NE(std::string(error.what()).find("out of memory"), std::string::npos) << error.what();
  }
  EXPECT_EQ(blocks_.used(), 0u);
  EXPECT_NE(blocks_.allocate(100 * kMebi).get(), nullptr);
}

}  // namespace
}  // namespace attelier
