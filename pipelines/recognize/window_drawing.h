// The learned windows of a ViTAEv2 (core/models/backbones/vitaev2.h) as pictures and as JSON, from the records of a forward pass over the picture that is drawn
// on.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/media/image.h"

namespace attelier {

/// Where the heads of one cell looked, for one picture.
struct CellWindows {
  std::string cell;                       // its place in the checkpoint: "0.RC", "2.NC.5"
  at::Tensor rectangles;                  // f32 [heads,windows,4]: centre x, centre y, half width, half height in pixels; negative halves are mirrored
  int64_t rows = 0, columns = 0;          // of windows
  int64_t size = 0;                       // cells along a window's side
  int64_t top = 0, left = 0;              // cells of the first window above and left of the map
  int64_t stride = 1;                     // pixels along a cell's side
  int64_t map_rows = 0, map_columns = 0;  // cells
  int64_t heads() const { return rectangles.size(0); }
};

/// The cells of BackboneOutputs::records in order, for one row of the batch. Empty for models without learned windows.
std::vector<CellWindows> read_windows(const std::vector<std::pair<std::string, at::Tensor>>& records, int64_t row = 0);

/// All windows of one head, or of all: the default ones thin, the learned ones thick in the head's colour, an arrow from centre to centre, mirrored windows
/// hatched; what lies outside the picture is dimmed. The drawing is larger than the picture: small ones are magnified, and a margin shows what lies outside.
/// Throws Error(kBadInput) for pictures of another size than the records', and heads that are not there.
Image draw_windows(const Image& picture, const CellWindows& windows, std::optional<int64_t> head = std::nullopt);

/// What the window that holds the pixel (x, y) samples: the rectangles of all heads with their sample points. Throws Error(kBadInput) for pixels outside.
Image draw_query(const Image& picture, const CellWindows& windows, int64_t x, int64_t y);

/// How often each cell is sampled by all windows and heads: f32 [map rows,map columns], each sample shared among the four cells around it.
at::Tensor coverage(const CellWindows& windows);
/// Coverage as colours over the picture, from never (dark) to the most (bright), which the caption tells.
Image draw_coverage(const Image& picture, const CellWindows& windows);

/// Of each cell its grid, and of each head the means over its windows (scales along both axes, offset in pixels, area against the default, share outside of the
/// picture) and each window's rectangle in pixels.
nlohmann::json windows_json(const std::vector<CellWindows>& cells);

}  // namespace attelier
