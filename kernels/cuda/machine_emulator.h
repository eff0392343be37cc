// The machine of machine.h on the CPU. Every thread of a block is a fiber of its own; what a warp or a block does together (shuffles, matrix loads and
// products, barriers) is done when all of its threads have arrived, each with the arguments of its lane. Warps run ahead of each other in an order that
// changes from block to block, shared memory starts as NaN, and asynchronous copies land no earlier than they must: a barrier or wait that is missing
// shows as a wrong result.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#define ATTELIER_DEVICE inline
#define ATTELIER_ANYWHERE
#define ATTELIER_UNROLL

namespace attelier::kernels::cuda {

namespace emulator {

struct Grid {
  int64_t x = 1, y = 1, z = 1;
  int threads = kLanes;  // a multiple of kLanes
  int64_t shared_bytes = 0;
};

/// Runs `kernel` once per thread of every block. Throws std::logic_error when threads of a warp arrive at different operations, when a thread ends while
/// others wait for it, or when a copy is misaligned.
void run(const Grid& grid, const std::function<void()>& kernel);

/// Operations that a warp does together.
enum class Operation { kShuffle, kLoadMatrices, kLoadMatricesTransposed, kMultiplyBFloat16, kMultiplyFloat16 };

struct Arguments {
  Operation operation;
  const void* row = nullptr;   // matrix loads
  float value = 0;             // shuffles
  int source_lane = 0;
  uint32_t words[4] = {};      // result of a load, or A
  uint32_t b[2] = {};
  float c[4] = {};
};

/// Waits for the other lanes, and returns when the operation is done.
void together(Arguments& arguments);

}  // namespace emulator

int thread_index();
int block_x();
int block_y();
int block_z();
char* shared_memory();
void barrier();
void copy_async(void* shared, const void* global, int bytes);
void wait_copies();

inline float shuffle(float x, int source_lane) {
  emulator::Arguments a{.operation = emulator::Operation::kShuffle, .value = x, .source_lane = source_lane};
  emulator::together(a);
  return a.value;
}
inline float shuffle_xor(float x, int mask) { return shuffle(x, thread_index() % kLanes ^ mask); }

inline void load_matrices(uint32_t (&r)[4], const void* row) {
  emulator::Arguments a{.operation = emulator::Operation::kLoadMatrices, .row = row};
  emulator::together(a);
  std::memcpy(r, a.words, sizeof r);
}
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  emulator::Arguments a{.operation = emulator::Operation::kLoadMatricesTransposed, .row = row};
  emulator::together(a);
  std::memcpy(r, a.words, sizeof r);
}

inline void multiply(emulator::Operation operation, float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulator::Arguments all{.operation = operation, .words = {a[0], a[1], a[2], a[3]}, .b = {b0, b1}, .c = {c[0], c[1], c[2], c[3]}};
  emulator::together(all);
  std::memcpy(c, all.c, sizeof c);
}
inline void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, BFloat16) { multiply(emulator::Operation::kMultiplyBFloat16, c, a, b0, b1); }
inline void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, Float16) { multiply(emulator::Operation::kMultiplyFloat16, c, a, b0, b1); }

inline float exp2_of(float x) { return std::exp2(x); }
inline float log2_of(float x) { return std::log2(x); }
inline float larger(float x, float y) { return std::fmax(x, y); }
inline float multiply_add(float x, float y, float z) { return std::fma(x, y, z); }
inline float floor_of(float x) { return std::floor(x); }
inline float nearest_of(float x) { return std::nearbyint(x); }

inline float to_float(float x) { return x; }
inline float to_float(BFloat16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16); }
inline float to_float(Float16 x) { return static_cast<float>(__builtin_bit_cast(_Float16, x.bits)); }

inline void round_to(float& out, float x) { out = x; }
inline void round_to(BFloat16& out, float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  out.bits = x != x ? uint16_t{0x7fc0} : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline void round_to(Float16& out, float x) { out.bits = __builtin_bit_cast(uint16_t, static_cast<_Float16>(x)); }

template <typename T>
uint32_t pack(float low, float high, T) {
  T a, b;
  round_to(a, low);
  round_to(b, high);
  return a.bits | static_cast<uint32_t>(b.bits) << 16;
}

}  // namespace attelier::kernels::cuda
