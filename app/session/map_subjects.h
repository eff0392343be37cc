// Region attention, window attention and warps (kernels/regions.h, kernels/warp.h) as subjects of a benchmark, beside the official forms.
#pragma once

#include <string>
#include <vector>

#include "app/session/attention_bench.h"
#include "app/session/bench_subject.h"

namespace attelier {

/// regions  BiFormer: 7 x 7 regions of a map of Lq cells; each attends Lk keys of chosen regions
/// windows  VSA: windows of Lk cells of a map of Lq cells, moved and scaled, with a bias for each pair
/// warp     bilinear, of H * D channels over Lq cells, with occlusion; Lk counts for nothing
std::vector<std::string> map_subjects();

/// Throws Error(kUsage) where the shape does not fit: square maps, a multiple of 7 or of the window.
BenchSubject map_subject(const std::string& name, const AttentionBenchSettings& settings);

}  // namespace attelier
