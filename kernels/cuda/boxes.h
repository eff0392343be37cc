// Tensors as the copy engine of compute capability 9.0 sees them: which boxes it takes K and V from. Host code without CUDA; tested without a GPU.
#pragma once

#include <cstdint>

#include "kernels/cpu/call.h"

namespace attelier::kernels::cuda {

inline constexpr int kBoxColumns = 64;  // elements of a row of a box

/// A [batch, head, row, column] tensor of 16-bit elements, and the size of its boxes: kBoxColumns columns of `box_rows` rows.
struct TensorBoxes {
  const void* data;  // on 16 bytes
  cpu::Element element;
  int32_t box_rows;
  int64_t columns, rows, heads, batches;
  int64_t row_stride, head_stride, batch_stride;  // in bytes, multiples of 16
};

/// K and V of each source. Dimensions in which a source is the same everywhere (stride 0) have size 1.
struct KeyBoxes {
  int sources;
  TensorBoxes k[cpu::kSources], v[cpu::kSources];
};

/// A TensorBoxes in the form that the copy engine reads.
struct alignas(128) TensorMap {
  unsigned char bytes[128];
};
struct KeyMaps {
  TensorMap k[cpu::kSources], v[cpu::kSources];
};

/// Whether boxes can be taken from K and V of every source: 16-bit elements, rows on 16 bytes, at least one row each. `call` as execute() gets it, lists in host memory.
bool has_boxes(const cpu::Call& call);

KeyBoxes key_boxes(const cpu::Call& call, int box_rows);

}  // namespace attelier::kernels::cuda
