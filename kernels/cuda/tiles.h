// Rows of Q, K and V from global to shared memory, with zeros where there are none and beyond their width.
#pragma once

#include "kernels/cuda/keys.h"

namespace attelier::kernels::cuda {

/// Elements begin .. of the `width` of a row in global memory (null = none), as 16 bytes of shared memory.
template <typename T>
ATTELIER_DEVICE void load_piece(T* target, const T* row, int begin, int width, bool aligned, const void* anything) {
  constexpr int kPiece = 16 / static_cast<int>(sizeof(T));
  int count = row ? width - begin : 0;
  count = count < 0 ? 0 : count > kPiece ? kPiece : count;
  if (aligned) {
    copy_async(target, count > 0 ? row + begin : anything, count * static_cast<int>(sizeof(T)));
  } else {
    ATTELIER_UNROLL
    for (int e = 0; e < kPiece; ++e) target[e] = e < count ? row[begin + e] : T{};
  }
}

/// kRows rows of kWidth elements, `stride` apart. row_of(i) is row i in global memory or null; the first `width` of its elements are taken. Aligned rows
/// begin on 16 bytes and are copied asynchronously; `anything` is a valid address in global memory.
template <int kRows, int kWidth, int kThreads, typename T, typename RowOf>
ATTELIER_DEVICE void load_rows(T* tile, int stride, int width, bool aligned, const void* anything, const RowOf& row_of) {
  constexpr int kPiece = 16 / static_cast<int>(sizeof(T)), kPieces = kWidth / kPiece;
  for (int i = thread_index(); i < kRows * kPieces; i += kThreads) {
    const int row = i / kPieces, begin = i % kPieces * kPiece;
    load_piece(tile + row * stride + begin, static_cast<const T*>(row_of(row)), begin, width, aligned, anything);
  }
}

/// gamma Q2 + (1 - gamma) Q of query r, rounded once.
template <typename T>
ATTELIER_DEVICE T blended_query(const Call& call, int b, int h, int64_t r, int d) {
  const T own = row_of<T>(call.q, b, h, r)[d];
  float gamma = call.gamma;
  if (call.gamma_rows.data) gamma *= call.gamma_rows.data[b * call.gamma_rows.batch + r * call.gamma_rows.item];
  if (gamma == 0) return own;
  T rounded;
  round_to(rounded, gamma * to_float(row_of<T>(call.q2, b, h, r)[d]) + (1 - gamma) * to_float(own));
  return rounded;
}

/// Queries first .. first + kRows - 1; rows beyond the last are zeros.
template <int kRows, int kWidth, int kThreads, typename T>
ATTELIER_DEVICE void load_queries(const Arguments& a, int b, int h, int64_t first, T* tile, int stride) {
  const Call& call = a.call;
  const int depth = static_cast<int>(call.depth);
  if (call.q2.data == nullptr) {
    load_rows<kRows, kWidth, kThreads>(tile, stride, depth, a.aligned, call.q.data, [&](int i) { return first + i < call.rows ? row_of<T>(call.q, b, h, first + i) : static_cast<const T*>(nullptr); });
    return;
  }
  for (int i = thread_index(); i < kRows * kWidth; i += kThreads) {
    const int row = i / kWidth, d = i % kWidth;
    tile[row * stride + d] = first + row < call.rows && d < depth ? blended_query<T>(call, b, h, first + row, d) : T{};
  }
}

}  // namespace attelier::kernels::cuda
