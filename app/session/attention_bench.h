// How fast the attention kernels run here on random tensors: plain and controlled, beside libtorch's fused operator and beside the eager form that the
// official codes have, all in one process. The two others have libtorch's own memory, as they have it everywhere else.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/session/model_bench.h"

namespace attelier {

struct AttentionBenchSettings {
  int64_t batch = 2, heads = 8, queries = 4096, keys = 4096, width = 40;
  int64_t repeat = 5, warmup = 1;
  at::ScalarType dtype = at::kFloat;
  std::vector<std::string> controls = {"plain"};  // of attention_bench_controls() or map_subjects()
  std::string baseline;                           // "", torch or eager
};

/// The controls that can be measured: plain, style (two sources, blended queries, temperature), bias_gain, col_sum, keys, blend, var, causal.
std::vector<std::string> attention_bench_controls();

struct AttentionBenchResult {
  std::string control;
  BenchTimes ours;
  std::optional<BenchTimes> plain;     // our own plain attention over as many keys, for a control
  std::optional<BenchTimes> baseline;
  double operations = 0;               // of the two products
  double attainable_seconds = 0;       // what the processor's multiply-adds and memory allow for them
  /// Attainable time over measured time.
  double roofline() const { return attainable_seconds / ours.median(); }
  nlohmann::json to_json(const AttentionBenchSettings& settings) const;
};

/// Throws Error(kUsage) for an unknown control, and for a control that the torch baseline cannot express. CPU only.
std::vector<AttentionBenchResult> bench_attention(const AttentionBenchSettings& settings, const Context& context);

}  // namespace attelier
