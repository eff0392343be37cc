// What compute capability 9.0 adds to the machine of machine.h: a copy engine that fetches boxes of tensors, barriers in shared memory that count arrivals and bytes,
// and products of a whole warpgroup (four warps) that read shared memory and run behind the program. nvcc maps it to PTX (machine_warpgroup_device.h), any other
// compiler to the emulator (machine_warpgroup_emulator.h).
//
// Boxes. A box of a [batch, head, row, column] tensor of 16-bit elements is 64 columns of 1, 2, ... rows: row r takes the 128 bytes at 128 r of its place in shared
// memory. What lies outside the tensor arrives as zeros, and counts as bytes all the same. The 128-byte swizzle exchanges pieces of 16 bytes: bits 4..6 of an address
// are those that a reader without swizzle expects, xor bits 7..9 of it (PTX ISA, "Swizzling modes"). So places begin on 1024 bytes.
//
// Products (wgmma.m64nNk16). D [64, N] += A [64, 16] B [16, N] in float32; warp w of the warpgroup holds rows 16 w ... of A and D in the layouts that machine.h gives
// for A and C, eight columns of D after the other (PTX ISA, "Register Fragments for wgmma.mma_async.m64nNk16"). An operand in shared memory is named by a descriptor
// (PTX ISA, "Matrix Descriptor Format"): address >> 4 in bits 0..13, leading offset >> 4 in 16..29, stride offset >> 4 in 32..45, swizzle in 62..63. With the
// 128-byte swizzle, element (i, k) of an operand lies before swizzling at
//   by column (rows run along k: queries, keys):  128 i + 2 k, the stride offset between groups of eight i
//   by row (rows run along i: values):            128 k + 2 i for i < 64, the leading offset between groups of 64 i, the stride offset between groups of eight k
#pragma once

#include "kernels/cuda/boxes.h"
#include "kernels/cuda/machine.h"

namespace attelier::kernels::cuda {

inline constexpr int kWarpgroup = 128;       // threads
inline constexpr int kBoxRowBytes = 128;     // of shared memory
inline constexpr int kSwizzleBytes = 1024;   // rows whose pieces the swizzle exchanges in eight different ways

/// A barrier in shared memory.
using SharedBarrier = uint64_t;

template <typename T>
inline constexpr bool kIsBFloat16 = false;
template <>
inline constexpr bool kIsBFloat16<BFloat16> = true;

/// 16 bytes of a row.
template <typename T>
struct alignas(16) Piece {
  T elements[8];
};

/// Where the swizzle puts what a reader without it expects at `address`.
ATTELIER_ANYWHERE constexpr uint32_t swizzled(uint32_t address) { return address ^ (address >> 7 & 7) << 4; }

/// The descriptor of an operand at `address` of shared memory; offsets in bytes.
ATTELIER_ANYWHERE constexpr uint64_t operand(uint32_t address, uint32_t leading_offset, uint32_t stride_offset) {
  constexpr uint64_t kSwizzle128 = 1;
  const auto field = [](uint32_t bytes) { return static_cast<uint64_t>((bytes & 0x3ffff) >> 4); };
  return field(address) | field(leading_offset) << 16 | field(stride_offset) << 32 | kSwizzle128 << 62;
}

}  // namespace attelier::kernels::cuda

#ifdef __CUDACC__
#include "kernels/cuda/machine_warpgroup_device.h"
#else
#include "kernels/cuda/machine_warpgroup_emulator.h"
#endif
