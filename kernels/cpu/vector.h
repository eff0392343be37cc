// The vector types of one instruction set, and the few operations beyond + - * that the kernels need. Included only by the level_*.cpp files, each of
// which is compiled for its own instruction set and names its own namespace, so that no code of one set is linked into another.
#pragma once

#ifndef ATTELIER_CPU_LEVEL
#error "define ATTELIER_CPU_LEVEL, the namespace of the instruction set, before including this file"
#endif

#include <cstdint>
#include <cstring>
#include <utility>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#define ATTELIER_INLINE inline __attribute__((always_inline))
/// For the inner products: alone in a function, their sums get all the registers.
#define ATTELIER_ALONE static __attribute__((noinline))

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif
#ifdef __AVX512BF16__
inline constexpr bool kHasDot = true;
#else
inline constexpr bool kHasDot = false;
#endif

typedef float Vector __attribute__((vector_size(4 * kLanes)));
typedef int32_t Integers __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Bits __attribute__((vector_size(4 * kLanes)));  // additions that may wrap
typedef uint16_t Halves __attribute__((vector_size(2 * kLanes)));
/// A 32-bit unit of an operand: one float, or two neighbouring bf16 numbers, which may lie at any even address.
typedef float Word __attribute__((aligned(2), may_alias));

typedef float UnalignedVector __attribute__((vector_size(4 * kLanes), aligned(2), may_alias));
ATTELIER_INLINE Vector load(const Word* p) { return *reinterpret_cast<const UnalignedVector*>(p); }
ATTELIER_INLINE void store(Word* p, Vector x) { *reinterpret_cast<UnalignedVector*>(p) = x; }
ATTELIER_INLINE Vector as_floats(Integers x) { return reinterpret_cast<Vector>(x); }
ATTELIER_INLINE Integers as_integers(Vector x) { return reinterpret_cast<Integers>(x); }
ATTELIER_INLINE Vector splat(float x) { return x - Vector{}; }
/// The bits of one word in every lane.
ATTELIER_INLINE Vector splat_word(const Word* p) {
  int32_t bits;
  std::memcpy(&bits, p, sizeof bits);
  return as_floats(Integers{} + bits);
}

ATTELIER_INLINE Vector maximum(Vector a, Vector b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_maskz_max_ps(0xffff, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Vector>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
  return a > b ? a : b;
#endif
}

/// x in a register, and not fetched again for every use, where there are only 16.
ATTELIER_INLINE Vector held(Vector x) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  asm("" : "+x"(x));
#endif
  return x;
}

ATTELIER_INLINE float sum_of_lanes(Vector x) {
  float lanes[kLanes];
  std::memcpy(lanes, &x, sizeof x);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  return lanes[0];
}

/// x -> e^x for x <= 0, within 3 ulp near 0; 0 below 2^-126, so 0 for -inf. Several vectors go through every operation together, so that its constant is
/// fetched once for all of them: with 16 registers fetching takes longer than computing.
template <int kCount>
ATTELIER_INLINE void exp_of_nonpositive(Vector (&x)[kCount]) {
  constexpr float kLog2E = 1.44269504088896341f;
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which the low bits then hold
  // Minimax polynomial of 2^f of degree 5 with p(0) = 1, f in [-1/2, 1/2]: relative error 9e-8, with rounding 1.6e-7.
  constexpr float kTerms[] = {1.32647273e-3f, 9.67151270e-3f, 5.55073374e-2f, 2.40222421e-1f, 6.93146978e-1f, 1.0f};
  Vector shifted[kCount], f[kCount], p[kCount];
  const Vector log2e = held(splat(kLog2E)), magic = held(splat(kMagic));
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) shifted[i] = x[i] * log2e + magic;
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) f[i] = x[i] * log2e - (shifted[i] - magic);
  const Vector first = held(splat(kTerms[0])), second = held(splat(kTerms[1]));
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) p[i] = f[i] * first + second;
#pragma GCC unroll 4
  for (int t = 2; t < 6; ++t) {
    const Vector term = held(splat(kTerms[t]));
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) p[i] = p[i] * f[i] + term;
  }
  const Vector lowest = held(splat(-87.33f));
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    const auto scaled = reinterpret_cast<Vector>(reinterpret_cast<Bits>(p[i]) + (reinterpret_cast<Bits>(shifted[i]) << 23));
    x[i] = x[i] < lowest ? Vector{} : scaled;
  }
}

ATTELIER_INLINE Vector exp_of_nonpositive(Vector x) {
  Vector one[] = {x};
  exp_of_nonpositive(one);
  return one[0];
}

/// ln x within 2 ulp, for x from 2^-126 on.
ATTELIER_INLINE Vector log_of_positive(Vector x) {
  constexpr int32_t kRootHalf = 0x3f3504f3;
  const Integers exponent = (as_integers(x) - kRootHalf) >> 23;
  const Vector f = as_floats(as_integers(x) - (exponent << 23)) - 1.0f;  // x = 2^exponent (1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1]
  // Minimax polynomial P of ln(1 + f) = f - f^2 / 2 + f^3 P(f): relative error 3.2e-8.
  Vector p = f * 8.70043592e-2f - 1.42674870e-1f;
  p = p * f + 1.49147679e-1f;
  p = p * f - 1.65775847e-1f;
  p = p * f + 1.99630638e-1f;
  p = p * f - 2.50013370e-1f;
  p = p * f + 3.33339107e-1f;
  return __builtin_convertvector(exponent, Vector) * 0.693147180559945f + (f + f * f * (p * f - 0.5f));
}

/// The upper halves of the floats after rounding to nearest even: bf16 numbers, in the low half of each lane.
ATTELIER_INLINE Integers bfloat16_bits(Vector x) {
  const Bits bits = reinterpret_cast<Bits>(x);
  const auto rounded = reinterpret_cast<Integers>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  return x != x ? Integers{} + 0x7fc0 : rounded;
}

#ifdef __AVX512BF16__
/// Two rows of 16-bit numbers, one after the other -> pairs: the first in the low half of each 32-bit lane, the second in the high half.
ATTELIER_INLINE Vector interleaved(__m512i rows) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return reinterpret_cast<Vector>(_mm512_maskz_permutexvar_epi16(0xffffffff, order, rows));
}

/// Neighbouring bf16 numbers in 32-bit lanes, as they lie in memory.
struct Pairs {
  Bits bits;
  ATTELIER_INLINE Vector words() const { return reinterpret_cast<Vector>(bits); }
  ATTELIER_INLINE Vector first() const { return reinterpret_cast<Vector>(bits << 16); }
  ATTELIER_INLINE Vector second() const { return reinterpret_cast<Vector>(bits & 0xffff0000u); }
};

/// The first `count` numbers, at most 2 kLanes, then zeros.
ATTELIER_INLINE Pairs load_pairs(const uint16_t* p, int64_t count) {
  return {reinterpret_cast<Bits>(_mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << count) - 1), p))};
}
#endif

/// Two rows of floats as pairs of bf16: a in the low half of each 32-bit lane, b in the high half.
ATTELIER_INLINE Vector bfloat16_pairs(Vector a, Vector b) {
#ifdef __AVX512BF16__
  return interleaved(reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(a))));
#else
  return as_floats(bfloat16_bits(a) | (bfloat16_bits(b) << 16));
#endif
}

/// One step of a product: floats multiplied and added, or pairs of bf16 numbers multiplied and both products added.
struct FloatProduct {
  static constexpr bool kPairs = false;
  static ATTELIER_INLINE Vector add(Vector sum, Vector a, Vector b) { return a * b + sum; }
};
#ifdef __AVX512BF16__
struct PairProduct {
  static constexpr bool kPairs = true;
  static ATTELIER_INLINE Vector add(Vector sum, Vector a, Vector b) {
    return reinterpret_cast<Vector>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
  }
};
#endif

// Rows a and b of a round: `low` keeps a's half of every pair of kDistance lanes and fetches b's, `high` the other way round.
template <int kDistance, int... kLane>
ATTELIER_INLINE Vector exchange_low(Vector a, Vector b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b, (kLane & kDistance ? kLanes + kLane - kDistance : kLane)...);
}
template <int kDistance, int... kLane>
ATTELIER_INLINE Vector exchange_high(Vector a, Vector b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b, (kLane & kDistance ? kLanes + kLane : kLane + kDistance)...);
}

/// The halves of two rows that stay in the upper row and in the lower one when blocks of kDistance lanes change places.
template <int kDistance, int... kLane>
ATTELIER_INLINE void exchange(Vector& upper, Vector& lower, std::integer_sequence<int, kLane...>) {
  const Vector a = upper, b = lower;
  upper = __builtin_shufflevector(a, b, (kLane & kDistance ? kLanes + kLane - kDistance : kLane)...);
  lower = __builtin_shufflevector(a, b, (kLane & kDistance ? kLanes + kLane : kLane + kDistance)...);
}

/// Transposes kLanes vectors in place: log2(kLanes) rounds of exchanges between rows a power of two apart.
template <int kDistance>
ATTELIER_INLINE void transpose_round(Vector* rows) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
    if ((i & kDistance) == 0) exchange<kDistance>(rows[i], rows[i + kDistance], std::make_integer_sequence<int, kLanes>());
}

ATTELIER_INLINE void transpose(Vector* rows) {
  if constexpr (kLanes > 8) transpose_round<8>(rows);
  if constexpr (kLanes > 4) transpose_round<4>(rows);
  transpose_round<2>(rows);
  transpose_round<1>(rows);
}

/// Asks for memory that is needed soon.
ATTELIER_INLINE void prefetch(const void* p, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(static_cast<const char*>(p) + i, 0, 2);
}

ATTELIER_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
ATTELIER_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
ATTELIER_INLINE int64_t parts(int64_t n, int64_t size) { return (n + size - 1) / size; }

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
