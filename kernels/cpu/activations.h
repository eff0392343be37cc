// Elementwise functions on vectors, and vectors from and to memory in either dtype.
#pragma once

#include "kernels/cpu/elements.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

struct Float32 {
  using Stored = float;
  static ATTELIER_INLINE Vector load_lanes(const float* p) { return load(reinterpret_cast<const Word*>(p)); }
  static ATTELIER_INLINE void store_lanes(float* p, Vector x) { store(reinterpret_cast<Word*>(p), x); }
#ifdef __AVX512F__
  static ATTELIER_INLINE __mmask16 first(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
  static ATTELIER_INLINE Vector load_first(const float* p, int64_t count) { return reinterpret_cast<Vector>(_mm512_maskz_loadu_ps(first(count), p)); }
  static ATTELIER_INLINE void store_first(float* p, Vector x, int64_t count) { _mm512_mask_storeu_ps(p, first(count), reinterpret_cast<__m512>(x)); }
#endif
};

struct BFloat16 {
  using Stored = uint16_t;
  static ATTELIER_INLINE Vector load_lanes(const uint16_t* p) {
    Halves bits;
    std::memcpy(&bits, p, sizeof bits);
    return as_floats(__builtin_convertvector(bits, Integers) << 16);
  }
  static ATTELIER_INLINE void store_lanes(uint16_t* p, Vector x) {
#ifdef __AVX512BF16__
    const auto bits = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(x));
#else
    const Halves bits = __builtin_convertvector(bfloat16_bits(x), Halves);
#endif
    std::memcpy(p, &bits, sizeof bits);
  }
};

/// One vector of an array's elements; the last one may have fewer, is padded with zeros when loaded and cut when stored.
template <typename Type>
struct Lanes {
  using Stored = typename Type::Stored;
  int64_t count;  // at most kLanes

  ATTELIER_INLINE Vector load_at(const Stored* p) const {
    if (count == kLanes) return Type::load_lanes(p);
    if constexpr (requires { Type::load_first(p, count); }) return Type::load_first(p, count);
    Stored whole[kLanes] = {};
    std::memcpy(whole, p, static_cast<size_t>(count) * sizeof(Stored));
    return Type::load_lanes(whole);
  }
  ATTELIER_INLINE void store_at(Stored* p, Vector x) const {
    if (count == kLanes) return Type::store_lanes(p, x);
    if constexpr (requires { Type::store_first(p, x, count); }) return Type::store_first(p, x, count);
    Stored whole[kLanes];
    Type::store_lanes(whole, x);
    std::memcpy(p, whole, static_cast<size_t>(count) * sizeof(Stored));
  }
};

ATTELIER_INLINE Vector absolute(Vector x) { return as_floats(as_integers(x) & 0x7fffffff); }

/// x / (1 + e^-x)
ATTELIER_INLINE Vector silu(Vector x) {
  const Vector e = exp_of_nonpositive(-absolute(x));
  return x * (x < 0.0f ? e : splat(1.0f)) / (1.0f + e);
}

/// x Phi(x) with the normal distribution function. erfc by the Chebyshev fit of Press et al., Numerical Recipes, section 6.2: relative error 1.2e-7.
ATTELIER_INLINE Vector gelu(Vector x) {
  constexpr float kRootHalf = 0.70710678118654752f;
  const Vector z = absolute(x) * kRootHalf;
  const Vector t = 1.0f / (1.0f + 0.5f * z);
  Vector p = t * 0.17087277f - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  const Vector tail = 0.5f * t * exp_of_nonpositive(p - z * z);  // Phi(-|x|)
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
