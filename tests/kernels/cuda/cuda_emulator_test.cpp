// The emulator itself: index maps of the matrix instructions against a plain product, and the mistakes that it has to notice.
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/cuda/fragments.h"
#include "kernels/cuda/order.h"

namespace attelier::kernels::cuda {
namespace {

constexpr int kStride = 24;  // elements between rows of the tiles below

template <typename T>
T rounded(float x) {
  T y;
  round_to(y, x);
  return y;
}

/// C = A B of one 16x16x16 product, by fragments, `by_row` with B stored [k][column].
template <typename T>
void expect_product(bool by_row) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  alignas(16) T a[16 * kStride], b[16 * kStride];
  for (int i = 0; i < 16 * kStride; ++i) {
    a[i] = rounded<T>(uniform(random));
    b[i] = rounded<T>(uniform(random));
  }
  float c[16][16] = {};
  emulator::run({}, [&] {
    Fragment<T> fa, fb;
    float left[4] = {}, right[4] = {};
    load_a(fa, a, kStride);
    if (by_row) load_b_by_row(fb, b, kStride);
    else load_b_by_column(fb, b, kStride);
    multiply_pair(left, right, fa, fb);
    for (int i = 0; i < 4; ++i) {
      const int row = thread_index() / 4 + 8 * (i / 2), column = 2 * (thread_index() % 4) + i % 2;
      c[row][column] = left[i];
      c[row][8 + column] = right[i];
    }
  });
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      double sum = 0;
      for (int k = 0; k < 16; ++k) sum += static_cast<double>(to_float(a[i * kStride + k])) * static_cast<double>(to_float(by_row ? b[k * kStride + j] : b[j * kStride + k]));
      EXPECT_NEAR(c[i][j], sum, 1e-5) << i << ", " << j;
    }
}

TEST(CudaEmulator, ProductsOfFragments) {
  for (const bool by_row : {false, true}) {
    expect_product<BFloat16>(by_row);
    expect_product<Float16>(by_row);
    expect_product<float>(by_row);
  }
}

TEST(CudaEmulator, AccumulatorsBecomeOperandsInPlace) {
  alignas(16) BFloat16 a[16 * kStride], identity[16 * kStride] = {};
  for (int i = 0; i < 16 * kStride; ++i) a[i] = rounded<BFloat16>(static_cast<float>(i % 251));
  for (int i = 0; i < 16; ++i) identity[i * kStride + i] = rounded<BFloat16>(1);
  float twice[16][8] = {};
  emulator::run({}, [&] {
    Fragment<BFloat16> fa, fb, again;
    float left[4] = {}, right[4] = {}, result[4] = {}, unused[4] = {};
    load_a(fa, a, kStride);
    load_b_by_row(fb, identity, kStride);
    multiply_pair(left, right, fa, fb);
    to_a(again, left, right);
    multiply_pair(result, unused, again, fb);
    for (int i = 0; i < 4; ++i) twice[thread_index() / 4 + 8 * (i / 2)][2 * (thread_index() % 4) + i % 2] = result[i];
  });
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) EXPECT_EQ(twice[i][j], to_float(a[i * kStride + j]));
}

TEST(CudaEmulator, BarriersOrderTheWarpsOfABlock) {
  std::vector<int> seen(128);
  emulator::run({.x = 3, .threads = 128, .shared_bytes = 512}, [&] {
    auto* const shared = reinterpret_cast<int*>(shared_memory());
    shared[thread_index()] = 10 * block_x() + thread_index();
    barrier();
    seen[static_cast<size_t>(thread_index())] = shared[127 - thread_index()];
  });
  for (int i = 0; i < 128; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], 20 + 127 - i);
}

TEST(CudaEmulator, NoticesAMissingBarrier) {
  int wrong = 0;
  emulator::run({.threads = 64, .shared_bytes = 256}, [&] {
    auto* const shared = reinterpret_cast<int*>(shared_memory());
    shared[thread_index()] = 1;
    wrong += shared[63 - thread_index()] != 1;
  });
  EXPECT_GT(wrong, 0);
}

TEST(CudaEmulator, NoticesAMissingWait) {
  alignas(16) const float numbers[4] = {1, 2, 3, 4};
  float early = 0, late = 0;
  emulator::run({.shared_bytes = 16}, [&] {
    if (thread_index() == 0) copy_async(shared_memory(), numbers, 12);
    if (thread_index() == 0) early = reinterpret_cast<float*>(shared_memory())[0];
    wait_copies();
    barrier();
    late = reinterpret_cast<float*>(shared_memory())[2] + reinterpret_cast<float*>(shared_memory())[3];
  });
  EXPECT_FALSE(early == 1);
  EXPECT_EQ(late, 3);
}

TEST(CudaEmulator, RefusesWhatAGpuWouldHangOrFaultOn) {
  const auto run = [](int threads, const std::function<void()>& kernel) { emulator::run({.threads = threads, .shared_bytes = 64}, kernel); };
  EXPECT_THROW(run(32, [] { if (thread_index() < 16) shuffle_xor(1, 1); }), std::logic_error) << "half a warp shuffles";
  EXPECT_THROW(run(64, [] { if (thread_index() < 32) barrier(); }), std::logic_error) << "a warp misses the barrier";
  EXPECT_THROW(run(32, [] { copy_async(shared_memory() + 8, nullptr, 0); }), std::logic_error) << "an address not on 16 bytes";
  EXPECT_THROW(run(32, [] { copy_async(shared_memory(), nullptr, 0); }), std::logic_error) << "a copy nobody waits for";
}

/// Columns by class, ascending within each, without the sources that the batch row lacks.
TEST(CudaEmulator, KeysInOrderOfTheirClasses) {
  constexpr int64_t kKeys = 700, kOther = 41;
  std::mt19937 random(3);
  std::vector<uint8_t> classes(2 * kKeys);
  for (uint8_t& each : classes) each = static_cast<uint8_t>(random() % 4);
  const int64_t map[2] = {0, -1};
  Arguments a = {};
  a.call.batches = 2;
  a.call.source_count = 2;
  a.call.sources[0].length = kKeys;
  a.call.sources[0].key_class = classes.data();
  a.call.sources[0].class_batch = kKeys;
  a.call.sources[0].class_key = 1;
  a.call.sources[1].begin = kKeys;
  a.call.sources[1].length = kOther;
  a.call.sources[1].batch_map = map;
  a.call.keys = kKeys + kOther;
  std::vector<int32_t> order(2 * static_cast<size_t>(a.call.keys), -7);
  int32_t count[2][kClasses] = {};
  emulator::run({.x = 2, .threads = kOrderThreads, .shared_bytes = kOrderSharedBytes}, [&] { order_keys(a, order.data(), &count[0][0]); });
  for (int64_t b = 0; b < 2; ++b) {
    std::vector<int32_t> expected;
    for (int k = 0; k < kClasses; ++k) {
      const size_t before = expected.size();
      for (int64_t column = 0; column < a.call.keys; ++column) {
        if (column >= kKeys && map[b] < 0) continue;
        if ((column < kKeys ? classes[static_cast<size_t>(b * kKeys + column)] : 0) == k) expected.push_back(static_cast<int32_t>(column));
      }
      EXPECT_EQ(count[b][k], static_cast<int32_t>(expected.size() - before));
    }
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), order.begin() + b * a.call.keys)) << "batch row " << b;
  }
}

}  // namespace
}  // namespace attelier::kernels::cuda
