// The machine of machine_warpgroup.h on the CPU. Copies land no earlier than a barrier needs them and products give their results no earlier than they are waited for;
// their places hold NaN until then, and an operand that changes before is a std::logic_error.
#pragma once

namespace attelier::kernels::cuda {

namespace emulator {
struct Product;
/// By all threads of a warpgroup.
enum class GroupOperation { kStart, kMultiply, kCommit, kWait };
void in_group(GroupOperation operation, const Product* product, int pending);
void multiply_operands(bool is_bfloat16, bool add, float* d, int columns, const uint32_t* a, uint64_t a_operand, uint64_t b_operand);
void store(void* shared, const void* piece);
}  // namespace emulator

/// What a TensorMap is here.
inline TensorMap map_of(const TensorBoxes& boxes) {
  static_assert(sizeof boxes <= sizeof(TensorMap));
  TensorMap map = {};
  std::memcpy(map.bytes, &boxes, sizeof boxes);
  return map;
}

/// The offset in shared memory.
uint32_t shared_address(const void* pointer);

void start_barrier(SharedBarrier& barrier, int arrivals);
inline void publish_barriers() {}
void arrive(SharedBarrier& barrier);
void arrive_expecting(SharedBarrier& barrier, int bytes);
void await(SharedBarrier& barrier, int parity);
void sync_warps(int barrier, int threads);
void arrive_warp(int barrier, int threads);
inline void sync_warp() { shuffle(0, 0); }

template <int kRegisters>
void release_registers() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
}
template <int kRegisters>
void claim_registers() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
}

void copy_box(void* shared, const TensorMap& map, int column, int row, int head, int batch, SharedBarrier& barrier);

template <typename T>
void store_piece(void* shared, const Piece<T>& piece) {
  emulator::store(shared, &piece);
}
void show_stores();

inline void start_products() { emulator::in_group(emulator::GroupOperation::kStart, nullptr, 0); }
inline void commit_products() { emulator::in_group(emulator::GroupOperation::kCommit, nullptr, 0); }
template <int kPending>
void wait_products() {
  emulator::in_group(emulator::GroupOperation::kWait, nullptr, kPending);
}
template <int kColumns>
void settle(float (&)[kColumns][4]) {}

template <typename T, bool kAdd, int kColumns>
void multiply_shared(float (&d)[kColumns][4], uint64_t a, uint64_t b) {
  emulator::multiply_operands(kIsBFloat16<T>, kAdd, &d[0][0], kColumns, nullptr, a, b);
}

template <typename T, int kColumns>
void multiply_registers(float (&d)[kColumns][4], const uint32_t (&a)[4], uint64_t b) {
  emulator::multiply_operands(kIsBFloat16<T>, true, &d[0][0], kColumns, a, 0, b);
}

}  // namespace attelier::kernels::cuda
