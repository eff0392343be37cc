// The machine of machine_warpgroup.h as PTX, for sm_90a.
#pragma once

namespace attelier::kernels::cuda {

// --- barriers ---

ATTELIER_DEVICE void start_barrier(SharedBarrier& barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)), "r"(arrivals) : "memory");
}

/// The barriers that this thread has started are there for the copy engine; for other threads after a barrier of the block.
ATTELIER_DEVICE void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;\n\tfence.proxy.async.shared::cta;" ::: "memory"); }

ATTELIER_DEVICE void arrive(SharedBarrier& barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier)) : "memory"); }

/// Arrives, and lets the phase wait for `bytes` of copies too.
ATTELIER_DEVICE void arrive_expecting(SharedBarrier& barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)), "r"(bytes) : "memory");
}

/// Until the phase of this parity is complete; a new barrier is in phase 0, and a phase before it is complete. A wait of a second and more can only be a fault of the
/// kernel: a store to address 0 ends it with an error instead of a hang. (A trap would leave the kernel here, and then the assembler does not use claimed registers.)
ATTELIER_DEVICE void await(SharedBarrier& barrier, int parity) {
  constexpr int kMostTries = 1 << 26;
  for (int tries = 0;; ++tries) {
    uint32_t complete;
    asm volatile("{\n\t.reg .pred complete;\n\tmbarrier.try_wait.parity.shared::cta.b64 complete, [%1], %2;\n\tselp.u32 %0, 1, 0, complete;\n\t}"
                 : "=r"(complete)
                 : "r"(shared_address(&barrier)), "r"(parity)
                 : "memory");
    if (complete) return;
    if (tries == kMostTries) asm volatile("st.global.u32 [%0], %1;" ::"l"(0ull), "r"(0) : "memory");
  }
}

/// Barriers of some warps, 1..15; each call counts its whole warp.
ATTELIER_DEVICE void sync_warps(int barrier, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory"); }
ATTELIER_DEVICE void arrive_warp(int barrier, int threads) { asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory"); }
ATTELIER_DEVICE void sync_warp() { __syncwarp(); }

// --- registers ---

/// Of every thread of the warpgroup.
template <int kRegisters>
ATTELIER_DEVICE void release_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
ATTELIER_DEVICE void claim_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// --- copies ---

/// The box whose first element is (batch, head, row, column); its bytes count at `barrier`.
ATTELIER_DEVICE void copy_box(void* shared, const TensorMap& map, int column, int row, int head, int batch, SharedBarrier& barrier) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(shared_address(shared)), "l"(&map),
               "r"(column), "r"(row), "r"(head), "r"(batch), "r"(shared_address(&barrier))
               : "memory");
}

/// Stores that products or copies follow; they see them after show_stores() of this thread and a barrier.
template <typename T>
ATTELIER_DEVICE void store_piece(void* shared, const Piece<T>& piece) {
  *static_cast<Piece<T>*>(shared) = piece;
}
ATTELIER_DEVICE void show_stores() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// --- products ---

/// Before the first product, and before one whose registers something else has written.
ATTELIER_DEVICE void start_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// Ends a group of products.
ATTELIER_DEVICE void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Until at most kPending groups are at work.
template <int kPending>
ATTELIER_DEVICE void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// After a wait: keeps the compiler from reading accumulators before it.
template <int kColumns>
ATTELIER_DEVICE void settle(float (&d)[kColumns][4]) {
  ATTELIER_UNROLL
  for (int n = 0; n < kColumns; ++n)
    ATTELIER_UNROLL
    for (int e = 0; e < 4; ++e) asm volatile("" : "+f"(d[n][e])::"memory");
}

// The registers of D in the text of an instruction, and as its operands.
#define ATTELIER_D20 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19"
#define ATTELIER_D32 ATTELIER_D20 ",%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define ATTELIER_D40 ATTELIER_D32 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define ATTELIER_D48 ATTELIER_D40 ",%40,%41,%42,%43,%44,%45,%46,%47"
#define ATTELIER_D64 ATTELIER_D48 ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define ATTELIER_D80 ATTELIER_D64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define ATTELIER_F4(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define ATTELIER_F20 ATTELIER_F4(0), ATTELIER_F4(1), ATTELIER_F4(2), ATTELIER_F4(3), ATTELIER_F4(4)
#define ATTELIER_F32 ATTELIER_F20, ATTELIER_F4(5), ATTELIER_F4(6), ATTELIER_F4(7)
#define ATTELIER_F40 ATTELIER_F32, ATTELIER_F4(8), ATTELIER_F4(9)
#define ATTELIER_F48 ATTELIER_F40, ATTELIER_F4(10), ATTELIER_F4(11)
#define ATTELIER_F64 ATTELIER_F48, ATTELIER_F4(12), ATTELIER_F4(13), ATTELIER_F4(14), ATTELIER_F4(15)
#define ATTELIER_F80 ATTELIER_F64, ATTELIER_F4(16), ATTELIER_F4(17), ATTELIER_F4(18), ATTELIER_F4(19)

// Both operands in shared memory, by column. count = columns / 2 registers; `first` and the next two operands follow them.
#define ATTELIER_MULTIPLY_SHARED(columns, count, type, first, second, third)                                                                              \
  asm volatile("{\n\t.reg .pred adds;\n\tsetp.ne.b32 adds, %" #third ", 0;\n\twgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." type "." type          \
               " {" ATTELIER_D##count "}, %" #first ", %" #second ", adds, 1, 1, 0, 0;\n\t}"                                                               \
               : ATTELIER_F##count                                                                                                                        \
               : "l"(a), "l"(b), "n"(kAdd ? 1 : 0)                                                                                                        \
               : "memory")

// A in registers, B in shared memory by row; D is added to.
#define ATTELIER_MULTIPLY_REGISTERS(columns, count, type, a0, a1, a2, a3, last)                                                                           \
  asm volatile("{\n\t.reg .pred adds;\n\tsetp.eq.b32 adds, 0, 0;\n\twgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." type "." type                    \
               " {" ATTELIER_D##count "}, {%" #a0 ",%" #a1 ",%" #a2 ",%" #a3 "}, %" #last ", adds, 1, 1, 1;\n\t}"                                          \
               : ATTELIER_F##count                                                                                                                        \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)                                                                                       \
               : "memory")

/// d = A B, or d += A B.
template <typename T, bool kAdd, int kColumns>
ATTELIER_DEVICE void multiply_shared(float (&d)[kColumns][4], uint64_t a, uint64_t b) {
  static_assert(kColumns == 12 || kColumns == 16);
  if constexpr (kColumns == 12) {
    if constexpr (kIsBFloat16<T>) ATTELIER_MULTIPLY_SHARED(96, 48, "bf16", 48, 49, 50);
    else ATTELIER_MULTIPLY_SHARED(96, 48, "f16", 48, 49, 50);
  } else {
    if constexpr (kIsBFloat16<T>) ATTELIER_MULTIPLY_SHARED(128, 64, "bf16", 64, 65, 66);
    else ATTELIER_MULTIPLY_SHARED(128, 64, "f16", 64, 65, 66);
  }
}

/// d += A B
template <typename T, int kColumns>
ATTELIER_DEVICE void multiply_registers(float (&d)[kColumns][4], const uint32_t (&a)[4], uint64_t b) {
  static_assert(kColumns == 5 || kColumns == 8 || kColumns == 10 || kColumns == 16 || kColumns == 20);
  if constexpr (kColumns == 5) {
    if constexpr (kIsBFloat16<T>) ATTELIER_MULTIPLY_REGISTERS(40, 20, "bf16", 20, 21, 22, 23, 24);
    else ATTELIER_MULTIPLY_REGISTERS(40, 20, "f16", 20, 21, 22, 23, 24);
  } else if constexpr (kColumns == 8) {
    if constexpr (kIsBFloat16<T>) ATTELIER_MULTIPLY_REGISTERS(64, 32, "bf16", 32, 33, 34, 35, 36);
    else ATTELIER_MULTIPLY_REGISTERS(64, 32, "f16", 32, 33, 34, 35, 36);
  } else if constexpr (kColumns == 10) {
    if constexpr (kIsBFloat16<T>) ATTELIER_MULTIPLY_REGISTERS(80, 40, "bf16", 40, 41, 42, 43, 44);
    else ATTELIER_MULTIPLY_REGISTERS(80, 40, "f16", 40, 41, 42, 43, 44);
  } else if constexpr (kColumns == 16) {
    if constexpr (kIsBFloat16<T>) ATTELIER_MULTIPLY_REGISTERS(128, 64, "bf16", 64, 65, 66, 67, 68);
    else ATTELIER_MULTIPLY_REGISTERS(128, 64, "f16", 64, 65, 66, 67, 68);
  } else {
    if constexpr (kIsBFloat16<T>) ATTELIER_MULTIPLY_REGISTERS(160, 80, "bf16", 80, 81, 82, 83, 84);
    else ATTELIER_MULTIPLY_REGISTERS(160, 80, "f16", 80, 81, 82, 83, 84);
  }
}

}  // namespace attelier::kernels::cuda
