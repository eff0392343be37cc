// The pictures that a ControlNet is told: what the world's truth looks like as depth, edges and classes.
#pragma once

#include <string>
#include <vector>

#include "core/training/sample.h"

namespace attelier {

enum class ConditionKind { kDepth, kEdges, kSegmentation, kCanny, kGiven };

/// "depth", "edges", "segmentation", "canny", "given".
const std::vector<std::string>& condition_names();
ConditionKind condition_named(const std::string& name);

/// Whether the pictures of a source ("world", "small_world", "textures", "folder") can be told so: depth, edges and segmentation are drawn from the truth, of
/// which the small world has depth alone.
bool can_tell(const std::string& source, ConditionKind kind);

/// uint8 [3, S, S].
///   depth         inverse depth, nearest 255, farthest and sky 0, three equal channels, as MiDaS pictures are shown
///   edges         white lines, one pixel wide, on black: outlines of things and surroundings, depth jumps and creases within things
///   segmentation  a colour for each world::Kind, class_colours()
///   canny         edges of the picture itself, thresholds 100 and 200, as `generate --control-prepare canny` makes them
///   given         the sample's own
at::Tensor condition_picture(const Sample& sample, ConditionKind kind);

/// uint8 [kKindCount, 3].
at::Tensor class_colours();

}  // namespace attelier
