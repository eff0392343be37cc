// attelier bench attend|controls: the attention kernels on random tensors.
#pragma once

#include <string>

#include "app/cli/console.h"

namespace attelier {

struct AttentionBenchOptions {
  std::string what;  // attend or controls
  std::string shape = "2,8,4096,4096,40", control = "plain", dtype, baseline, json;
  int64_t threads = 0, repeat = 5, warmup = 1;
};

/// Prints a table, or JSON where `json` is "-"; writes the JSON to the file `json` otherwise. Errors: kUsage.
void bench_attention_kernels(const AttentionBenchOptions& options, Invocation& invocation);

}  // namespace attelier
