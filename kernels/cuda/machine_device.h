// The machine of machine.h on NVIDIA GPUs, compute capability 8.0 and newer.
#pragma once

#include <cstdint>

#define ATTELIER_DEVICE __device__ __forceinline__
#define ATTELIER_ANYWHERE __host__ __device__
#define ATTELIER_UNROLL _Pragma("unroll")

namespace attelier::kernels::cuda {

ATTELIER_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
ATTELIER_DEVICE int block_x() { return static_cast<int>(blockIdx.x); }
ATTELIER_DEVICE int block_y() { return static_cast<int>(blockIdx.y); }
ATTELIER_DEVICE int block_z() { return static_cast<int>(blockIdx.z); }

ATTELIER_DEVICE char* shared_memory() {
  extern __shared__ __align__(16) char memory[];
  return memory;
}

/// All threads of the block.
ATTELIER_DEVICE void barrier() { __syncthreads(); }

ATTELIER_DEVICE float shuffle(float x, int source_lane) { return __shfl_sync(0xffffffffu, x, source_lane); }
ATTELIER_DEVICE float shuffle_xor(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }

ATTELIER_DEVICE uint32_t shared_address(const void* pointer) { return static_cast<uint32_t>(__cvta_generic_to_shared(pointer)); }

/// 16 bytes of shared memory: the first `bytes` from global memory, zeros after them. Both addresses are multiples of 16.
ATTELIER_DEVICE void copy_async(void* shared, const void* global, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}

/// This thread's copies have landed; other threads see them after a barrier.
ATTELIER_DEVICE void wait_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

ATTELIER_DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}

ATTELIER_DEVICE void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/// c += a b
ATTELIER_DEVICE void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, BFloat16) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

ATTELIER_DEVICE void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, Float16) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// 2^x within 2 ulp; 0 for -inf.
ATTELIER_DEVICE float exp2_of(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
ATTELIER_DEVICE float log2_of(float x) { return log2f(x); }
ATTELIER_DEVICE float larger(float x, float y) { return fmaxf(x, y); }
ATTELIER_DEVICE float multiply_add(float x, float y, float z) { return fmaf(x, y, z); }
ATTELIER_DEVICE float floor_of(float x) { return floorf(x); }
/// Halves to even.
ATTELIER_DEVICE float nearest_of(float x) { return rintf(x); }

ATTELIER_DEVICE float to_float(float x) { return x; }
ATTELIER_DEVICE float to_float(BFloat16 x) { return __uint_as_float(static_cast<uint32_t>(x.bits) << 16); }
ATTELIER_DEVICE float to_float(Float16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

ATTELIER_DEVICE void round_to(float& out, float x) { out = x; }
ATTELIER_DEVICE void round_to(BFloat16& out, float x) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(x)); }
ATTELIER_DEVICE void round_to(Float16& out, float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(x)); }

/// A word of two elements.
ATTELIER_DEVICE uint32_t pack(float low, float high, BFloat16) {
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
ATTELIER_DEVICE uint32_t pack(float low, float high, Float16) {
  uint32_t word;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

}  // namespace attelier::kernels::cuda
