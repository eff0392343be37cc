// The attention kernel of compute capability 9.0: one block computes 128 queries of one (b, h) over all keys. A producer warpgroup has the copy engine fetch tiles of K
// and V two ahead, and describes their keys; two consumer warpgroups of 64 queries each multiply, with an online softmax in registers (FlashAttention-3's schedule):
// while the matrix units compute Q K^T of tile n + 1 and P V of tile n, one warpgroup waits its turn and the other is at its softmax. All logits are in log2 units.
//
// It covers everything before the softmax but pair biases, several sources, the causal rule and gains, in two variants: either all keys of a tile have the same scale and
// bias (plain attention, temperatures, blended queries, several sources and their weights), or each key has its own, from a table.
#pragma once

#include "kernels/cuda/machine_warpgroup.h"
#include "kernels/cuda/output.h"
#include "kernels/cuda/tiles.h"

namespace attelier::kernels::cuda {

/// Head widths that this kernel is compiled for: Q K^T goes on in steps of 16, P V is exact.
inline constexpr int kWarpgroupWidths[] = {40, 64, 80, 128, 160};

template <int W, bool kListed>
struct WarpgroupTile {
  static constexpr int kConsumers = 2;
  static constexpr int kThreads = kWarpgroup * (1 + kConsumers);
  static constexpr int kRows = 64 * kConsumers;
  /// S and P of a tile and O fit the registers of a consumer, and two stages of K and V the shared memory.
  static constexpr int kKeys = W > 128 || (kListed && W > 80) ? 96 : 128;
  static constexpr int kStages = 2;
  /// A table is read until the softmax of its tile is done, later than K: one more.
  static constexpr int kTables = kStages + 1;
  static constexpr int kChunks = (W + kBoxColumns - 1) / kBoxColumns;
  static constexpr int kSteps = (W + 15) / 16;  // of Q K^T
  /// 65536 registers over the three warpgroups: 168 each at the start.
  static constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
};

/// The keys of a tile: z log2(e) = scale s + bias. Listed keys have factors of their own; otherwise one scale, which is positive, and one bias hold for all of them.
template <int kKeys, bool kListed>
struct WarpgroupTable {
  int count;   // 0 = there are no more tiles
  int column;  // of its first key among the keys of all sources
  float scale, bias;
};
template <int kKeys>
struct WarpgroupTable<kKeys, true> {
  int count, column;
  alignas(16) float factors[kKeys][2];  // scale and bias; the bias of keys that are hidden or not there is -inf
  float gain[kKeys];
};

/// Shared memory of a block, from an address on 1024 bytes.
template <int W, bool kListed>
struct WarpgroupMemory {
  using Shape = WarpgroupTile<W, kListed>;
  unsigned char queries[Shape::kConsumers][Shape::kChunks][64 * kBoxRowBytes];
  unsigned char keys[Shape::kStages][Shape::kChunks][Shape::kKeys * kBoxRowBytes];
  unsigned char values[Shape::kStages][Shape::kChunks][Shape::kKeys * kBoxRowBytes];
  WarpgroupTable<Shape::kKeys, kListed> tables[Shape::kTables];
  SharedBarrier full_keys[Shape::kStages], full_values[Shape::kStages], free_keys[Shape::kStages], free_values[Shape::kStages];
};

template <int W, bool kListed>
constexpr int64_t warpgroup_shared_bytes() {
  return static_cast<int64_t>(sizeof(WarpgroupMemory<W, kListed>)) + kSwizzleBytes;
}

/// Of one block, and what both roles know of it.
template <typename T, int W, bool kListed>
struct WarpgroupBlock {
  using Shape = WarpgroupTile<W, kListed>;
  using Memory = WarpgroupMemory<W, kListed>;

  ATTELIER_DEVICE WarpgroupBlock(const Arguments& arguments, const KeyMaps& key_maps)
      : a(arguments), maps(key_maps), blocks(static_cast<int>((a.call.rows + Shape::kRows - 1) / Shape::kRows)), b(block_x() / blocks / static_cast<int>(a.call.heads)),
        h(block_x() / blocks % static_cast<int>(a.call.heads)), first(block_x() % blocks * Shape::kRows) {
    char* const start = shared_memory();
    memory = reinterpret_cast<Memory*>(start + (kSwizzleBytes - shared_address(start) % kSwizzleBytes) % kSwizzleBytes);
  }

  const Arguments& a;
  const KeyMaps& maps;
  const int blocks, b, h, first;
  Memory* memory;
};

/// Fetches and describes the tiles, one after the other, and ends with an empty one. All threads of a warpgroup; the first commands the copy engine.
template <typename T, int W, bool kListed>
ATTELIER_DEVICE void produce(const WarpgroupBlock<T, W, kListed>& block) {
  using Shape = WarpgroupTile<W, kListed>;
  constexpr int kTileBytes = Shape::kChunks * Shape::kKeys * kBoxRowBytes;
  const Arguments& a = block.a;
  auto& memory = *block.memory;
  const int slot = thread_index() % kWarpgroup;
  const int last = (block.first + Shape::kRows < a.call.rows ? block.first + Shape::kRows : static_cast<int>(a.call.rows)) - 1;
  KeyTiles<Shape::kKeys, Bundle::kScore> tiles(a, block.b, last, 0, 0);
  int n = 0;
  for (;;) {
    const KeyTile tile = tiles.next();
    const cpu::SourceView& source = a.call.sources[tile.count > 0 ? tile.run : 0];
    const int64_t column = source.begin + tile.first;
    KeyTable<1> own;
    if (tile.count > 0) {
      fill_slot<T>(a, block.b, block.h, kListed && slot < tile.count ? column + slot : column, 0, own);
      // A weight of zero hides the whole source.
      if (!kListed && own.bias[0] == -kInfinity) continue;
    }
    const int stage = n % Shape::kStages, round = n / Shape::kStages;
    await(memory.free_keys[stage], ~round & 1);
    auto& table = memory.tables[n % Shape::kTables];
    if (slot == 0) table.count = tile.count;
    if (tile.count == 0) {
      arrive(memory.full_keys[stage]);
      return;
    }
    ++n;
    if (slot == 0) table.column = static_cast<int>(column);
    if constexpr (kListed) {
      if (slot < Shape::kKeys) {
        table.factors[slot][0] = own.scale[0];
        table.factors[slot][1] = slot < tile.count ? own.bias[0] : -kInfinity;
        table.gain[slot] = own.gain[0];
      }
    } else if (slot == 0) {
      table.scale = own.scale[0];
      table.bias = own.bias[0];
    }
    if (slot != 0) {
      arrive(memory.full_keys[stage]);
      continue;
    }

    const int row = static_cast<int>(source_row(a.call, tile.run, block.b)), head = static_cast<int>(block.h / source.group);
    const auto fetch = [&](unsigned char (&chunks)[Shape::kChunks][Shape::kKeys * kBoxRowBytes], const TensorMap& map, const cpu::Rows& rows, SharedBarrier& full) {
      arrive_expecting(full, kTileBytes);
      for (int chunk = 0; chunk < Shape::kChunks; ++chunk) copy_box(chunks[chunk], map, chunk * kBoxColumns, tile.first, rows.head ? head : 0, rows.batch ? row : 0, full);
    };
    fetch(memory.keys[stage], block.maps.k[tile.run], source.k, memory.full_keys[stage]);
    await(memory.free_values[stage], ~round & 1);
    fetch(memory.values[stage], block.maps.v[tile.run], source.v, memory.full_values[stage]);
  }
}

/// One warpgroup: 64 queries.
template <typename T, int W, bool kListed>
class Consumer {
  using Shape = WarpgroupTile<W, kListed>;
  using Table = WarpgroupTable<Shape::kKeys, kListed>;
  static constexpr int kKeyColumns = Shape::kKeys / 8, kValueColumns = W / 8, kKeySteps = Shape::kKeys / 16;
  /// Barriers of warps: whose turn it is, and one of each warpgroup's own.
  static constexpr int kTurn = 1, kOwn = kTurn + Shape::kConsumers;

 public:
  ATTELIER_DEVICE explicit Consumer(const WarpgroupBlock<T, W, kListed>& block)
      : block_(block), call_(block.a.call), memory_(*block.memory), group_(thread_index() / kWarpgroup - 1), first_(block.first + 64 * group_) {}

  ATTELIER_DEVICE void run() {
    load_queries();
    await(memory_.full_keys[0], 0);
    int n = 0;
    if (memory_.tables[0].count > 0) {
      float decay[2];
      start_products();
      multiply_queries(0);
      commit_products();
      wait_products<0>();
      settle(s_);
      release(memory_.free_keys[0]);
      weigh(memory_.tables[0], decay);
      // The loop begins here, behind the softmax, so that the assembler cannot put the latter off until P V is done.
      for (;; ++n) {
        wait_products<0>();
        settle(o_);
        if (n > 0) release(memory_.free_values[(n - 1) % Shape::kStages]);
        take_weights();
        ATTELIER_UNROLL
        for (int c = 0; c < kValueColumns; ++c)
          ATTELIER_UNROLL
          for (int e = 0; e < 4; ++e) o_[c][e] *= decay[e / 2];
        // p_ holds the weights of tile n.
        const int next = n + 1, stage = next % Shape::kStages;
        await(memory_.full_keys[stage], next / Shape::kStages & 1);
        const Table& table = memory_.tables[next % Shape::kTables];
        if (table.count == 0) break;
        wait_for_turn(n);
        start_products();
        multiply_queries(stage);
        commit_products();
        multiply_values(n);
        commit_products();
        pass_turn();
        wait_products<1>();
        settle(s_);
        release(memory_.free_keys[stage]);
        weigh(table, decay);
      }
      multiply_values(n);
      commit_products();
      wait_products<0>();
      settle(o_);
    }
    finish();
    // The other warpgroup has passed the turn once more than it was waited for.
    if (group_ == 0 && n > 0) sync_warps(kTurn, Shape::kConsumers * kWarpgroup);
  }

 private:
  /// Of one row of C in this lane; sums are over the lane's columns until the end.
  struct RowState {
    float highest = -kInfinity, sum = 0, gained = 0;
  };

  ATTELIER_DEVICE int thread() const { return thread_index() % kWarpgroup; }
  ATTELIER_DEVICE int row_of(int half) const { return first_ + 16 * (thread() / kLanes) + 8 * half + lane_index() / 4; }

  /// The warpgroups issue their products in turn, so that one multiplies while the other is at its softmax. The first needs no turn for its first ones.
  ATTELIER_DEVICE void wait_for_turn(int n) {
    if (group_ > 0 || n > 0) sync_warps(kTurn + group_, Shape::kConsumers * kWarpgroup);
  }
  ATTELIER_DEVICE void pass_turn() { arrive_warp(kTurn + 1 - group_, Shape::kConsumers * kWarpgroup); }

  /// This warp reads a stage no more.
  ATTELIER_DEVICE void release(SharedBarrier& barrier) {
    sync_warp();
    if (lane_index() == 0) arrive(barrier);
  }

  ATTELIER_DEVICE Piece<T> query_piece(int row, int begin) const {
    Piece<T> piece = {};
    const int depth = static_cast<int>(call_.depth);
    if (row >= call_.rows || begin >= depth) return piece;
    const T* const own = cuda::row_of<T>(call_.q, block_.b, block_.h, row) + begin;
    if (call_.q2.data == nullptr && block_.a.aligned && begin + 8 <= depth) return *reinterpret_cast<const Piece<T>*>(own);
    ATTELIER_UNROLL
    for (int e = 0; e < 8; ++e)
      if (begin + e < depth) piece.elements[e] = call_.q2.data ? blended_query<T>(call_, block_.b, block_.h, row, begin + e) : own[e];
    return piece;
  }

  ATTELIER_DEVICE void load_queries() {
    constexpr int kPieces = kBoxRowBytes / 16;
    for (int i = thread(); i < Shape::kChunks * 64 * kPieces; i += kWarpgroup) {
      const int piece = i % kPieces, row = i / kPieces % 64, chunk = i / kPieces / 64;
      store_piece(memory_.queries[group_][chunk] + swizzled(row * kBoxRowBytes + piece * 16), query_piece(first_ + row, chunk * kBoxColumns + piece * 8));
    }
    show_stores();
    sync_warps(kOwn + group_, kWarpgroup);
  }

  /// s = Q K^T
  ATTELIER_DEVICE void multiply_queries(int stage) {
    const uint32_t queries = shared_address(memory_.queries[group_]), keys = shared_address(memory_.keys[stage]);
    ATTELIER_UNROLL
    for (int step = 0; step < Shape::kSteps; ++step) {
      constexpr int kStepsPerChunk = kBoxColumns / 16, kNoOffset = 16;  // a step lies within one swizzled row
      const uint32_t chunk = step / kStepsPerChunk, inside = step % kStepsPerChunk * 32;
      const uint64_t a = operand(queries + chunk * 64 * kBoxRowBytes + inside, kNoOffset, kSwizzleBytes);
      const uint64_t b = operand(keys + chunk * Shape::kKeys * kBoxRowBytes + inside, kNoOffset, kSwizzleBytes);
      if (step == 0) multiply_shared<T, false>(s_, a, b);
      else multiply_shared<T, true>(s_, a, b);
    }
  }

  /// o += P V of tile n
  ATTELIER_DEVICE void multiply_values(int n) {
    const int stage = n % Shape::kStages;
    await(memory_.full_values[stage], n / Shape::kStages & 1);
    if constexpr (kListed)
      if (hides_) clear_hidden_values(n);
    start_products();
    const uint32_t values = shared_address(memory_.values[stage]);
    ATTELIER_UNROLL
    for (int step = 0; step < kKeySteps; ++step)
      multiply_registers<T>(o_, p_[step].words, operand(values + step * 16 * kBoxRowBytes, Shape::kKeys * kBoxRowBytes, kSwizzleBytes));
  }

  /// What hidden keys hold does not reach the output, not even as 0 times infinity. Both warpgroups write the same zeros.
  ATTELIER_DEVICE void clear_hidden_values(int n) {
    const Table& table = memory_.tables[n % Shape::kTables];
    if (thread() < Shape::kKeys && table.factors[thread()][1] == -kInfinity)
      for (int chunk = 0; chunk < Shape::kChunks; ++chunk)
        for (int piece = 0; piece < kBoxRowBytes / 16; ++piece) store_piece(memory_.values[n % Shape::kStages][chunk] + thread() * kBoxRowBytes + piece * 16, Piece<T>{});
    show_stores();
    sync_warps(kOwn + group_, kWarpgroup);
  }

  /// s -> the factors of V, and by how much earlier sums and accumulators decay.
  ATTELIER_DEVICE void weigh(const Table& table, float (&decay)[2]) {
    const int t = lane_index() % 4, count = table.count;
    float scale = 1, bias = 0;
    if constexpr (kListed) {
      // Every quad looks at the factors of all keys, so that all threads decide alike.
      float hidden = 0;
      ATTELIER_UNROLL
      for (int c = 0; c < kKeyColumns; ++c)
        ATTELIER_UNROLL
        for (int e = 0; e < 2; ++e) {
          const int slot = c * 8 + 2 * t + e;
          const float factor = table.factors[slot][0], added = table.factors[slot][1];
          if (added == -kInfinity) hidden = 1;
          s_[c][e] = added == -kInfinity ? -kInfinity : multiply_add(s_[c][e], factor, added);
          s_[c][2 + e] = added == -kInfinity ? -kInfinity : multiply_add(s_[c][2 + e], factor, added);
        }
      hides_ = quad_largest(hidden) > 0;
    } else {
      scale = table.scale;
      bias = table.bias;
      if (count < Shape::kKeys) {
        ATTELIER_UNROLL
        for (int c = 0; c < kKeyColumns; ++c)
          ATTELIER_UNROLL
          for (int e = 0; e < 4; ++e)
            if (c * 8 + 2 * t + e % 2 >= count) s_[c][e] = -kInfinity;
      }
    }
    if (call_.causal && table.column + count - 1 > first_ + call_.causal_offset) {
      ATTELIER_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int64_t visible = row_of(half) + call_.causal_offset - table.column;
        const int last = visible < -1 ? -1 : visible > Shape::kKeys ? Shape::kKeys : static_cast<int>(visible);
        ATTELIER_UNROLL
        for (int c = 0; c < kKeyColumns; ++c)
          ATTELIER_UNROLL
          for (int e = 0; e < 2; ++e)
            if (c * 8 + 2 * t + e > last) s_[c][2 * half + e] = -kInfinity;
      }
    }
    ATTELIER_UNROLL
    for (int half = 0; half < 2; ++half) {
      RowState& state = state_[half];
      float highest = -kInfinity;
      ATTELIER_UNROLL
      for (int c = 0; c < kKeyColumns; ++c) highest = larger(highest, larger(s_[c][2 * half], s_[c][2 * half + 1]));
      highest = larger(state.highest, multiply_add(quad_largest(highest), scale, bias));
      // While no key has been seen all exponents are -inf, whatever is subtracted.
      const float base = highest == -kInfinity ? 0 : highest, shift = bias - base;
      decay[half] = exp2_of(state.highest - base);
      state.highest = highest;
      float sum = 0;
      ATTELIER_UNROLL
      for (int c = 0; c < kKeyColumns; ++c)
        ATTELIER_UNROLL
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          s_[c][e] = exp2_of(multiply_add(s_[c][e], scale, shift));
          sum += s_[c][e];
        }
      state.sum = state.sum * decay[half] + sum;
      if constexpr (kListed)
        if (block_.a.gains) {
          float gained = 0;
          ATTELIER_UNROLL
          for (int c = 0; c < kKeyColumns; ++c)
            ATTELIER_UNROLL
            for (int e = 0; e < 2; ++e) {
              s_[c][2 * half + e] *= table.gain[c * 8 + 2 * t + e];
              gained += s_[c][2 * half + e];
            }
          state.gained = state.gained * decay[half] + gained;
        }
    }
  }

  /// s -> p, as operands.
  ATTELIER_DEVICE void take_weights() {
    ATTELIER_UNROLL
    for (int step = 0; step < kKeySteps; ++step) to_a(p_[step], s_[2 * step], s_[2 * step + 1]);
  }

  ATTELIER_DEVICE void finish() {
    const bool renorm = kListed && call_.renorm && block_.a.gains;
    const bool words = ((call_.value_depth | call_.o_row | call_.o_head | call_.o_batch) & 1) == 0;
    ATTELIER_UNROLL
    for (int half = 0; half < 2; ++half) {
      const RowState& state = state_[half];
      const float sum = quad_sum(state.sum), gained = quad_sum(state.gained), divisor = inverse(renorm ? gained : sum);
      const int row = row_of(half);
      if (row >= call_.rows) continue;
      const int64_t flat = (static_cast<int64_t>(block_.b) * call_.heads + block_.h) * call_.rows + row;
      if (lane_index() % 4 == 0) {
        if (block_.a.statistics) write_statistics(block_.a.statistics, flat, 0, state.highest, sum, 0, renorm ? sum * inverse(gained) : 1);
        if (call_.lse) call_.lse[flat] = state.highest == -kInfinity ? -kInfinity : (state.highest + log2_of(sum)) * kLn2;
      }
      if (call_.o == nullptr) continue;
      T* const out = static_cast<T*>(call_.o) + block_.b * call_.o_batch + block_.h * call_.o_head + row * call_.o_row;
      write_row<kValueColumns>(out, static_cast<int>(call_.value_depth), words, [&](int c, int e) { return divisor * o_[c][2 * half + e]; });
    }
  }

  const WarpgroupBlock<T, W, kListed>& block_;
  const Call& call_;
  WarpgroupMemory<W, kListed>& memory_;
  const int group_, first_;
  bool hides_ = false;  // the tile of p_ has keys that nobody sees
  float s_[kKeyColumns][4];
  float o_[kValueColumns][4] = {};
  Fragment<T> p_[kKeySteps];
  RowState state_[2];
};

/// Grid: x = blocks of queries * (b, h). `maps` have boxes of WarpgroupTile::kKeys rows.
template <typename T, int W, bool kListed>
ATTELIER_DEVICE void attend_in_warpgroups(const Arguments& a, const KeyMaps& maps) {
  using Shape = WarpgroupTile<W, kListed>;
  const WarpgroupBlock<T, W, kListed> block(a, maps);
  if (thread_index() == 0) {
    for (int stage = 0; stage < Shape::kStages; ++stage) {
      start_barrier(block.memory->full_keys[stage], kWarpgroup);
      start_barrier(block.memory->full_values[stage], 1);
      // A warp of consumers each.
      start_barrier(block.memory->free_keys[stage], Shape::kConsumers * kWarpgroup / kLanes);
      start_barrier(block.memory->free_values[stage], Shape::kConsumers * kWarpgroup / kLanes);
    }
    publish_barriers();
  }
  barrier();
  if (thread_index() < kWarpgroup) {
    release_registers<Shape::kProducerRegisters>();
    produce(block);
  } else {
    claim_registers<Shape::kConsumerRegisters>();
    Consumer<T, W, kListed>(block).run();
  }
}

}  // namespace attelier::kernels::cuda
