// The machine that the kernels of this folder are written for: threads in warps of 32 lanes, shared memory, 16-byte asynchronous copies, 8x8 matrix
// loads and the 16x8x16 matrix product. nvcc maps it to PTX (machine_device.h); any other compiler to an emulator that runs the same source on the CPU,
// lane by lane with the same index maps (machine_emulator.h), so that the kernels are tested where there is no GPU.
//
// Registers of a lane, with g = lane / 4 and t = lane % 4 (PTX ISA, "Matrix Fragments for mma.m16n8k16"); a word holds two 16-bit elements, low half first:
//   A [16 rows, 16 k]  word i: row g + 8 (i % 2), k = 2t + 8 (i / 2) and the next one
//   B [16 k, 8 columns] word i: column g, k = 2t + 8 i and the next one
//   C [16 rows, 8 columns] float i: row g + 8 (i / 2), column 2t + i % 2
// A matrix load (ldmatrix.x4) takes the addresses of rows 0..7 of matrix m from lanes 8m..8m+7, and gives lane l elements 2t and 2t + 1 of row g of
// matrix m in word m; transposed, elements g of rows 2t and 2t + 1.
#pragma once

#include <cstdint>

namespace attelier::kernels::cuda {

inline constexpr int kLanes = 32;

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

}  // namespace attelier::kernels::cuda

#ifdef __CUDACC__
#include "kernels/cuda/machine_device.h"
#else
#include "kernels/cuda/machine_emulator.h"
#endif
