// ViTAEv2 (Zhang et al., "ViTAEv2: Vision Transformer Advanced by Exploring Inductive Bias for Image Recognition and Beyond", arXiv 2202.10108) with the
// learned windows of VSA (arXiv 2204.08446), or with plain ones: four stages, each of one reduction cell and some normal cells, in which attention and grouped
// convolutions run side by side.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>

#include "core/models/backbones/backbone.h"

namespace attelier {

/// "architecture": "vitaev2_vsa"; the arguments are those of ViTAEv2Config::from_json. Weights are named as the authors' checkpoints name them.
/// Pictures [B,in_chans,H,W] of any sides that are multiples of the reduction, 32 for all published models, and at least as large as a window of the last
/// stage, 224 for those with windows of 7 (the authors' classification takes squares of one size alone; its weights fit all). Features are the stages' outputs,
/// channels-last. Records of each cell with learned windows, CELL its place in the checkpoint (STAGE.RC, STAGE.NC.0, ...):
///   windows.CELL         f32 [B,heads,windows,4]: centre x, centre y, half width, half height of what a head samples, in pixels of the picture (the centre
///                        of the first pixel is 0); half sizes are negative where the window is mirrored
///   window_offsets.CELL  f32 [B,heads,windows,2], window_scales.CELL likewise: what the regression said, along x and along y
///   window_grid.CELL     i64 [8]: rows and columns of windows, cells along a window's side, cells that the first window reaches above and left of the
///                        map, pixels along a cell's side, rows and columns of cells
std::unique_ptr<Backbone> make_vitaev2(const nlohmann::json& config);

}  // namespace attelier
