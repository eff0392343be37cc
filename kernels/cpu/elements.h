// Elements of tensors as floats and back, and rows of queries turned into lanes.
#pragma once

#include "kernels/cpu/call.h"
#include "kernels/cpu/vector.h"

namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL {

inline constexpr float kInfinity = __builtin_inff();

// float16 as bits. Clang knows _Float16 only on machines that compute in it; without conversion instructions the bits are moved by hand.
#ifdef __F16C__
#ifdef __clang__
using Half = __fp16;
#else
using Half = _Float16;
#endif
ATTELIER_INLINE float float_of_half(uint16_t bits) { return static_cast<float>(__builtin_bit_cast(Half, bits)); }
ATTELIER_INLINE uint16_t half_of_float(float x) { return __builtin_bit_cast(uint16_t, static_cast<Half>(x)); }
#else
ATTELIER_INLINE float float_of_half(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
  const uint32_t magnitude = rest >= 0x7c00 ? 0x7f800000u | (rest & 0x3ffu) << 13 : __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, rest << 13) * 0x1p112f);
  return __builtin_bit_cast(float, sign | magnitude);
}

/// Rounds to nearest even.
ATTELIER_INLINE uint16_t half_of_float(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x), sign = (bits & 0x80000000u) >> 16, rest = bits & 0x7fffffffu;
  uint32_t half;
  if (rest > 0x7f800000u) {
    half = 0x7e00;  // not a number
  } else if (rest >= 0x477ff000u) {
    half = 0x7c00;  // 65520 and more
  } else if (rest < 0x38800000u) {
    // Below 2^-14: adding 1/2 leaves the rounded multiple of 2^-24 in the low bits.
    half = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, rest) + 0.5f) - 0x3f000000u;
  } else {
    half = (rest - 0x38000000u + 0xfffu + ((rest >> 13) & 1u)) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}
#endif

ATTELIER_INLINE float float_of_bfloat16(uint16_t bits) { return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16); }

ATTELIER_INLINE uint16_t bfloat16_of_float(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  return x != x ? 0x7fc0 : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

ATTELIER_INLINE int64_t element_size(Element element) { return element == Element::kFloat32 ? 4 : 2; }

ATTELIER_INLINE const void* row_of(const Rows& rows, Element element, int64_t b, int64_t h, int64_t r) {
  return static_cast<const char*>(rows.data) + (b * rows.batch + h * rows.head + r * rows.row) * element_size(element);
}

/// n elements as floats.
inline void to_floats(const void* in, Element element, int64_t n, float* out) {
  if (element == Element::kFloat32) {
    std::memcpy(out, in, static_cast<size_t>(n) * 4);
  } else if (element == Element::kBFloat16) {
    const auto* bits = static_cast<const uint16_t*>(in);
    for (int64_t i = 0; i < n; ++i) out[i] = float_of_bfloat16(bits[i]);
  } else {
    const auto* bits = static_cast<const uint16_t*>(in);
    for (int64_t i = 0; i < n; ++i) out[i] = float_of_half(bits[i]);
  }
}

/// n floats rounded to elements.
inline void from_floats(const float* in, Element element, int64_t n, void* out) {
  if (element == Element::kFloat32) {
    std::memcpy(out, in, static_cast<size_t>(n) * 4);
  } else if (element == Element::kBFloat16) {
    auto* bits = static_cast<uint16_t*>(out);
    for (int64_t i = 0; i < n; ++i) bits[i] = bfloat16_of_float(in[i]);
  } else {
    auto* bits = static_cast<uint16_t*>(out);
    for (int64_t i = 0; i < n; ++i) bits[i] = half_of_float(in[i]);
  }
}

/// [count <= kLanes rows][words] -> [words][lane] with `stride` words between the outputs of neighbouring words; lanes beyond count become 0.
/// read(i, w) gives words w .. w + kLanes - 1 of row i, zeros past its end.
template <typename Read>
ATTELIER_INLINE void rows_to_lanes(const Read& read, int64_t count, int64_t words, Word* out, int64_t stride) {
  for (int64_t w = 0; w < words; w += kLanes) {
    Vector block[kLanes];
    for (int i = 0; i < kLanes; ++i) block[i] = i < count ? read(i, w) : Vector{};
    transpose(block);
    if (const int64_t width = words - w; width >= kLanes) {
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store(out + (w + i) * stride, block[i]);
    } else {
      for (int i = 0; i < width; ++i) store(out + (w + i) * stride, block[i]);
    }
  }
}

/// kLanes columns of [n][stride] floats -> one row of n elements per lane, for the first `count` lanes. rows[i] is where lane i goes.
inline void lanes_to_rows(const Word* in, int64_t stride, int64_t n, int64_t count, Element element, char* const* rows) {
  const int64_t size = element_size(element);
  for (int64_t w = 0; w < n; w += kLanes) {
    const int64_t width = smaller(kLanes, n - w);
    Vector block[kLanes];
    for (int i = 0; i < kLanes; ++i) block[i] = i < width ? load(in + (w + i) * stride) : Vector{};
    transpose(block);
    for (int i = 0; i < count; ++i) {
      char* const target = rows[i] + w * size;
      const auto bytes = static_cast<size_t>(width * size);
      if (element == Element::kFloat32) {
        if (width == kLanes) store(reinterpret_cast<Word*>(target), block[i]);
        else std::memcpy(target, &block[i], bytes);
      } else if (element == Element::kBFloat16) {
        const Halves bits = __builtin_convertvector(bfloat16_bits(block[i]), Halves);
        if (width == kLanes) std::memcpy(target, &bits, sizeof bits);
        else std::memcpy(target, &bits, bytes);
      } else {
        float lanes[kLanes];
        std::memcpy(lanes, &block[i], sizeof lanes);
        from_floats(lanes, element, width, target);
      }
    }
  }
}

}  // namespace attelier::kernels::cpu::ATTELIER_CPU_LEVEL
