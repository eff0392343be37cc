// The parts of the emulated machine that run behind the program: barriers that count arrivals and bytes, the copy engine, and the matrix unit of a warpgroup. They know
// nothing of threads; machine_emulator.cpp waits for them. Mistakes of a kernel are std::logic_error.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernels/cuda/machine_warpgroup.h"

namespace attelier::kernels::cuda::emulator {

/// Shared memory of a block; addresses are offsets in bytes.
class SharedMemory {
 public:
  SharedMemory(char* data, int64_t bytes) : data_(data), bytes_(bytes), unshown_(static_cast<size_t>((bytes + 15) / 16)) {}

  char* at(uint32_t address, int64_t bytes) const;
  uint16_t element(uint32_t address) const;

  /// Pieces that a thread has stored, and not yet shown to the matrix units and then arrived at a barrier.
  void mark_unshown(uint32_t address, bool unshown) { unshown_[address / 16] = unshown; }
  bool is_unshown(uint32_t address) const { return unshown_[address / 16]; }

 private:
  char* data_;
  int64_t bytes_;
  std::vector<bool> unshown_;
};

/// Barriers by their address, and the copies that each of them waits for. A copy lands no earlier than its phase needs it; until then its place holds NaN.
class Barriers {
 public:
  void start(uint32_t barrier, int arrivals);
  /// True when it ends a phase.
  bool arrive(uint32_t barrier, int64_t expected_bytes);
  void copy(SharedMemory& memory, uint32_t target, const TensorMap& map, std::array<int, 4> first, uint32_t barrier);
  /// Lands what the current phase waits for when all have arrived.
  bool is_complete(SharedMemory& memory, uint32_t barrier, int parity);
  /// Empty when nothing is under way.
  std::string unfinished() const;

 private:
  struct Copy {
    uint32_t target;
    TensorBoxes boxes;
    std::array<int, 4> first;  // column, row, head, batch
  };
  struct Barrier {
    int arrivals, missing;
    int64_t bytes = 0;
    uint64_t phase = 0;
    std::vector<Copy> copies;
  };

  Barrier& find(uint32_t barrier);
  static bool finish_phase(Barrier& barrier);
  static void land(SharedMemory& memory, const Copy& copy);

  std::map<uint32_t, Barrier> all_;
};

/// What one lane gives to a product of its warpgroup.
struct Product {
  bool is_bfloat16, add;
  float* d;
  int columns;            // groups of eight
  const uint32_t* a;      // four registers; null = A is in shared memory, by column, and so is B; otherwise B is by row
  uint64_t a_operand, b_operand;
};

/// Products of one warpgroup. Results are computed at once and appear when they are waited for; until then accumulators hold NaN, and operands may not change.
class MatrixUnit {
 public:
  void start() { started_ = true; }
  void multiply(const SharedMemory& memory, const std::array<const Product*, kWarpgroup>& lanes);
  void commit() { ++groups_; }
  void wait(const SharedMemory& memory, int pending);
  bool is_idle() const { return products_.empty(); }

 private:
  struct Issued {
    std::array<Product, kWarpgroup> lanes;
    std::array<std::array<uint32_t, 4>, kWarpgroup> words;
    std::vector<uint16_t> a, b;  // what the operands held
    int64_t group;
  };
  /// Of the accumulator that begins at an address of lane 0.
  struct Accumulator {
    std::vector<float> values;  // [64, N]
    int products = 0;
  };

  std::vector<Issued> products_;
  std::map<float*, Accumulator> accumulators_;
  int64_t groups_ = 0;
  bool started_ = false;
};

}  // namespace attelier::kernels::cuda::emulator
