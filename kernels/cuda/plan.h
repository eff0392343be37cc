// How a call is computed on a GPU: a pure function of the call and the device's numbers, tested without one.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/cuda/arguments.h"

namespace attelier::kernels::cuda {

struct DeviceCaps {
  int multiprocessors = 108;
  int64_t shared_bytes = 99 << 10;  // that one block may use; 99 KB on 8.6, 8.9 and 12.0, 163 KB on 8.0, 227 KB on 9.0
  bool warpgroups = false;          // compute capability 9.0, and its own kernels may be used
};

/// dense: one block computes all keys of its queries. split: few queries and many keys (decoding); the keys are shared out among blocks and combined. warpgroup: dense,
/// by the kernels of warpgroups.h.
enum class Family { kDense, kSplit, kWarpgroup };

struct TileSize {
  int rows = 0, keys = 0, values = 0, threads = 0;
  int64_t shared_bytes = 0;
};

/// Byte offsets of the workspace; every piece begins on 256 bytes. Absent pieces have size 0.
struct Workspace {
  int64_t partial = 0, partial_state = 0, statistics = 0, order = 0, class_count = 0, arrays = 0, bytes = 0;
};

struct Plan {
  Family family = Family::kDense;
  Bundle bundle = Bundle::kPlain;
  int width = 0;       // head width of the kernel, one of kWidths or kWarpgroupWidths
  TileSize tile;
  int segments = 1;
  int parts = 0;       // per segment; 0 = not split
  int value_chunks = 1;
  bool aligned = false, gains = false, ordered = false, statistics = false;
  bool listed = false;  // warpgroup: each key has factors of its own
  int passes = 1;      // over Q K^T: 1, and 1 more where probes read P
  Workspace workspace;
};

/// The smallest compiled width that holds D and Dv; 0 when none does.
int width_for(const Call& call);

/// The tile of a compiled kernel.
TileSize tile_size(cpu::Element element, int width, Bundle bundle);

/// The tile of a kernel of warpgroups.h.
TileSize warpgroup_tile_size(int width, bool listed);

/// Throws std::invalid_argument when no kernel can compute the call: heads wider than kMaximumWidth, or more keys than 32-bit columns count.
Plan make_plan(const Call& call, const DeviceCaps& caps);

/// One line: "dense plain w64 tile 128x64 threads 128 shared 55296 workspace 0 passes 1".
std::string describe(const Plan& plan);

}  // namespace attelier::kernels::cuda
