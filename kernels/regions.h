// Attention between parts of maps, without a gathered or sampled copy of keys and values in memory: the queries of each region of a map attend
//   index    all cells of a few chosen regions (BiFormer: bi-level routing attention, arXiv 2303.08810), or
//   points   keys and values sampled bilinearly at positions of their own (VSA: varied-size window attention, arXiv 2204.08446).
// A map is [B,H,rows,columns,D] by strides, its last dimension dense: the view that a projection [B,rows,columns,H*D], or a channels-last [B,H*D,rows,columns],
// has without a copy.
#pragma once

#include <ATen/ATen.h>

#include <optional>

namespace attelier::kernels {

/// How a map is cut. Region g = row * columns + column, cell i = y * width + x of a region; the first region begins `top` cells above the map and `left`
/// cells before it. Regions must cover the map and may reach beyond it: there are no queries there, and keys and values there are zeros that are attended
/// like any others (maps that are padded after the projection).
struct RegionGrid {
  int64_t rows = 1, columns = 1;  // regions
  int64_t height = 1, width = 1;  // cells of a region
  int64_t top = 0, left = 0;
  int64_t regions() const { return rows * columns; }
  int64_t cells() const { return height * width; }
};

/// The regions of height x width cells that a map needs, beginning at its first cell.
RegionGrid regions_over(int64_t map_rows, int64_t map_columns, int64_t height, int64_t width);

/// One of index and points.
struct RegionAttention {
  RegionGrid grid;              // of the queries, and of the keys that `index` names
  at::Tensor index;             // i64 or i32 [B|1,H|1,G,N]: key N * cells() + i is cell i of region index[.,.,g,N]; -1 = none. k and v have q's rows and columns
  at::Tensor points;            // f32 [B|1,H|1,G,N,2]: key N is sampled at (x, y), in cells of k and v; (0, 0) is the centre of the first cell, and all outside is 0
  std::optional<double> scale;  // default 1/sqrt(D). BiFormer and VSA take the width of all heads instead
  at::Tensor pair_bias;         // floating [H|1, cells(), keys], added to the scaled logits; -inf masks
};

/// The positions of VSA (3.4 of its official code, in cells): x = centre + scales * (x - centre) + offsets for each cell of each region, and the same for y.
/// offsets and scales [B,H,G,2], each (x, y); scales of 1 and offsets of 0 give the cells themselves. Returns [B,H,G,cells(),2]; differentiable.
at::Tensor window_points(const RegionGrid& grid, const at::Tensor& offsets, const at::Tensor& scales);

/// Throws std::invalid_argument, the name of the argument first. Numbers in `index` are checked for tensors in host memory; elsewhere those out of range
/// count as -1.
void validate(const RegionAttention& attention, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// q [B,H,rows,columns,D], k [B,H,rows_k,columns_k,D], v [B,H,rows_k,columns_k,Dv], all of one dtype -> o [B,H,rows,columns,Dv], which lies in memory as
/// [B,rows,columns,H,Dv]. Sampled keys and values are rounded once to the dtype; positions that are not numbers give zeros. A query without keys gives 0.
/// In float32, bfloat16 and float16 without gradients through the kernels of this folder, with memory for a tile of keys; otherwise through libtorch's
/// operators on gathered tensors, differentiable in q, k, v, points and pair_bias.
at::Tensor attend_regions(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const RegionAttention& attention);

}  // namespace attelier::kernels
