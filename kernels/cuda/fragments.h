// Operands of the 16x8x16 product for each element type, from tiles in shared memory. float32 has no such instruction (TF32 would round): its lanes hold
// the same elements as floats, one after the other, and multiply by shuffles. That path is for correctness.
#pragma once

#include "kernels/cuda/machine.h"

namespace attelier::kernels::cuda {

/// 16 rows x 16 k, or two B operands of 16 k x 8 columns: four words of two 16-bit elements.
template <typename T>
struct Fragment {
  uint32_t words[4];
};
template <>
struct Fragment<float> {
  float words[8];
};

ATTELIER_DEVICE int lane_index() { return thread_index() % kLanes; }
ATTELIER_DEVICE int warp_index() { return thread_index() / kLanes; }

/// A from a tile [rows][stride], `tile` at its first row and k.
template <typename T>
ATTELIER_DEVICE void load_a(Fragment<T>& a, const T* tile, int stride) {
  const int lane = lane_index();
  if constexpr (sizeof(T) == 2) {
    load_matrices(a.words, tile + lane % 16 * stride + lane / 16 * 8);
  } else {
    ATTELIER_UNROLL
    for (int i = 0; i < 4; ++i)
      ATTELIER_UNROLL
      for (int e = 0; e < 2; ++e) a.words[2 * i + e] = tile[(lane / 4 + 8 * (i % 2)) * stride + 2 * (lane % 4) + 8 * (i / 2) + e];
  }
}

/// B of columns 0..7 (words 0, 1) and 8..15 (words 2, 3) from a tile [columns][stride] whose rows run along k: keys.
template <typename T>
ATTELIER_DEVICE void load_b_by_column(Fragment<T>& b, const T* tile, int stride) {
  const int lane = lane_index();
  if constexpr (sizeof(T) == 2) {
    load_matrices(b.words, tile + (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8);
  } else {
    ATTELIER_UNROLL
    for (int i = 0; i < 4; ++i)
      ATTELIER_UNROLL
      for (int e = 0; e < 2; ++e) b.words[2 * i + e] = tile[(8 * (i / 2) + lane / 4) * stride + 8 * (i % 2) + 2 * (lane % 4) + e];
  }
}

/// The same from a tile [k][stride] whose rows run along the columns: values.
template <typename T>
ATTELIER_DEVICE void load_b_by_row(Fragment<T>& b, const T* tile, int stride) {
  const int lane = lane_index();
  if constexpr (sizeof(T) == 2) {
    load_matrices_transposed(b.words, tile + lane % 16 * stride + lane / 16 * 8);
  } else {
    ATTELIER_UNROLL
    for (int i = 0; i < 4; ++i)
      ATTELIER_UNROLL
      for (int e = 0; e < 2; ++e) b.words[2 * i + e] = tile[(8 * (i % 2) + 2 * (lane % 4) + e) * stride + 8 * (i / 2) + lane / 4];
  }
}

/// A from the C registers of columns 0..7 and 8..15: their index maps agree, so nothing moves between lanes.
template <typename T>
ATTELIER_DEVICE void to_a(Fragment<T>& a, const float (&left)[4], const float (&right)[4]) {
  ATTELIER_UNROLL
  for (int i = 0; i < 2; ++i) {
    if constexpr (sizeof(T) == 2) {
      a.words[i] = pack(left[2 * i], left[2 * i + 1], T{});
      a.words[2 + i] = pack(right[2 * i], right[2 * i + 1], T{});
    } else {
      ATTELIER_UNROLL
      for (int e = 0; e < 2; ++e) {
        a.words[2 * i + e] = left[2 * i + e];
        a.words[4 + 2 * i + e] = right[2 * i + e];
      }
    }
  }
}

/// left += A B(columns 0..7), right += A B(columns 8..15)
template <typename T>
ATTELIER_DEVICE void multiply_pair(float (&left)[4], float (&right)[4], const Fragment<T>& a, const Fragment<T>& b) {
  if constexpr (sizeof(T) == 2) {
    multiply(left, a.words, b.words[0], b.words[1], T{});
    multiply(right, a.words, b.words[2], b.words[3], T{});
  } else {
    const int lane = lane_index();
    ATTELIER_UNROLL
    for (int k = 0; k < 16; ++k) {
      const int holder = k % 8 / 2, word = k % 2 + 4 * (k / 8);
      const float upper = shuffle(a.words[word], lane / 4 * 4 + holder), lower = shuffle(a.words[word + 2], lane / 4 * 4 + holder);
      ATTELIER_UNROLL
      for (int column = 0; column < 2; ++column) {
        const int source = (2 * (lane % 4) + column) * 4 + holder;
        const float x = shuffle(b.words[k % 2 + 2 * (k / 8)], source), y = shuffle(b.words[4 + k % 2 + 2 * (k / 8)], source);
        left[column] = multiply_add(upper, x, left[column]);
        left[2 + column] = multiply_add(lower, x, left[2 + column]);
        right[column] = multiply_add(upper, y, right[column]);
        right[2 + column] = multiply_add(lower, y, right[2 + column]);
      }
    }
  }
}

/// Sum or maximum over the four lanes that share the rows of C.
ATTELIER_DEVICE float quad_sum(float x) {
  x += shuffle_xor(x, 1);
  return x + shuffle_xor(x, 2);
}
ATTELIER_DEVICE float quad_largest(float x) {
  x = larger(x, shuffle_xor(x, 1));
  return larger(x, shuffle_xor(x, 2));
}

}  // namespace attelier::kernels::cuda
