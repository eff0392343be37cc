// What the regions of a BiFormer (core/models/backbones/biformer.h) attend to, as pictures and as JSON, from the records of a forward pass over the
// picture that is drawn on.
#pragma once

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/media/image.h"

namespace attelier {

/// The routes of one block, for one picture.
struct BlockRoutes {
  int64_t stage = 0, block = 0;
  at::Tensor index;                             // i64 [R,topk], best first
  at::Tensor logits;                            // f32 [R,R]
  int64_t rows = 0, columns = 0;                // of regions
  int64_t cell_rows = 0, cell_columns = 0;      // of a region
  int64_t stride() const { return int64_t{4} << stage; }  // pixels along a cell's side
  int64_t regions() const { return rows * columns; }
  int64_t topk() const { return index.size(1); }
  /// The region that holds a pixel.
  int64_t region_of(int64_t x, int64_t y) const;
};

/// The blocks of BackboneOutputs::records in order, for one row of the batch. Empty for models that do not route.
std::vector<BlockRoutes> read_routes(const std::vector<std::pair<std::string, at::Tensor>>& records, int64_t row = 0);

/// The grid of regions; the region of the pixel (x, y) outlined, and the regions that it attends filled, coloured and numbered by rank.
Image draw_routes(const Image& picture, const BlockRoutes& routes, int64_t x, int64_t y);

/// i64 [R]: how many regions attend to each.
at::Tensor in_degree(const BlockRoutes& routes);
/// In-degrees as colours over the picture.
Image draw_in_degree(const Image& picture, const BlockRoutes& routes);

/// Attention of the query at the pixel (x, y), f32 [rows,columns] of cells of `stride` pixels, as colours; cells that it does not see at all, 0, are hatched.
Image draw_attention(const Image& picture, const at::Tensor& weights, int64_t stride, int64_t x, int64_t y, const std::string& title);

/// Of each block: grid, routes, in-degrees, the share of regions that attend to themselves and of those that none attends to, margins between the last chosen
/// logit and the next, entropies of the chosen logits' softmax, and the share of routes that the block before in the stage had not; and of `x`, `y` the
/// regions that its region attends to, with their logits.
nlohmann::json routes_json(const std::vector<BlockRoutes>& blocks, int64_t x, int64_t y);

}  // namespace attelier
