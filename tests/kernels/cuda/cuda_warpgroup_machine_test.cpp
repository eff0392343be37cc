// The part of the emulated machine that only compute capability 9.0 has: swizzle, operands, boxes, barriers and products of warpgroups, against what the PTX ISA says of
// them written out plainly; and the mistakes that it has to notice.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <stdexcept>
#include <vector>

#include "kernels/cuda/machine_warpgroup.h"

namespace attelier::kernels::cuda {
namespace {

template <typename T>
T rounded(float x) {
  T y;
  round_to(y, x);
  return y;
}

template <typename T>
std::vector<T> random_elements(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<T> all;
  for (int64_t i = 0; i < count; ++i) all.push_back(rounded<T>(uniform(random)));
  return all;
}

TEST(CudaWarpgroupMachine, SwizzlePermutesThePiecesOfARow) {
  for (uint32_t row = 0; row < 64; ++row) {
    std::set<uint32_t> pieces;
    for (uint32_t piece = 0; piece < 8; ++piece) {
      const uint32_t address = row * 128 + piece * 16, place = swizzled(address + 6);
      EXPECT_EQ(place, row * 128 + (piece ^ row % 8) * 16 + 6);
      EXPECT_EQ(swizzled(place), address + 6) << "twice is nothing";
      pieces.insert(place / 16);
    }
    EXPECT_EQ(pieces.size(), 8u);
  }
  // One piece of eight rows lies in eight different groups of banks: a matrix of 8 x 16 bytes is read at once.
  for (uint32_t piece = 0; piece < 8; ++piece) {
    std::set<uint32_t> banks;
    for (uint32_t row = 0; row < 8; ++row) banks.insert(swizzled(row * 128 + piece * 16) % 128);
    EXPECT_EQ(banks.size(), 8u);
  }
}

TEST(CudaWarpgroupMachine, FieldsOfAnOperand) {
  constexpr uint64_t bits = operand(0x2c460, 0x4000, 1024);
  EXPECT_EQ(bits & 0x3fff, 0x2c460u >> 4);
  EXPECT_EQ(bits >> 16 & 0x3fff, 0x400u);
  EXPECT_EQ(bits >> 32 & 0x3fff, 64u);
  EXPECT_EQ(bits >> 49 & 7, 0u);
  EXPECT_EQ(bits >> 62, 1u) << "128-byte swizzle";
}

constexpr int kBoxRows = 16;

/// The box of a [2, 3, 21, 70] tensor that begins at `first` (column, row, head, batch), as rows without swizzle.
std::vector<float> fetched_box(const std::array<int, 4>& first) {
  constexpr int64_t kColumns = 70, kPitch = 72, kRows = 21, kHeads = 3, kBatches = 2;
  const std::vector<Float16> tensor = random_elements<Float16>(kBatches * kRows * kHeads * kPitch, 5);
  const TensorMap map = map_of({tensor.data(), cpu::Element::kFloat16, kBoxRows, kColumns, kRows, kHeads, kBatches, kHeads * kPitch * 2, kPitch * 2, kRows * kHeads * kPitch * 2});
  std::vector<float> box(kBoxRows * kBoxColumns);
  emulator::run({.threads = 128, .shared_bytes = 4096}, [&] {
    auto& full = *reinterpret_cast<SharedBarrier*>(shared_memory() + 2048);
    if (thread_index() == 0) {
      start_barrier(full, 1);
      publish_barriers();
    }
    barrier();
    if (thread_index() == 0) {
      arrive_expecting(full, kBoxRows * kBoxRowBytes);
      copy_box(shared_memory(), map, first[0], first[1], first[2], first[3], full);
    }
    await(full, 0);
    for (int i = thread_index(); i < kBoxRows * kBoxColumns; i += 128) {
      Float16 element;
      std::memcpy(&element, shared_memory() + swizzled(static_cast<uint32_t>(2 * i)), sizeof element);
      box[static_cast<size_t>(i)] = to_float(element);
    }
  });
  for (int r = 0; r < kBoxRows; ++r)
    for (int c = 0; c < kBoxColumns; ++c) {
      const int64_t row = first[1] + r, column = first[0] + c;
      const bool inside = row < kRows && column < kColumns;
      const float expected = inside ? to_float(tensor[static_cast<size_t>(((first[3] * kRows + row) * kHeads + first[2]) * kPitch + column)]) : 0;
      EXPECT_EQ(box[static_cast<size_t>(r * kBoxColumns + c)], expected) << r << ", " << c;
    }
  return box;
}

TEST(CudaWarpgroupMachine, BoxesEndInZerosBeyondTheTensor) {
  fetched_box({0, 0, 0, 0});
  fetched_box({0, 3, 2, 1});
  const std::vector<float> corner = fetched_box({64, 16, 1, 1});
  EXPECT_NE(corner[4 * kBoxColumns + 5], 0);
  EXPECT_EQ(corner[4 * kBoxColumns + 6], 0) << "the last column";
  EXPECT_EQ(corner[5 * kBoxColumns], 0) << "the last row";
}

/// D = A B and again += A B of a warpgroup with N columns, B by column or by row, A in shared memory or registers; A [64, 16] and B begin `k` elements into rows of 64.
template <typename T, int N>
void expect_product(bool in_registers, uint32_t k) {
  constexpr int kBRows = N > 128 ? 192 : 128;  // of 64 elements: chunks of 64 columns, or N rows
  const std::vector<T> a = random_elements<T>(64 * 64, 1), b = random_elements<T>(kBRows * 64 * 2, 2);
  constexpr uint32_t kB = 8192;
  std::vector<float> result(64 * N);
  emulator::run({.threads = 256, .shared_bytes = kB + 3 * 16384}, [&] {
    for (int i = thread_index(); i < 64 * 8 + kBRows * 8; i += 256) {
      Piece<T> piece;
      const bool is_a = i < 64 * 8;
      const int at = is_a ? i : i - 64 * 8;
      std::memcpy(&piece, (is_a ? a.data() : b.data()) + at * 8, sizeof piece);
      store_piece(shared_memory() + (is_a ? 0 : kB) + swizzled(static_cast<uint32_t>(at) * 16), piece);
    }
    show_stores();
    barrier();
    if (thread_index() < kWarpgroup) return;  // the second warpgroup multiplies
    const int thread = thread_index() - kWarpgroup;
    float d[N / 8][4];
    uint32_t words[4];
    for (int i = 0; i < 4; ++i) {
      const int row = 16 * (thread / 32) + thread % 32 / 4 + 8 * (i % 2), column = static_cast<int>(k) + 2 * (thread % 4) + 8 * (i / 2);
      std::memcpy(&words[i], a.data() + row * 64 + column, 4);
    }
    start_products();
    if (in_registers) {
      for (auto& each : d) std::fill_n(each, 4, 0.0f);
      start_products();
      for (int time = 0; time < 2; ++time) multiply_registers<T>(d, words, operand(kB + k * 128, 64 * 128, 1024));
    } else {
      multiply_shared<T, false>(d, operand(2 * k, 16, 1024), operand(kB + 2 * k, 16, 1024));
      multiply_shared<T, true>(d, operand(2 * k, 16, 1024), operand(kB + 2 * k, 16, 1024));
    }
    commit_products();
    EXPECT_TRUE(d[0][0] != d[0][0]) << "nothing is there before the wait";
    wait_products<0>();
    settle(d);
    for (int n = 0; n < N / 8; ++n)
      for (int e = 0; e < 4; ++e) result[static_cast<size_t>((16 * (thread / 32) + thread % 32 / 4 + 8 * (e / 2)) * N + 8 * n + 2 * (thread % 4) + e % 2)] = d[n][e];
  });
  for (int i = 0; i < 64; ++i)
    for (int j = 0; j < N; ++j) {
      double sum = 0;
      for (uint32_t step = k; step < k + 16; ++step) {
        // By row: chunks of 64 keys x 64 columns follow each other.
        const size_t at = in_registers ? static_cast<size_t>(j / 64 * 64 + static_cast<int>(step)) * 64 + static_cast<size_t>(j % 64) : static_cast<size_t>(j * 64) + step;
        sum += static_cast<double>(to_float(a[static_cast<size_t>(i * 64) + step])) * static_cast<double>(to_float(b[at]));
      }
      ASSERT_NEAR(result[static_cast<size_t>(i * N + j)], 2 * sum, 1e-5) << i << ", " << j;
    }
}

TEST(CudaWarpgroupMachine, ProductsFromSharedMemory) {
  for (const uint32_t k : {0u, 16u, 48u}) {
    expect_product<BFloat16, 128>(false, k);
    expect_product<Float16, 96>(false, k);
  }
}

TEST(CudaWarpgroupMachine, ProductsFromRegisters) {
  for (const uint32_t k : {0u, 16u, 48u}) {
    expect_product<BFloat16, 40>(true, k);
    expect_product<Float16, 64>(true, k);
    expect_product<BFloat16, 80>(true, k);
    expect_product<Float16, 128>(true, k);
    expect_product<BFloat16, 160>(true, k);
  }
}

/// The phases of a barrier alternate, and a turn given at a barrier of warps is one that another warpgroup takes.
TEST(CudaWarpgroupMachine, BarriersGoThroughTheirPhases) {
  std::vector<int> seen;
  emulator::run({.threads = 256, .shared_bytes = 64}, [&] {
    auto* const barriers = reinterpret_cast<SharedBarrier*>(shared_memory());
    auto& number = *reinterpret_cast<int*>(shared_memory() + 32);
    if (thread_index() == 0) {
      start_barrier(barriers[0], kWarpgroup);
      start_barrier(barriers[1], kWarpgroup);
      publish_barriers();
    }
    barrier();
    for (int round = 0; round < 5; ++round) {
      if (thread_index() < kWarpgroup) {
        await(barriers[1], ~round & 1);  // free: passes at once in the first round
        if (thread_index() == 0) number = 10 + round;
        arrive(barriers[0]);
      } else {
        await(barriers[0], round & 1);
        if (thread_index() == kWarpgroup) seen.push_back(number);
        arrive(barriers[1]);
      }
    }
    if (thread_index() < kWarpgroup) arrive_warp(3, 256);
    else sync_warps(3, 256);
  });
  EXPECT_EQ(seen, (std::vector<int>{10, 11, 12, 13, 14}));
}

/// A kernel of one warpgroup with 8 KB of shared memory and a barrier at their end.
void run_mistake(const std::function<void(SharedBarrier&)>& kernel) {
  emulator::run({.threads = kWarpgroup, .shared_bytes = 16384}, [&] {
    auto& full = *reinterpret_cast<SharedBarrier*>(shared_memory() + 16000);
    if (thread_index() == 0) start_barrier(full, 1);
    barrier();
    kernel(full);
  });
}

TEST(CudaWarpgroupMachine, RefusesWhatAGpuWouldGetWrong) {
  alignas(16) static const BFloat16 tensor[64 * 64] = {};
  static const TensorMap map = map_of({tensor, cpu::Element::kBFloat16, 64, 64, 64, 1, 1, 128, 128, 128});
  const auto product = [](float (&d)[16][4], uint32_t b = 0) { multiply_shared<BFloat16, false>(d, operand(0, 16, 1024), operand(b, 16, 1024)); };
  const auto fills = [](const auto& mistake) { return [mistake](SharedBarrier& full) { float d[16][4]; mistake(d, full); }; };
  using D = float[16][4];
  EXPECT_NO_THROW(run_mistake(fills([&](D& d, SharedBarrier&) { start_products(); product(d); commit_products(); wait_products<0>(); })));
  EXPECT_THROW(run_mistake(fills([&](D& d, SharedBarrier&) { product(d); commit_products(); wait_products<0>(); })), std::logic_error) << "registers are not handed over";
  EXPECT_THROW(run_mistake(fills([&](D& d, SharedBarrier&) { start_products(); product(d); wait_products<0>(); })), std::logic_error) << "not committed";
  EXPECT_THROW(run_mistake(fills([&](D& d, SharedBarrier&) { start_products(); product(d); commit_products(); })), std::logic_error) << "nobody waits";
  EXPECT_THROW(run_mistake(fills([&](D& d, SharedBarrier&) {
    start_products();
    product(d);
    commit_products();
    barrier();
    if (thread_index() == 0) shared_memory()[5] = 1;
    barrier();
    wait_products<0>();
  })), std::logic_error) << "an operand changes";
  EXPECT_THROW(run_mistake(fills([&](D& d, SharedBarrier&) { start_products(); product(d); commit_products(); d[3][1] = 0; wait_products<0>(); })), std::logic_error) << "an accumulator changes";
  EXPECT_THROW(run_mistake(fills([&](D& d, SharedBarrier&) { store_piece(shared_memory() + 16 * thread_index(), Piece<BFloat16>{}); barrier(); start_products(); product(d); })), std::logic_error)
      << "a store is not shown";
  EXPECT_THROW(run_mistake(fills([&](D& d, SharedBarrier&) { start_products(); product(d, thread_index() < 64 ? 0 : 1024); })), std::logic_error) << "two operands";
  EXPECT_THROW(run_mistake(fills([&](D& d, SharedBarrier&) { start_products(); if (thread_index() < 96) product(d); })), std::logic_error) << "three warps of four";
  EXPECT_THROW(run_mistake([](SharedBarrier& full) { await(full, 0); }), std::logic_error) << "nobody arrives";
  EXPECT_THROW(run_mistake([](SharedBarrier& full) { if (thread_index() == 0) arrive_expecting(full, 128); await(full, 0); }), std::logic_error) << "bytes that never come";
  EXPECT_THROW(run_mistake([](SharedBarrier& full) { arrive_expecting(full, 1); }), std::logic_error) << "more arrivals than expected";
  EXPECT_THROW(run_mistake([](SharedBarrier& full) { if (thread_index() == 0) { arrive_expecting(full, 8192); copy_box(shared_memory(), map, 0, 0, 0, 0, full); } }), std::logic_error)
      << "a copy that nobody waits for";
  EXPECT_THROW(run_mistake([](SharedBarrier& full) { if (thread_index() == 0) copy_box(shared_memory() + 64, map, 0, 0, 0, 0, full); }), std::logic_error) << "a box on 64 bytes";
  EXPECT_THROW(run_mistake([](SharedBarrier&) { if (thread_index() < 64) sync_warps(2, 96); }), std::logic_error) << "a warp stays away";
  EXPECT_THROW(run_mistake([](SharedBarrier&) { if (thread_index() < 64) arrive_warp(2, 96); }), std::logic_error) << "arrivals that nobody waits for";
}

}  // namespace
}  // namespace attelier::kernels::cuda
