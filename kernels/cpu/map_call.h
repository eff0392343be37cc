// Calls of the kernels that read and write cells of maps: attention of regions (kernels/regions.h) and warps (kernels/warp.h). Plain data, see call.h.
#pragma once

#include "kernels/cpu/call.h"

namespace attelier::kernels::cpu {

/// A map [B,H,rows,columns,D]: strides in elements, those of the last dimension are 1.
struct Cells {
  void* data;
  int64_t batch, head, row, column;
};

/// Where the tensors of region attention lie. Index g counts the regions of a batch row.
struct RegionView {
  int64_t regions, across;  // of a map, and beside each other
  int64_t height, width, top, left;
  Cells q, o, k, v;
  int64_t rows, columns;          // of q and o
  int64_t key_rows, key_columns;  // of k and v
  const int64_t* index;           // choices of a region lie side by side; null = sampled, or no choices
  int64_t index_batch, index_head, index_region;
  int64_t choices;
  const float* points;  // (x, y) of a key lie side by side
  int64_t points_batch, points_head, points_region, points_key;
};

/// Regions are the batch rows of `call`: it holds B*regions, H, the cells of a region as rows, its keys, D, Dv, scales, pair bias (queries side by side),
/// and the data pointer of o. Everything else is neutral.
struct RegionCall {
  Call call;
  RegionView view;
};

/// A plane of cells for each batch row and channel: strides in elements. data null = absent.
struct Planes {
  void* data;
  int64_t batch, channel, row, column;
};

/// x, base and y have their channels side by side, or base and y their columns. Offsets in a plane of x fit in 31 bits.
struct WarpCall {
  Element element;
  int64_t batches, channels, rows, columns;
  Planes x, base, y;
  Planes flow, mask;  // float32
  bool nearest, border, inside_only;
};

struct MapKernels {
  /// As Kernels of call.h.
  int64_t (*region_tasks)(const RegionCall& call);
  int64_t (*region_workspace_bytes)(const RegionCall& call);
  void (*run_regions)(const RegionCall& call, int64_t begin, int64_t end, void* workspace);
  /// Rows [begin, end) of the batches * rows rows of y.
  void (*warp)(const WarpCall& call, int64_t begin, int64_t end);
};

}  // namespace attelier::kernels::cpu
