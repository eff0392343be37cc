#include "kernels/cuda/machine_emulator_units.h"

#include <csetjmp>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <ucontext.h>

namespace attelier::kernels::cuda {
namespace emulator {
namespace {

constexpr size_t kStackBytes = 128 << 10;

struct Copy {
  void* shared;
  char bytes[16];
};

/// Where a thread of control goes on. swapcontext() asks the system each time, so contexts that have run are left and entered by jumps; but
/// AddressSanitizer follows only swapcontext() from stack to stack.
struct Context {
  ucontext_t first;
  std::jmp_buf later;
  bool has_run = false;
};

[[noreturn]] void go_on(Context& to) {
#if !defined(__SANITIZE_ADDRESS__)
  if (to.has_run) longjmp(to.later, 1);
#endif
  setcontext(&to.first);
  __builtin_unreachable();
}

/// Returns when something goes on with `from`.
void exchange(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
  swapcontext(&from.first, &to.first);
#else
  from.has_run = true;
  if (setjmp(from.later) == 0) go_on(to);
#endif
}

struct Fiber {
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  Context context;
  bool done = false;
  std::vector<Copy> copies;       // issued, not yet landed
  std::vector<uint32_t> stored, shown;  // pieces not yet shown; shown, but no barrier after it
};

/// Some lanes of warps that meet at a numbered barrier.
struct Meeting {
  int arrived = 0, threads = 0;
  uint64_t generation = 0;
};
constexpr int kMeetings = 16;

/// A warpgroup and its matrix unit.
struct Group {
  std::array<const Product*, kWarpgroup> lane;
  GroupOperation operation;
  int arrived = 0;
  uint64_t generation = 0;
  MatrixUnit unit;
};

struct Warp {
  Arguments* lane[kLanes];
  int arrived = 0;
  uint64_t generation = 0;
};

float element(uint16_t bits, Operation operation) {
  return operation == Operation::kMultiplyBFloat16 ? to_float(BFloat16{bits}) : to_float(Float16{bits});
}
uint16_t half_of(uint32_t word, int i) { return static_cast<uint16_t>(word >> (16 * i)); }

void load(Warp& warp, bool transposed) {
  for (int m = 0; m < 4; ++m) {
    uint16_t matrix[8][8];
    for (int r = 0; r < 8; ++r) {
      const void* row = warp.lane[8 * m + r]->row;
      if (reinterpret_cast<uintptr_t>(row) % 16 != 0) throw std::logic_error("a matrix row is not on 16 bytes");
      std::memcpy(matrix[r], row, 16);
    }
    for (int l = 0; l < kLanes; ++l) {
      const int g = l / 4, t = l % 4;
      const uint16_t low = transposed ? matrix[2 * t][g] : matrix[g][2 * t], high = transposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
      warp.lane[l]->words[m] = low | static_cast<uint32_t>(high) << 16;
    }
  }
}

void product(Warp& warp, Operation operation) {
  float a[16][16], b[16][8];
  for (int l = 0; l < kLanes; ++l)
    for (int i = 0; i < 4; ++i)
      for (int half = 0; half < 2; ++half) {
        const int g = l / 4, k = 2 * (l % 4) + half;
        a[g + 8 * (i % 2)][k + 8 * (i / 2)] = element(half_of(warp.lane[l]->words[i], half), operation);
        if (i < 2) b[k + 8 * i][g] = element(half_of(warp.lane[l]->b[i], half), operation);
      }
  for (int l = 0; l < kLanes; ++l)
    for (int i = 0; i < 4; ++i) {
      const int row = l / 4 + 8 * (i / 2), column = 2 * (l % 4) + i % 2;
      float sum = 0;
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      warp.lane[l]->c[i] += sum;
    }
}

void perform(Warp& warp) {
  const Operation operation = warp.lane[0]->operation;
  for (const Arguments* lane : warp.lane)
    if (lane->operation != operation) throw std::logic_error("lanes of a warp do different operations");
  switch (operation) {
    case Operation::kShuffle: {
      float values[kLanes];
      for (int l = 0; l < kLanes; ++l) values[l] = warp.lane[l]->value;
      for (Arguments* lane : warp.lane) lane->value = values[lane->source_lane];
      break;
    }
    case Operation::kLoadMatrices: load(warp, false); break;
    case Operation::kLoadMatricesTransposed: load(warp, true); break;
    default: product(warp, operation);
  }
}

/// One block at a time, on one thread of the CPU.
class Block {
 public:
  Block(const Grid& grid, const std::function<void()>& kernel)
      : grid_(grid), kernel_(kernel), fibers_(static_cast<size_t>(grid.threads)), warps_(static_cast<size_t>(grid.threads / kLanes)) {
    shared_.reset(static_cast<char*>(::operator new(static_cast<size_t>(grid.shared_bytes) + 16, std::align_val_t{64})));
  }

  void run(int64_t x, int64_t y, int64_t z) {
    at_[0] = static_cast<int>(x);
    at_[1] = static_cast<int>(y);
    at_[2] = static_cast<int>(z);
    std::memset(shared_.get(), 0xff, static_cast<size_t>(grid_.shared_bytes));  // NaN in every dtype
    for (Fiber& fiber : fibers_) prepare(fiber);
    barrier_waiting_ = finished_ = idle_ = 0;
    barriers_ = {};
    waiting_.clear();
    memory_ = SharedMemory(shared_.get(), grid_.shared_bytes);
    groups_.assign(static_cast<size_t>(grid_.threads / kWarpgroup), {});
    for (Meeting& meeting : meetings_) meeting = {};
    first_warp_ = static_cast<int>((x + 3 * y + 5 * z) % static_cast<int64_t>(warps_.size()));
    failure_.clear();
    current_ = first_warp_ * kLanes;
    exchange(home_, fiber().context);
    if (!failure_.empty()) throw std::logic_error(failure_);
  }

  void together(Arguments& arguments) {
    Warp& warp = warps_[static_cast<size_t>(current_ / kLanes)];
    warp.lane[current_ % kLanes] = &arguments;
    if (++warp.arrived == kLanes) {
      try {
        perform(warp);
      } catch (const std::logic_error& error) {
        fail(error.what());
      }
      warp.arrived = idle_ = 0;
      ++warp.generation;
      return;
    }
    for (const uint64_t generation = warp.generation; warp.generation == generation;) {
      const int next = current_ / kLanes * kLanes + (current_ + 1) % kLanes;
      if (fibers_[static_cast<size_t>(next)].done) fail("a lane has ended while its warp waits");
      if (++idle_ > most_idle()) fail("a warp waits for lanes that wait elsewhere");
      switch_to(next);
    }
    idle_ = 0;
  }

  void wait_for_block() {
    publish();
    idle_ = 0;
    if (++barrier_waiting_ == grid_.threads) {
      barrier_waiting_ = 0;
      ++barrier_generation_;
      return;
    }
    for (const uint64_t generation = barrier_generation_; barrier_generation_ == generation;) {
      if (finished_ > 0) fail("a thread has ended while its block waits");
      switch_to((current_ + 1) % grid_.threads);
    }
  }

  void copy(void* shared, const void* global, int bytes) {
    if (reinterpret_cast<uintptr_t>(shared) % 16 != 0 || (bytes > 0 && reinterpret_cast<uintptr_t>(global) % 16 != 0)) fail("a copy is not on 16 bytes");
    Copy copy{shared, {}};
    if (bytes > 0) std::memcpy(copy.bytes, global, static_cast<size_t>(bytes));
    std::memset(shared, 0xff, 16);
    fiber().copies.push_back(copy);
  }

  void land() {
    for (const Copy& copy : fiber().copies) std::memcpy(copy.shared, copy.bytes, 16);
    fiber().copies.clear();
  }

  /// A warpgroup's lanes hand in their operands; the last one has the unit do it.
  void in_group(GroupOperation operation, const Product* product, int pending) {
    const auto number = static_cast<size_t>(current_ / kWarpgroup);
    if (number >= groups_.size()) fail("a product in a block without whole warpgroups");
    Group& group = groups_[number];
    if (group.arrived > 0 && group.operation != operation) fail("threads of a warpgroup do different operations");
    group.operation = operation;
    group.lane[static_cast<size_t>(current_ % kWarpgroup)] = product;
    if (++group.arrived < kWarpgroup) {
      const uint64_t generation = group.generation;
      wait_until([&] { return group.generation != generation; }, "a warpgroup waits for threads that wait elsewhere");
      return;
    }
    attempt([&] {
      switch (operation) {
        case GroupOperation::kStart: return group.unit.start();
        case GroupOperation::kMultiply: return group.unit.multiply(memory_, group.lane);
        case GroupOperation::kCommit: return group.unit.commit();
        case GroupOperation::kWait: return group.unit.wait(memory_, pending);
      }
    });
    group.arrived = idle_ = 0;
    ++group.generation;
  }

  void meet(int number, int threads, bool waits) {
    Meeting& meeting = meetings_[static_cast<size_t>(number)];
    if (number < 1 || number >= kMeetings || threads % kLanes != 0) fail("a barrier of warps that there is not");
    if (meeting.arrived > 0 && meeting.threads != threads) fail("a barrier of warps with different numbers of threads");
    meeting.threads = threads;
    publish();
    const uint64_t generation = meeting.generation;
    if (++meeting.arrived == threads) {
      meeting.arrived = idle_ = 0;
      ++meeting.generation;
    } else if (waits) {
      wait_until([&] { return meeting.generation != generation; }, "warps wait for others that never come");
    }
  }

  void start_barrier(uint32_t address, int arrivals) {
    attempt([&] { barriers_.start(address, arrivals); });
  }
  void arrive(uint32_t address, int bytes) {
    publish();
    bool ends_phase = false;
    attempt([&] { ends_phase = barriers_.arrive(address, bytes); });
    idle_ = 0;
    // Who waited runs at once, so that a thread which arrives too early is caught.
    if (const auto waiting = waiting_.find(address); ends_phase && waiting != waiting_.end() && !fibers_[static_cast<size_t>(waiting->second)].done) switch_to(waiting->second);
  }
  void await(uint32_t address, int parity) {
    bool complete = false;
    waiting_[address] = current_;
    wait_until(
        [&] {
          attempt([&] { complete = barriers_.is_complete(memory_, address, parity); });
          return complete;
        },
        "a barrier is waited for whose phase never ends");
  }
  void copy_box(uint32_t target, const TensorMap& map, const std::array<int, 4>& first, uint32_t barrier) {
    attempt([&] { barriers_.copy(memory_, target, map, first, barrier); });
  }
  void store(uint32_t address, const void* piece) {
    if (address % 16 != 0) fail("a piece is not on 16 bytes");
    attempt([&] { std::memcpy(memory_.at(address, 16), piece, 16); });
    memory_.mark_unshown(address, true);
    fiber().stored.push_back(address);
  }
  void show_stores() {
    fiber().shown.insert(fiber().shown.end(), fiber().stored.begin(), fiber().stored.end());
    fiber().stored.clear();
  }

  int thread() const { return current_; }
  int at(int dimension) const { return at_[dimension]; }
  char* shared() const { return shared_.get(); }

  static Block* active;

 private:
  struct Free {
    void operator()(char* memory) const { ::operator delete(memory, std::align_val_t{64}); }
  };

  Fiber& fiber() { return fibers_[static_cast<size_t>(current_)]; }

  /// Ends the block from within a fiber; the stacks are left as they are, so kernels own nothing.
  [[noreturn]] void fail(const std::string& what) {
    failure_ = what + " (block " + std::to_string(at_[0]) + "," + std::to_string(at_[1]) + "," + std::to_string(at_[2]) + ", thread " + std::to_string(current_) + ")";
    for (Fiber& each : fibers_) each.copies.clear();
    for (Warp& warp : warps_) warp.arrived = 0;
    idle_ = 0;
    go_on(home_);
  }

  /// At a barrier: what the thread has shown is there for the others.
  void publish() {
    for (const uint32_t address : fiber().shown) memory_.mark_unshown(address, false);
    fiber().shown.clear();
  }

  template <typename F>
  void attempt(const F& f) {
    std::string mistake;
    try {
      f();
      return;
    } catch (const std::logic_error& error) {
      mistake = error.what();
    }
    fail(mistake);
  }

  /// Rounds without any progress after which the threads wait for each other.
  int most_idle() const { return 16 * grid_.threads; }

  /// Lets the other threads run until `ready`.
  template <typename Ready>
  void wait_until(const Ready& ready, const char* otherwise) {
    while (!ready()) {
      if (++idle_ > most_idle()) fail(otherwise);
      int next = (current_ + 1) % grid_.threads;
      while (fibers_[static_cast<size_t>(next)].done) next = (next + 1) % grid_.threads;
      switch_to(next);
    }
    idle_ = 0;
  }

  void switch_to(int next) {
    if (next == current_) return;
    Context& from = fiber().context;
    current_ = next;
    exchange(from, fiber().context);
  }

  static void prepare(Fiber& fiber) {
    fiber.done = fiber.context.has_run = false;
    fiber.stored.clear();
    fiber.shown.clear();
    getcontext(&fiber.context.first);
    fiber.context.first.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.first.uc_stack.ss_size = kStackBytes;
    fiber.context.first.uc_link = nullptr;
    makecontext(&fiber.context.first, &Block::enter, 0);
  }

  static void enter() {
    Block& block = *active;
    block.kernel_();
    if (!block.fiber().copies.empty()) block.fail("a thread ends with copies in flight");
    block.fiber().done = true;
    block.idle_ = 0;
    if (++block.finished_ == block.grid_.threads) {
      block.check_that_all_is_done();
      go_on(block.home_);
    }
    if (block.barrier_waiting_ > 0) block.fail("a thread has ended while its block waits");
    do block.current_ = (block.current_ + 1) % block.grid_.threads;
    while (block.fiber().done);
    go_on(block.fiber().context);
  }

  void check_that_all_is_done() {
    if (const std::string left = barriers_.unfinished(); !left.empty()) fail("a block ends with " + left);
    for (const Meeting& meeting : meetings_)
      if (meeting.arrived > 0) fail("a block ends with arrivals at a barrier of warps");
    for (const Group& group : groups_)
      if (!group.unit.is_idle()) fail("a block ends with products at work");
  }

  const Grid& grid_;
  const std::function<void()>& kernel_;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  std::unique_ptr<char, Free> shared_;
  SharedMemory memory_{nullptr, 0};
  Barriers barriers_;
  std::map<uint32_t, int> waiting_;  // the last thread that came to wait at a barrier
  std::vector<Group> groups_;
  Meeting meetings_[kMeetings];
  Context home_;
  std::string failure_;
  int at_[3] = {}, current_ = 0, first_warp_ = 0, barrier_waiting_ = 0, finished_ = 0, idle_ = 0;
  uint64_t barrier_generation_ = 0;
};

Block* Block::active = nullptr;

}  // namespace

void run(const Grid& grid, const std::function<void()>& kernel) {
  Block block(grid, kernel);
  Block::active = &block;
  for (int64_t z = 0; z < grid.z; ++z)
    for (int64_t y = 0; y < grid.y; ++y)
      for (int64_t x = 0; x < grid.x; ++x) block.run(x, y, z);
}

void together(Arguments& arguments) { Block::active->together(arguments); }
void in_group(GroupOperation operation, const Product* product, int pending) { Block::active->in_group(operation, product, pending); }
void store(void* shared, const void* piece) { Block::active->store(shared_address(shared), piece); }

void multiply_operands(bool is_bfloat16, bool add, float* d, int columns, const uint32_t* a, uint64_t a_operand, uint64_t b_operand) {
  const Product product{is_bfloat16, add, d, columns, a, a_operand, b_operand};
  in_group(GroupOperation::kMultiply, &product, 0);
}

}  // namespace emulator

int thread_index() { return emulator::Block::active->thread(); }
int block_x() { return emulator::Block::active->at(0); }
int block_y() { return emulator::Block::active->at(1); }
int block_z() { return emulator::Block::active->at(2); }
char* shared_memory() { return emulator::Block::active->shared(); }
void barrier() { emulator::Block::active->wait_for_block(); }
void copy_async(void* shared, const void* global, int bytes) { emulator::Block::active->copy(shared, global, bytes); }
void wait_copies() { emulator::Block::active->land(); }

uint32_t shared_address(const void* pointer) { return static_cast<uint32_t>(static_cast<const char*>(pointer) - shared_memory()); }
void start_barrier(SharedBarrier& barrier, int arrivals) { emulator::Block::active->start_barrier(shared_address(&barrier), arrivals); }
void arrive(SharedBarrier& barrier) { emulator::Block::active->arrive(shared_address(&barrier), 0); }
void arrive_expecting(SharedBarrier& barrier, int bytes) { emulator::Block::active->arrive(shared_address(&barrier), bytes); }
void await(SharedBarrier& barrier, int parity) { emulator::Block::active->await(shared_address(&barrier), parity); }
void sync_warps(int barrier, int threads) { emulator::Block::active->meet(barrier, threads, true); }
void arrive_warp(int barrier, int threads) { emulator::Block::active->meet(barrier, threads, false); }
void show_stores() { emulator::Block::active->show_stores(); }
void copy_box(void* shared, const TensorMap& map, int column, int row, int head, int batch, SharedBarrier& barrier) {
  emulator::Block::active->copy_box(shared_address(shared), map, {column, row, head, batch}, shared_address(&barrier));
}

}  // namespace attelier::kernels::cuda
