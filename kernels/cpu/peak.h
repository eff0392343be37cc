// The arithmetic that this processor can do at most: the same multiply-adds as the products, on registers alone.
#pragma once

#include "kernels/cpu/call.h"
#include "kernels/cpu/vector.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

template <typename Product>
ATTELIER_ALONE double spin_product(int64_t passes) {
  constexpr int kSums = kLanes == 16 ? 24 : 12;
  Vector sums[kSums], a = splat(1), b = splat(1);
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) sums[i] = splat(static_cast<float>(i));  // different, or they would be computed once
  for (int64_t n = 0; n < passes; ++n) {
    asm volatile("" : "+r"(passes), "+x"(a), "+x"(b));  // keeps every pass, and the factors unknown
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) sums[i] = Product::add(sums[i], a, b);
  }
#pragma GCC unroll 24
  for (int i = 1; i < kSums; ++i) sums[0] += sums[i];
  const volatile float kept = sum_of_lanes(sums[0]);
  static_cast<void>(kept);
  return static_cast<double>(passes) * kSums * kLanes * (Product::kPairs ? 4 : 2);
}

inline double spin([[maybe_unused]] Element element, int64_t passes) {
#ifdef __AVX512BF16__
  if (element == Element::kBFloat16) return spin_product<PairProduct>(passes);
#endif
  return spin_product<FloatProduct>(passes);
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
